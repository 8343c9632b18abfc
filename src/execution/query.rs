//! Queries of the log.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Entry, ExecutionInfo, ExecutionLog, ExecutionView, Force, Search};
use crate::time::Timestamp;

/// The number of rows if a query has no limit.
const DEFAULT_LIMIT: usize = 100;

/// The ids of deliveries.
pub type IdSet = BTreeSet<uuid::Uuid>;

/// A query for deliveries. Absent members do not restrict.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only these.
    pub ids: Option<IdSet>,
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
    /// Only those that were terminal then or later.
    pub settled_since: Option<Timestamp>,
    /// Only those that match.
    pub search: Option<Arc<Search>>,
}

impl DeliveryQuery {
    /// Returns the largest number of deliveries in the result.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Returns `true` if the query can include deliveries of this execution, which has this number.
    #[must_use]
    pub fn admits_execution(&self, serial: u64, info: &ExecutionInfo) -> bool {
        self.execution.is_none_or(|execution| execution == serial)
            && admits(self.workflow_id.as_deref(), &info.workflow_id)
            && admits(self.execution_id.as_deref(), &info.execution_id)
    }

    /// Returns `true` if the query includes this delivery of such an execution.
    #[must_use]
    pub fn admits(&self, info: &ExecutionInfo, entry: &Entry) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&entry.id))
            && admits(self.step.as_deref(), &entry.step)
            && admits(self.destination.as_deref(), entry.kind.name())
            && admits(self.status.as_deref(), entry.status.as_str())
            && self.before.is_none_or(|before| entry.id < before)
            && self
                .settled_since
                .is_none_or(|since| entry.settled_at.is_some_and(|settled| settled >= since))
            && self.search.as_ref().is_none_or(|search| search.admits_entry(info, entry))
    }
}

/// A selection of failed deliveries: by id or by query.
#[derive(Debug, Clone)]
pub enum Selection {
    /// By the ids of deliveries, each of which stands for its call.
    Ids(Vec<uuid::Uuid>, Force),
    /// As in the log.
    Query(DeliveryQuery),
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
    /// Only those that match, or of which a delivery does.
    pub search: Option<Arc<Search>>,
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
    /// Returns the largest number of executions in the result.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// Returns `true` if the query includes this execution.
    #[must_use]
    pub fn admits(&self, info: &ExecutionInfo) -> bool {
        admits(self.workflow_id.as_deref(), &info.workflow_id)
            && admits(self.execution_id.as_deref(), &info.execution_id)
    }
}

impl ExecutionQuery {
    /// Returns `true` if the query includes this execution, whose open buffer has these calls.
    #[must_use]
    pub fn admits_log(&self, log: &ExecutionLog, recorded: &[Entry]) -> bool {
        if !self.admits(&log.info) {
            return false;
        }
        let Some(search) = &self.search else { return true };
        let state = log.state();
        let view = ExecutionView::new(log, &state, recorded.len());
        let rest = search.rest_of(&log.info, &view);
        let mut entries = state.entries.iter().chain(recorded);
        search.admits_time(log.info.started_at)
            && (rest.terms.is_empty() || entries.any(|entry| rest.admits_entry(&log.info, entry)))
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
