//! What can be asked of the log.

use std::fmt;
use std::str::FromStr;

use super::{Entry, ExecutionInfo};

/// How many rows an answer has when the question does not say.
const DEFAULT_LIMIT: usize = 100;

/// A question for deliveries. Absent members do not restrict.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// Only of this execution.
    pub execution_id: Option<String>,
    /// Only of the execution with this number, which is one attempt.
    pub execution: Option<u64>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only to this destination, by name.
    pub destination: Option<String>,
    /// Only in this status, as spelled in the log.
    pub status: Option<String>,
    /// At most this many, newest first.
    pub limit: Option<usize>,
    /// Only older than the delivery with this id.
    pub before: Option<uuid::Uuid>,
}

impl DeliveryQuery {
    /// How many deliveries the answer has at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Whether deliveries of this execution, which has this number, are asked for.
    #[must_use]
    pub fn admits_execution(&self, serial: u64, info: &ExecutionInfo) -> bool {
        self.execution.is_none_or(|execution| execution == serial)
            && admits(self.workflow_id.as_deref(), &info.workflow_id)
            && admits(self.execution_id.as_deref(), &info.execution_id)
    }

    /// Whether this delivery of such an execution is asked for.
    #[must_use]
    pub fn admits(&self, entry: &Entry) -> bool {
        admits(self.step.as_deref(), &entry.step)
            && admits(self.destination.as_deref(), entry.kind.name())
            && admits(self.status.as_deref(), entry.status.as_str())
            && self.before.is_none_or(|before| entry.id < before)
    }
}

/// Which failed deliveries are meant: those with these ids, or those that a question finds.
#[derive(Debug, Clone)]
pub enum Selection {
    /// By their ids.
    Ids(Vec<uuid::Uuid>),
    /// As in the log.
    Query(DeliveryQuery),
}

impl Selection {
    /// Whether this delivery is meant.
    #[must_use]
    pub fn admits(&self, serial: u64, info: &ExecutionInfo, entry: &Entry) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&entry.id),
            Self::Query(query) => query.admits_execution(serial, info) && query.admits(entry),
        }
    }
}

/// A question for executions. Absent members do not restrict.
#[derive(Debug, Clone, Default)]
pub struct ExecutionQuery {
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// Only with this id.
    pub execution_id: Option<String>,
    /// At most this many, newest first.
    pub limit: Option<usize>,
    /// Only older than this place.
    pub before: Option<Before>,
}

/// A place in the list of executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// The execution that a cursor names.
    Cursor(ExecutionCursor),
    /// The newest execution with this id.
    ExecutionId(String),
}

impl From<String> for Before {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::ExecutionId(text), Self::Cursor)
    }
}

/// The cursor of an execution: it names one attempt, where several share an execution id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionCursor(pub u64);

/// A text that is not an [`ExecutionCursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACursor;

const CURSOR_PREFIX: &str = "exc_";
const CURSOR_DIGITS: usize = 16;

impl fmt::Display for ExecutionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CURSOR_PREFIX}{:0CURSOR_DIGITS$x}", self.0)
    }
}

impl FromStr for ExecutionCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let digits = text.strip_prefix(CURSOR_PREFIX).ok_or(NotACursor)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != CURSOR_DIGITS || !digits.bytes().all(is_digit) {
            return Err(NotACursor);
        }
        let serial = u64::from_str_radix(digits, 16).map_err(|_| NotACursor)?;
        // The journal's numbers have 63 bits.
        if serial >> 63 == 0 { Ok(Self(serial)) } else { Err(NotACursor) }
    }
}

impl ExecutionQuery {
    /// How many executions the answer has at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Whether this execution is asked for.
    #[must_use]
    pub fn admits(&self, info: &ExecutionInfo) -> bool {
        admits(self.workflow_id.as_deref(), &info.workflow_id)
            && admits(self.execution_id.as_deref(), &info.execution_id)
    }
}

fn admits(wanted: Option<&str>, actual: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        for serial in [0, 1, 0xfedc_ba98, u64::MAX >> 1] {
            let cursor = ExecutionCursor(serial);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
            assert_eq!(Before::from(cursor.to_string()), Before::Cursor(cursor));
        }
    }

    #[test]
    fn other_texts_are_execution_ids() {
        for text in [
            "",
            "run-1",
            "exc_",
            "exc_1",
            "exc_00000000000000ZZ",
            "exc_000000000000000A",
            "exc_+000000000000001",
            "exc_ffffffffffffffff",
            "exc_00000000000000001",
            "exé_000000000000001",
        ] {
            assert_eq!(text.parse::<ExecutionCursor>(), Err(NotACursor), "{text}");
            assert_eq!(Before::from(text.to_owned()), Before::ExecutionId(text.to_owned()));
        }
    }
}
