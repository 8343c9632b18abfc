//! The reply of a function, as JavaScript sends it, and its verdict.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::delivery::{Failure, Kind, Verdict};
use crate::error::ErrorKind;

/// The reply to one job: an outcome for each of its items, or the reason why there is none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum JobReply {
    /// Outcomes, in the order of the items.
    Outcomes(Vec<ItemReply>),
    /// The function threw.
    Threw(ItemReply),
    /// It returned something that is not an outcome.
    #[serde(rename = "nonsense")]
    Invalid(String),
}

/// One outcome.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemReply {
    status: ReplyStatus,
    /// The reason, for `retry` and `failed`.
    #[serde(default)]
    error: Option<String>,
    /// Not before this many milliseconds, for `retry`.
    #[serde(default)]
    after_ms: Option<f64>,
    /// The response for the log.
    #[serde(default)]
    response: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReplyStatus {
    Delivered,
    Retry,
    Failed,
}

/// Bytes of a response that the log keeps.
const MAX_RESPONSE: usize = 64 << 10;
/// Characters of an error that the log keeps.
const MAX_ERROR: usize = 1000;

/// The end of one item, or why there is none yet.
#[derive(Debug)]
pub(super) struct ItemOutcome {
    pub(super) verdict: Verdict,
    /// The response for the log.
    pub(super) response: Option<Box<RawValue>>,
}

impl Default for ItemOutcome {
    fn default() -> Self {
        Self { verdict: Verdict::Delivered, response: None }
    }
}

impl JobReply {
    /// Parses a reply.
    pub(super) fn of(text: &str) -> Self {
        serde_json::from_str(text)
            .unwrap_or_else(|error| Self::Invalid(format!("what cannot be read ({error})")))
    }

    /// Returns the end of each of `count` items.
    pub(super) fn read(self, kind: Kind, count: usize) -> Vec<ItemOutcome> {
        let name = kind.name();
        let odd = |what: &str| {
            let end = || ItemOutcome { verdict: odd(name, what, count), response: None };
            (0..count).map(|_| end()).collect()
        };
        match self {
            Self::Outcomes(all) if all.len() == count => {
                all.into_iter().map(|said| said.read(name)).collect()
            }
            Self::Outcomes(all) => odd(&format!("{} outcomes", all.len())),
            Self::Invalid(what) => odd(&what),
            Self::Threw(said) => (0..count).map(|_| said.clone().read(name)).collect(),
        }
    }
}

impl ItemReply {
    fn read(self, name: &str) -> ItemOutcome {
        let response = self.response.filter(|response| response.get().len() <= MAX_RESPONSE);
        let error = self.error.unwrap_or_else(|| format!("{name} says no more"));
        let error: String = error.chars().take(MAX_ERROR).collect();
        let verdict = match self.status {
            ReplyStatus::Delivered => Verdict::Delivered,
            ReplyStatus::Failed => Verdict::Rejected(Failure::new(ErrorKind::Refused, error)),
            ReplyStatus::Retry => {
                let after = self.after_ms.filter(|ms| *ms > 0.0);
                let after = after.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
                Verdict::Retry { failure: Failure::new(ErrorKind::Unavailable, error), after }
            }
        };
        ItemOutcome { verdict, response }
    }
}

fn odd(name: &str, what: &str, count: usize) -> Verdict {
    let message = format!(
        "deliver of {name:?} answered {what} for {count} items: it must answer nothing, or a list with \
         'delivered', or {{ status: 'delivered' | 'retry' | 'failed' }}, for each item"
    );
    Verdict::Rejected(Failure::new(ErrorKind::Refused, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> String {
        let answer: JobReply = serde_json::from_str(text).unwrap();
        let ended = answer.read(Kind::from_name("slack").unwrap(), 1).pop().unwrap();
        let ItemOutcome { verdict, response } = ended;
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
            (
                r#"{"outcomes":[{"status":"delivered","response":{"ts":1}}]}"#,
                r#"delivered {"ts":1}"#,
            ),
            (r#"{"outcomes":[{"status":"failed","error":"no"}]}"#, "failed ERR_SEND_REFUSED no"),
            (
                r#"{"outcomes":[{"status":"retry","error":"busy","afterMs":1500}]}"#,
                "retry ERR_SEND_UNAVAILABLE busy Some(1.5s)",
            ),
            (
                r#"{"threw":{"status":"retry","error":"down"}}"#,
                "retry ERR_SEND_UNAVAILABLE down None",
            ),
            (r#"{"threw":{"status":"failed"}}"#, "failed ERR_SEND_REFUSED slack says no more"),
        ] {
            assert_eq!(verdict(text), expected);
        }
        for text in [r#"{"outcomes":[]}"#, r#"{"nonsense":"5"}"#] {
            assert!(verdict(text).starts_with("failed ERR_SEND_REFUSED deliver of \"slack\""));
        }
    }
}
