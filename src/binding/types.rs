//! The plain objects of the public API, as `index.d.ts` declares them.

use std::collections::HashMap;
use std::time::Duration;

use napi_derive::napi;

use super::control::Pause;
use super::execution::limit;
use crate::engine::{Drained, ReplayRequest};
use crate::execution::{DeliveryQuery, ExecutionQuery, Force, IdSet, Selection};
use crate::time::Timestamp;

/// A time limit.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct TimeoutOptions {
    /// The longest wait, in milliseconds.
    pub timeout_ms: Option<f64>,
}

impl TimeoutOptions {
    pub(super) fn duration(&self) -> Option<Duration> {
        limit(self.timeout_ms)
    }
}

/// The address of the server.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ServerAddress {
    /// The IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The public URL: `server.publicUrl`, or `http://` and the address.
    pub url: String,
}

/// Options of `engine.streamUrl()`.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct StreamUrlOptions {
    /// Lifetime of the URL in milliseconds, up to 31,622,400,000 (366 days). Default: 3,600,000 (an
    /// hour).
    pub expires_in_ms: Option<f64>,
}

/// The receipt of `execution.complete()` and `execution.flush()`.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct CompletionReceipt {
    /// The id of the run.
    pub execution_id: String,
    /// Number of calls that were handed over.
    pub recorded: u32,
    /// `true` if the calls survive the end of the process, as with `dataDir`.
    pub durable: bool,
}

/// The counts that `engine.close()` returns.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct CloseResult {
    /// Deliveries that reached their destination since the engine was opened.
    pub delivered: f64,
    /// Deliveries that failed since the engine was opened.
    pub failed: f64,
    /// Deliveries that were not terminal at the deadline. With `dataDir` they stay in the journal and
    /// continue when it is opened again. In memory they are lost: the log shows them as `failed` with
    /// `ERR_SEND_INTERRUPTED`.
    pub pending: f64,
    /// Calls of executions that were neither completed nor discarded: they were not sent.
    pub open: f64,
}

impl From<Drained> for CloseResult {
    #[expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
    fn from(drained: Drained) -> Self {
        Self {
            delivered: drained.delivered as f64,
            failed: drained.failed as f64,
            pending: drained.pending as f64,
            open: drained.open as f64,
        }
    }
}

/// The error of a failed delivery.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct DeliveryError {
    /// One of the `ERR_SEND_*` codes.
    #[napi(ts_type = "ErrorCode")]
    pub code: String,
    /// A message for people, without secrets.
    pub message: String,
    /// The phase of the attempt that failed, if known.
    #[napi(ts_type = "'dns' | 'connect' | 'tls' | 'request' | 'response' | 'body'")]
    pub phase: Option<String>,
}

/// One execution in the log. Pipedream's **Dest.** column is `delivered`/`total`.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ExecutionSummary {
    /// Opaque cursor of this attempt, for `before` of `engine.executions()` and `after` of the REST API.
    pub cursor: String,
    /// The id of the run.
    pub execution_id: String,
    /// The id of its workflow.
    pub workflow_id: String,
    /// Number of the attempt of the run, from 1.
    pub attempt: u32,
    /// The cause of the run, as `engine.execution()` was given it: `POST /hooks/order`, or a name.
    pub trigger: Option<String>,
    /// The status: `running` until its end, `failed` if it was completed with an error.
    #[napi(ts_type = "'running' | 'completed' | 'failed' | 'discarded'")]
    pub status: String,
    /// Calls that reached their destination. A call counts once, however often it was replayed.
    pub delivered: u32,
    /// Calls that failed and are not resolved, by a replay that delivers or by `engine.dismiss()`.
    pub failed: u32,
    /// Calls that were discarded.
    pub discarded: u32,
    /// Failed calls that were dismissed.
    pub dismissed: u32,
    /// Deliveries that are not terminal.
    pub pending: u32,
    /// Number of all calls.
    pub total: u32,
    /// When `engine.execution()` was called (ISO 8601, UTC).
    pub started_at: String,
    /// When it was completed or discarded (ISO 8601, UTC).
    pub completed_at: Option<String>,
    /// The message of the error passed to `complete()`.
    pub error: Option<String>,
    /// The text passed to `complete()`, or that of `$end()`.
    pub message: Option<String>,
}

/// Counters and gauges of an engine.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct EngineStats {
    /// Calls recorded since the engine was opened.
    pub recorded: f64,
    /// Deliveries that reached their destination.
    pub delivered: f64,
    /// Deliveries that failed.
    pub failed: f64,
    /// Calls that were discarded.
    pub discarded: f64,
    /// Deliveries that are not terminal, including those in flight.
    pub pending: f64,
    /// Attempts in flight.
    pub in_flight: f64,
    /// Bytes of memory that all undelivered calls take.
    pub pending_bytes: f64,
    /// Executions that are neither completed nor discarded.
    pub open_executions: f64,
    /// Deliveries that wait for a retry.
    pub retrying: f64,
    /// The queues with work or failures, busiest first.
    pub lanes: Vec<LaneStats>,
    /// Batches that could not be stored and wait for another attempt, oldest first.
    pub delayed_batches: Vec<DelayedBatchStats>,
    /// The pauses, oldest first.
    pub pauses: Vec<Pause>,
}

