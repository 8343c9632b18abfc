//! What an answer of ClickHouse means for a batch.

use crate::destinations::{Failure, Verdict};
use crate::error::ErrorKind;

/// Codes of exceptions that time mends: the connection, the resources, the replicas, and whoever else
/// changes the table meanwhile.
///
/// <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
const TRANSIENT: [u32; 24] = [
    16, 60, 74, 75, 76, 159, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 286, 319, 341, 394,
    425, 473, 499, 999,
];

/// Codes of exceptions about values, which may be because somebody else changed the table.
const VALUES: [u32; 9] = [6, 26, 27, 38, 41, 53, 70, 72, 117];

/// An answer that is not 2xx.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    /// The code of the exception.
    pub code: Option<u32>,
    pub text: String,
}

impl Refusal {
    /// Whether the table may have changed while the batch was on its way.
    pub(super) fn is_about_values(&self) -> bool {
        self.code.is_some_and(|code| VALUES.contains(&code))
    }

    /// What it means.
    pub(super) fn verdict(&self) -> Verdict {
        let Self { status, code, text } = self;
        let hint = match code {
            Some(81) => ". Create the database first",
            Some(497) => ". The user needs SELECT, INSERT, CREATE TABLE and ALTER on the database",
            Some(516) => ". User and password are in sql.clickhouse.url",
            _ => "",
        };
        let said: String = text.chars().filter(|c| !c.is_control()).take(1000).collect();
        let message = format!("ClickHouse answered {status}: {}{hint}", said.trim());
        let transient = match code {
            Some(code) => TRANSIENT.contains(code),
            None => *status >= 500 || matches!(status, 408 | 425 | 429),
        };
        if transient {
            let failure = Failure::new(ErrorKind::Unavailable, message).with_status(*status);
            return Verdict::Retry { failure, after: None };
        }
        Verdict::Rejected(Failure::new(ErrorKind::Refused, message).with_status(*status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_tried_again() {
        let transient = |status, code| {
            let refusal = Refusal { status, code, text: "Code".to_owned() };
            matches!(refusal.verdict(), Verdict::Retry { .. })
        };
        assert!(transient(503, None) && transient(429, None) && transient(500, Some(241)));
        assert!(!transient(404, None) && !transient(403, Some(516)) && !transient(500, Some(497)));
    }
}
