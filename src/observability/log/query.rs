//! What can be asked of the log.

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

    /// Whether deliveries of this execution are asked for.
    #[must_use]
    pub fn admits_execution(&self, info: &ExecutionInfo) -> bool {
        admits(self.workflow_id.as_deref(), &info.workflow_id)
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
    pub fn admits(&self, info: &ExecutionInfo, entry: &Entry) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&entry.id),
            Self::Query(query) => query.admits_execution(info) && query.admits(entry),
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
    /// Only older than the execution with this id.
    pub before: Option<String>,
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