/// A batch that could not be stored.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct DelayedBatchStats {
    /// The destination.
    pub destination: String,
    /// The name under which it is stored.
    pub name: String,
    /// The number of its records.
    pub records: f64,
    /// The number of attempts to store it.
    pub attempts: f64,
    /// The time of the next attempt (ISO 8601, UTC).
    pub next_attempt_at: String,
    /// The message of the last failure.
    pub error: String,
}

/// One queue: for `http`, one host.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct LaneStats {
    /// The destination.
    pub destination: String,
    /// The name of the queue: for `http` the origin of the URL, otherwise the destination's name.
    pub lane: String,
    /// Attempts in flight.
    pub in_flight: f64,
    /// Deliveries that wait for their turn, or for their next attempt.
    pub waiting: f64,
    /// The circuit breaker. `open`: no attempts after repeated failures; `half-open`: one attempt
    /// decides.
    #[napi(ts_type = "'closed' | 'open' | 'half-open'")]
    pub breaker: String,
    /// `true` if it is paused.
    pub paused: bool,
}

/// A filter of deliveries. Absent members match all.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct DeliveryFilter {
    /// Only these deliveries, at most 1,000.
    pub ids: Option<Vec<String>>,
    /// Only this workflow.
    pub workflow_id: Option<String>,
    /// Only this execution.
    pub execution_id: Option<String>,
    /// Only this step.
    pub step: Option<String>,
    /// Only this destination.
    #[napi(ts_type = "Delivery['destination'] | (string & {})")]
    pub destination: Option<String>,
    /// Only this status.
    #[napi(ts_type = "Delivery['status']")]
    pub status: Option<String>,
    /// The largest number of results. Default: 100.
    pub limit: Option<u32>,
    /// Only deliveries older than the one with this id: the last of the previous page.
    pub before: Option<String>,
    /// Only deliveries that were terminal then or later (ISO 8601).
    pub settled_since: Option<String>,
}

impl DeliveryFilter {
    fn is_empty(&self) -> bool {
        let texts =
            [&self.workflow_id, &self.execution_id, &self.step, &self.destination, &self.status];
        texts.iter().all(|text| text.is_none()) && self.before.is_none() && self.limit.is_none()
    }

    pub(super) fn into_query(self) -> crate::error::Result<DeliveryQuery> {
        let ids = self.ids.as_deref().map(read_ids).transpose()?;
        let before = self.before.map(|id| id.parse()).transpose().map_err(|source| {
            crate::error::Error::new(
                crate::error::ErrorKind::InvalidArgument,
                "engine.deliveries(): before is not the id of a delivery",
            )
            .with_source(source)
        })?;
        Ok(DeliveryQuery {
            ids,
            workflow_id: self.workflow_id,
            execution_id: self.execution_id,
            execution: None,
            step: self.step,
            destination: self.destination,
            status: self.status,
            limit: self.limit.map(|limit| limit as usize),
            before,
            settled_since: self.settled_since.as_deref().map(read_time).transpose()?,
            search: None,
        })
    }
}

fn read_time(text: &str) -> crate::error::Result<Timestamp> {
    Timestamp::parse(text).ok_or_else(|| {
        let message = format!("engine.deliveries(): settledSince: {text:?} is no time");
        crate::error::Error::new(crate::error::ErrorKind::InvalidArgument, message)
    })
}

/// The most ids of a filter.
const MAX_IDS: usize = 1000;

fn read_ids(ids: &[String]) -> crate::error::Result<IdSet> {
    let refused = |message: String| {
        let message = format!("engine.deliveries(): {message}");
        crate::error::Error::new(crate::error::ErrorKind::InvalidArgument, message)
    };
    if ids.len() > MAX_IDS {
        return Err(refused(format!("ids: {} are more than {MAX_IDS}", ids.len())));
    }
    let parse = |id: &String| {
        id.parse().map_err(|_| refused(format!("{id:?} is not the id of a delivery")))
    };
    ids.iter().map(parse).collect()
}

