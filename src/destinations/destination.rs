//! The trait of a destination and its types.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::batch::Batching;
use crate::delivery::{Failure, Kind, Payload, RetryPolicy, Verdict};
use crate::execution::{RequestLog, ResponseLog, Trace};
use crate::time::Timestamp;

/// Something that a recorded call can be delivered to.
///
/// **Invariant:** a destination makes one attempt and classifies it. Whether there is another one,
/// and when, is decided by [`crate::engine`].
pub trait Destination: fmt::Debug + Send + Sync {
    /// Makes one attempt to deliver `payload`. Calls that are [batched](Self::batching) do not come
    /// here.
    fn deliver<'a>(
        &'a self,
        payload: &'a Payload,
        attempt: &'a Attempt<'a>,
    ) -> BoxFuture<'a, Outcome>;

    /// Shows a call that was not sent yet, redacted.
    fn describe(&self, payload: &Payload) -> RequestLog;

    /// Returns the key of the queue that the call waits in: calls in different queues never delay
    /// each other. `None`: all calls of this destination share one.
    fn lane(&self, _payload: &Payload) -> Option<String> {
        None
    }

    /// Returns the rules of its queues.
    fn lane_rules(&self) -> LaneRules {
        LaneRules::default()
    }

    /// Returns the retry policy of a call that is not attempted now; `None`: it is not retried. An
    /// attempt returns it in its outcome.
    fn retry_policy(&self, _payload: &Payload) -> Option<RetryPolicy> {
        None
    }

    /// Returns the longest time for which the call can be put off.
    fn longest_wait(&self, payload: &Payload) -> Duration {
        self.retry_policy(payload).map_or(Duration::ZERO, |policy| policy.longest_wait())
    }

    /// Returns its batches, if it can have any.
    fn batching(&self) -> Option<&dyn Batching> {
        None
    }

    /// Returns the service that it delivers to; `None`: it needs none.
    fn backend(&self) -> Option<Backend> {
        None
    }

    /// Closes connections that are kept for the next call.
    fn close(&self) {}
}

/// The rules by which calls leave the queues of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneRules {
    /// `true` if each workflow has a queue of its own, instead of the one of [`Destination::lane`].
    pub is_per_workflow: bool,
    /// `true` if the order of calls is decided when their attempts begin, so that none has to wait for
    /// the end of the one before.
    pub begins_in_order: bool,
    /// Concurrent attempts in all queues together.
    pub concurrency: usize,
    /// Concurrent attempts in one queue. 0: the calls wait.
    pub lane_concurrency: usize,
}

impl Default for LaneRules {
    fn default() -> Self {
        Self {
            is_per_workflow: false,
            begins_in_order: false,
            concurrency: usize::MAX,
            lane_concurrency: 1,
        }
    }
}

/// The service behind a destination, such as a mail server, which does with files if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The transport that the options choose.
    pub transport: BackendChoice,
    /// The noun for the service, with its article.
    pub noun: &'static str,
    /// The options that name a service, or choose files.
    pub options: &'static str,
    /// The warning about files; `None`: files are what users expect.
    pub file_warning: Option<String>,
}

/// The transport that the options choose for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendChoice {
    /// A server.
    Service,
    /// Files, named in the options.
    ChosenFiles,
    /// Files, because nothing is configured.
    DefaultFiles,
}

impl BackendChoice {
    /// Returns the transport for options that name a service, or choose files.
    #[must_use]
    pub const fn of(has_service: bool, files_are_chosen: bool) -> Self {
        match (has_service, files_are_chosen) {
            (true, _) => Self::Service,
            (false, true) => Self::ChosenFiles,
            (false, false) => Self::DefaultFiles,
        }
    }
}

/// The context of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The delivery's id, the same for each attempt.
    pub id: Uuid,
    /// The id of the call: that of its first delivery, the same for each replay.
    pub call: Uuid,
    /// The workflow whose step made the call.
    pub workflow_id: &'a str,
    /// The number of emitted events that led to the execution.
    pub emit_depth: u32,
    /// The trace that the execution belongs to.
    pub trace: Option<&'a Trace>,
    /// The time of the call.
    pub recorded_at: Timestamp,
    /// `true` if an earlier process may have made an attempt with an unknown outcome.
    pub recovered: bool,
}

/// The request and the response for the log: already redacted and capped.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request as it was sent; `None` if it never got that far.
    pub request: Option<RequestLog>,
    /// The response, also when it means failure.
    pub response: Option<Box<ResponseLog>>,
    /// Warnings for the sender of the call.
    pub warnings: Vec<String>,
    /// The durations of the phases, a JSON object, if there was no response that has them.
    pub timings: Option<Box<RawValue>>,
}

/// A call that a delivery gives rise to. It is handed over before that delivery is settled, as an
/// execution of its own.
#[derive(Debug)]
pub struct FollowUpCall {
    /// The workflow in the log.
    pub workflow_id: String,
    /// The step in the log.
    pub step: String,
    /// The destination.
    pub kind: Kind,
    /// The payload.
    pub payload: Payload,
}

/// One attempt: the verdict and the exchange behind it.
#[derive(Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The request and the response.
    pub exchange: Exchange,
    /// The calls that follow from it.
    pub calls: Vec<FollowUpCall>,
    /// The retry policy of the call, if it has one. A delivered call needs none.
    pub retry: Option<Box<RetryPolicy>>,
}

impl Outcome {
    /// Returns an outcome without follow-up calls.
    #[must_use]
    pub const fn of(verdict: Verdict, exchange: Exchange) -> Self {
        Self { verdict, exchange, calls: Vec::new(), retry: None }
    }

    /// Returns the outcome with the retry policy of the call.
    #[must_use]
    pub fn with_retry(self, retry: Option<RetryPolicy>) -> Self {
        Self { retry: retry.map(Box::new), ..self }
    }

    /// Returns the outcome of a permanent failure before anything was sent.
    #[must_use]
    pub fn rejected(failure: Failure) -> Self {
        Self::of(Verdict::Rejected(failure), Exchange::default())
    }
}
