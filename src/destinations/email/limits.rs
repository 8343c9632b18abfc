//! The rate limits of a mail: by its sender and by each recipient.

use super::config::Limits;
use crate::delivery::RateKey;

/// The options, for the notes of mails that wait.
const OPTION: &str = "email.limits";

/// Returns the limits that apply to a mail.
pub(super) fn rate_keys(from: &str, to: &[String], limits: &Limits) -> Vec<RateKey> {
    let option = || OPTION.to_owned();
    let sender = limits.per_sender.map(|rate| RateKey {
        key: format!("from {from}"),
        rate,
        option: option(),
    });
    let recipients = limits.per_recipient.into_iter().flat_map(|rate| {
        to.iter().map(move |recipient| RateKey {
            key: format!("to {}", recipient.to_lowercase()),
            rate,
            option: option(),
        })
    });
    sender.into_iter().chain(recipients).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::Rate;

    #[test]
    fn a_mail_counts_for_its_sender_and_each_recipient() {
        let rate = |count| Some(Rate { count, period: Duration::from_secs(60) });
        let limits = Limits { per_sender: rate(100), per_recipient: rate(1), ..Limits::default() };
        let to = ["B@example.com".to_owned(), "c@example.com".to_owned()];
        let keys = rate_keys("a@example.com", &to, &limits);
        let names: Vec<_> = keys.iter().map(|key| (key.key.as_str(), key.rate.count)).collect();
        let expected =
            [("from a@example.com", 100), ("to b@example.com", 1), ("to c@example.com", 1)];
        assert_eq!(names, expected);
        assert!(rate_keys("a", &to, &Limits::default()).is_empty());
    }
}