/// The failed deliveries to replay: `plan`, `ids`, or a filter. At least one member is required.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct ReplaySelection {
    /// The `id` of a plan of this engine, which keeps the last 16: its calls, without those that are
    /// resolved since. Excludes the other members.
    pub plan: Option<String>,
    /// The ids of failed deliveries. Excludes the other members.
    pub ids: Option<Vec<String>>,
    /// With `ids`: also calls that a replay has delivered, or that were dismissed.
    pub force: Option<bool>,
    /// Only this workflow.
    pub workflow_id: Option<String>,
    /// Only this execution.
    pub execution_id: Option<String>,
    /// Only this step.
    pub step: Option<String>,
    /// Only this destination.
    #[napi(ts_type = "Delivery['destination'] | (string & {})")]
    pub destination: Option<String>,
    /// Only `'failed'` deliveries can be replayed; `{ status: 'failed' }` selects all of them.
    #[napi(ts_type = "'failed'")]
    pub status: Option<String>,
    /// The largest number of deliveries, newest first. Default: all.
    pub limit: Option<u32>,
    /// Only deliveries older than the one with this id.
    pub before: Option<String>,
}

impl ReplaySelection {
    pub(super) fn into_request(self, caller: &str) -> crate::error::Result<ReplayRequest> {
        let filter = DeliveryFilter {
            ids: None,
            workflow_id: self.workflow_id,
            execution_id: self.execution_id,
            step: self.step,
            destination: self.destination,
            status: self.status,
            limit: self.limit,
            before: self.before,
            settled_since: None,
        };
        let filters = !filter.is_empty();
        let refused = |message: &str| {
            let message = format!("{caller}: {message}");
            crate::error::Error::new(crate::error::ErrorKind::InvalidArgument, message)
        };
        let force = if self.force == Some(true) { Force::Resolved } else { Force::No };
        if let Some(plan) = self.plan {
            if filters || self.ids.is_some() || self.force.is_some() {
                return Err(refused("plan: excludes the other members"));
            }
            return Ok(ReplayRequest::Plan(plan));
        }
        match self.ids {
            None if self.force.is_some() => Err(refused("force: only together with ids")),
            Some(_) if filters => Err(refused("give either ids or a filter")),
            Some(ids) => {
                let parsed = ids.iter().map(|id| {
                    let refusal = |_| refused(&format!("{id:?} is not the id of a delivery"));
                    id.parse().map_err(refusal)
                });
                let ids = parsed.collect::<crate::error::Result<_>>()?;
                Ok(ReplayRequest::Selection(Selection::Ids(ids, force)))
            }
            None if filters => {
                if filter.status.as_deref().is_some_and(|status| status != "failed") {
                    return Err(refused("only failed deliveries can be replayed"));
                }
                let query = filter.into_query()?;
                let limit = query.limit.or(Some(u32::MAX as usize));
                Ok(ReplayRequest::Selection(Selection::Query(DeliveryQuery { limit, ..query })))
            }
            None => Err(refused("say which: { ids }, or a filter such as { status: 'failed' }")),
        }
    }
}

/// The result of `engine.replay()`.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ReplayResult {
    /// The new deliveries.
    pub replayed: Vec<Replay>,
    /// The selected deliveries that cannot be replayed.
    pub skipped: Vec<SkippedReplay>,
    /// `true` if `signal` was aborted before all calls were handed over.
    pub cancelled: bool,
}

/// The plan of a replay: its effect, if it were made now.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ReplayPlan {
    /// The id of the plan, for `engine.replay({ plan })`.
    pub id: String,
    /// The number of calls.
    pub count: f64,
    /// The bytes of their payloads.
    pub bytes: f64,
    /// The number of calls for each queue: for `http` the origin, otherwise the destination.
    #[napi(ts_type = "Record<string, number>")]
    pub hosts: HashMap<String, f64>,
    /// The number of calls for each error code.
    #[napi(ts_type = "Record<string, number>")]
    pub errors: HashMap<String, f64>,
    /// The time of the oldest call (ISO 8601, UTC); `null` without calls.
    #[napi(ts_type = "string | null")]
    pub oldest: Option<String>,
    /// The number of selected deliveries that cannot be replayed.
    pub skipped: f64,
    /// The number of them for each reason.
    #[napi(ts_type = "Record<string, number>")]
    pub reasons: HashMap<String, f64>,
}

/// A new delivery and the one that it replays.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct Replay {
    /// The id of the new delivery.
    pub id: String,
    /// The id of the failed delivery.
    pub replay_of: String,
}

/// A delivery that cannot be replayed.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct SkippedReplay {
    /// The id of the delivery.
    pub id: String,
    /// The reason.
    pub reason: String,
}

/// A filter of executions. Absent members match all.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct ExecutionFilter {
    /// Only this workflow.
    pub workflow_id: Option<String>,
    /// The largest number of results. Default: 100.
    pub limit: Option<u32>,
    /// Only executions older than this one: the `cursor` of the last of the previous page. An
    /// `executionId` stands for its newest attempt, so a page may repeat older attempts of it.
    pub before: Option<String>,
}

impl From<ExecutionFilter> for ExecutionQuery {
    fn from(filter: ExecutionFilter) -> Self {
        Self {
            workflow_id: filter.workflow_id,
            execution_id: None,
            limit: filter.limit.map(|limit| limit as usize),
            before: filter.before.map(Into::into),
            search: None,
        }
    }
}
