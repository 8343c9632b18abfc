//! What a function answered, as JavaScript says it, and the verdict that it means.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::destinations::{Failure, Kind, Verdict};
use crate::error::ErrorKind;

/// The answer to one job: an outcome for each of its items, or why there is none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Outcomes, in the order of the items.
    Outcomes(Vec<Said>),
    /// The function threw.
    Threw(Said),
    /// It answered something that is no outcome.
    Nonsense(String),
}

/// One outcome.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    status: Status,
    /// Why, for `retry` and `failed`.
    #[serde(default)]
    error: Option<String>,
    /// Not before this many milliseconds, for `retry`.
    #[serde(default)]
    after_ms: Option<f64>,
    /// What the log is to show.
    #[serde(default)]
    response: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Delivered,
    Retry,
    Failed,
}

/// Bytes of a response that the log keeps.
const MAX_RESPONSE: usize = 64 << 10;
/// Characters of an error that the log keeps.
const MAX_ERROR: usize = 1000;

impl Answer {
    /// The verdict on the one item, and what the log shows of it.
    pub(super) fn into_verdict(self, kind: Kind) -> (Verdict, Option<Box<RawValue>>) {
        let name = kind.name();
        let said = match self {
            Self::Outcomes(mut all) if all.len() == 1 => all.remove(0),
            Self::Outcomes(all) => return (odd(name, &format!("{} outcomes", all.len())), None),
            Self::Nonsense(what) => return (odd(name, &what), None),
            Self::Threw(said) => said,
        };
        let response = said.response.filter(|response| response.get().len() <= MAX_RESPONSE);
        let error = said.error.unwrap_or_else(|| format!("{name} says no more"));
        let error: String = error.chars().take(MAX_ERROR).collect();
        let verdict = match said.status {
            Status::Delivered => Verdict::Delivered,
            Status::Failed => Verdict::Rejected(Failure::new(ErrorKind::Refused, error)),
            Status::Retry => {
                let after = said.after_ms.filter(|ms| *ms > 0.0);
                let after =
                    after.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
                Verdict::Retry { failure: Failure::new(ErrorKind::Unavailable, error), after }
            }
        };
        (verdict, response)
    }
}

fn odd(name: &str, what: &str) -> Verdict {
    let message = format!(
        "deliver of {name:?} answered {what} for 1 item: it must answer nothing, or a list with \
         'delivered', or {{ status: 'delivered' | 'retry' | 'failed' }}, for each item"
    );
    Verdict::Rejected(Failure::new(ErrorKind::Refused, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> String {
        let answer: Answer = serde_json::from_str(text).unwrap();
        let (verdict, response) = answer.into_verdict(Kind::from_name("slack").unwrap());
        let response = response.map(|response| response.get().to_owned()).unwrap_or_default();
        match verdict {
            Verdict::Delivered => format!("delivered {response}"),
            Verdict::Retry { failure, after } => {
                format!("retry {} {} {after:?}", failure.kind.code(), failure.message)
            }
            Verdict::Rejected(failure) => {
                format!("failed {} {}", failure.kind.code(), failure.message)
            }
            Verdict::Later { .. } => "later".to_owned(),
        }
    }

    #[test]
    fn answers_become_verdicts() {
        for (text, expected) in [
            (r#"{"outcomes":[{"status":"delivered","response":{"ts":1}}]}"#, r#"delivered {"ts":1}"#),
            (r#"{"outcomes":[{"status":"failed","error":"no"}]}"#, "failed ERR_SEND_REFUSED no"),
            (r#"{"outcomes":[{"status":"retry","error":"busy","afterMs":1500}]}"#, "retry ERR_SEND_UNAVAILABLE busy Some(1.5s)"),
            (r#"{"threw":{"status":"retry","error":"down"}}"#, "retry ERR_SEND_UNAVAILABLE down None"),
            (r#"{"threw":{"status":"failed"}}"#, "failed ERR_SEND_REFUSED slack says no more"),
        ] {
            assert_eq!(verdict(text), expected);
        }
        for text in [r#"{"outcomes":[]}"#, r#"{"nonsense":"5"}"#] {
            assert!(verdict(text).starts_with("failed ERR_SEND_REFUSED deliver of \"slack\""));
        }
    }
}
