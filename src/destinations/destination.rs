//! The trait of a destination and what it answers.

use std::future::Future;

use uuid::Uuid;

use super::{Failure, Kind, Payload, Verdict};
use crate::observability::log::{RequestLog, ResponseLog, Trace};
use crate::observability::time::Timestamp;

/// Something that a recorded call can be delivered to.
///
/// **Invariant:** a destination makes one attempt and classifies it. Whether there is another one,
/// and when, is decided by [`crate::engine`].
pub trait Destination {
    /// Makes one attempt to deliver `payload`.
    fn deliver(
        &self,
        payload: &Payload,
        attempt: &Attempt<'_>,
    ) -> impl Future<Output = Outcome> + Send;
}

/// What a destination may know of the attempt that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The delivery's id, the same for each attempt.
    pub id: Uuid,
    /// The workflow whose step made the call.
    pub workflow_id: &'a str,
    /// How many emitted events led to the execution.
    pub emit_depth: u32,
    /// The trace that the execution belongs to.
    pub trace: Option<&'a Trace>,
    /// When the call was made.
    pub recorded_at: Timestamp,
    /// Whether an earlier process may have made an attempt that nobody knows of.
    pub recovered: bool,
}

/// What was sent and what came back, as the log keeps it: already redacted and capped.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request as it was sent; `None` if it never got that far.
    pub request: Option<RequestLog>,
    /// The response, also when it means failure.
    pub response: Option<Box<ResponseLog>>,
    /// What the sender of the call should know, one sentence each.
    pub warnings: Vec<String>,
}

/// A call that a delivery gives rise to. It is handed over before that delivery is settled, as an
/// execution of its own.
#[derive(Debug)]
pub struct Call {
    /// What the log has as the workflow.
    pub workflow_id: String,
    /// What the log has as the step.
    pub step: String,
    /// The destination.
    pub kind: Kind,
    /// What to deliver.
    pub payload: Payload,
}

/// One attempt: the verdict and the exchange behind it.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// What was sent and received.
    pub exchange: Exchange,
    /// What is to be delivered because of it.
    pub calls: Vec<Call>,
}

impl Outcome {
    /// An attempt that nothing else follows from.
    #[must_use]
    pub const fn of(verdict: Verdict, exchange: Exchange) -> Self {
        Self { verdict, exchange, calls: Vec::new() }
    }

    /// An attempt that failed for good before anything was sent.
    #[must_use]
    pub fn rejected(failure: Failure) -> Self {
        Self::of(Verdict::Rejected(failure), Exchange::default())
    }
}
