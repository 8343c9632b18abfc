//! The trait of a destination and what it answers.

use std::future::Future;

use uuid::Uuid;

use super::{Failure, Payload, Verdict};
use crate::observability::log::{RequestLog, ResponseLog};
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

/// One attempt: the verdict and the exchange behind it.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// What was sent and received.
    pub exchange: Exchange,
}

impl Outcome {
    /// An attempt that failed for good before anything was sent.
    #[must_use]
    pub fn rejected(failure: Failure) -> Self {
        Self { verdict: Verdict::Rejected(failure), exchange: Exchange::default() }
    }
}
