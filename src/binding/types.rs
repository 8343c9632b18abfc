//! The plain objects that cross the border, as `index.d.ts` declares them.

use std::time::Duration;

use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::execution::limit;
use crate::engine::Drained;
use crate::observability::log::{DeliveryQuery, ExecutionQuery, Selection};

/// A limit for a wait.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct TimeoutOptions {
    /// Milliseconds to wait at most.
    pub timeout_ms: Option<f64>,
}

impl TimeoutOptions {
    pub(super) fn duration(&self) -> Option<Duration> {
        limit(self.timeout_ms)
    }
}

/// Where the server listens.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ServerAddress {
    /// The address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How it is reached: `server.publicUrl`, or `http://` and the address.
    pub url: String,
}

/// What `engine.streamUrl()` takes.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct StreamUrlOptions {
    /// Milliseconds that the URL is good for. Default: an hour.
    pub expires_in_ms: Option<f64>,
}

/// What the completion hook answers.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct CompletionReceipt {
    /// The execution.
    pub execution_id: String,
    /// Calls that were handed over by this hook.
    pub recorded: u32,
    /// Whether they survive the end of the process: `true` with `dataDir`.
    pub durable: bool,
}

/// What `engine.close()` answers.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct CloseResult {
    /// Deliveries that reached their destination since the engine was opened.
    pub delivered: f64,
    /// Deliveries that failed since the engine was opened.
    pub failed: f64,
    /// Deliveries that were not terminal at the deadline. With `dataDir` they stay in the journal
    /// and go on with the next opening. In memory they are lost: the log shows them as `failed`
    /// with `ERR_SEND_INTERRUPTED`.
    pub pending: f64,
}

impl From<Drained> for CloseResult {
    #[expect(clippy::cast_precision_loss, reason = "counters stay far below 2^53")]
    fn from(drained: Drained) -> Self {
        Self {
            delivered: drained.delivered as f64,
            failed: drained.failed as f64,
            pending: drained.pending as f64,
        }
    }
}

/// Why a delivery failed.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct DeliveryError {
    /// One of the `ERR_SEND_*` codes.
    #[napi(ts_type = "ErrorCode")]
    pub code: String,
    /// A sentence for people; it names no secret.
    pub message: String,
    /// What was under way when it failed, when that is known.
    #[napi(ts_type = "'dns' | 'connect' | 'tls' | 'request' | 'response' | 'body'")]
    pub phase: Option<String>,
}

/// One delivery in the log: a call, and all that is known about what became of it.
#[napi(object, object_from_js = false)]
pub struct Delivery {
    /// A `UUIDv7`: time-ordered, stable from the call on.
    pub id: String,
    /// The workflow.
    pub workflow_id: String,
    /// The run.
    pub execution_id: String,
    /// The step that made the call.
    pub step: String,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// The failed delivery that this one repeats.
    pub replay_of: Option<String>,
    /// The method of `$send` that was called.
    #[napi(ts_type = "'http' | 'email' | 's3' | 'sql' | 'sse' | 'emit' | (string & {})")]
    pub destination: String,
    /// Where it is. `delivered`, `failed` and `discarded` are terminal.
    #[napi(
        ts_type = "'recorded' | 'pending' | 'batched' | 'in-flight' | 'delivered' | 'failed' | 'discarded'"
    )]
    pub status: String,
    /// The request, redacted. `http`: `HttpRequestLog`; `email`: the mail, `EmailRequestLog`; other
    /// destinations: the call as recorded.
    #[napi(ts_type = "HttpRequestLog | EmailRequestLog | Record<string, unknown>")]
    pub request: Object<'static>,
    /// The response, if there was one, also when it means failure.
    #[napi(
        ts_type = "HttpResponseLog | EmailResponseLog | S3ResponseLog | SqlResponseLog | SseResponseLog | EmitResponseLog"
    )]
    pub response: Option<Object<'static>>,
    /// Why it failed.
    pub error: Option<DeliveryError>,
    /// What is odd about the call, one sentence each.
    pub warnings: Vec<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// When the call was made (ISO 8601, UTC).
    pub recorded_at: String,
    /// When the destination had it.
    pub delivered_at: Option<String>,
    /// When it became terminal.
    pub settled_at: Option<String>,
}

/// One execution in the log; the Inspector's **Dest.** column is `delivered`/`total`.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ExecutionSummary {
    /// Opaque text that names this attempt alone: `before` of `engine.executions()` and `after` of
    /// the REST API continue from it.
    pub cursor: String,
    /// The run.
    pub execution_id: String,
    /// Its workflow.
    pub workflow_id: String,
    /// Which attempt of the run it is.
    pub attempt: u32,
    /// `running` until its end; `failed` if it was completed with an error.
    #[napi(ts_type = "'running' | 'completed' | 'failed' | 'discarded'")]
    pub status: String,
    /// Deliveries that reached their destination.
    pub delivered: u32,
    /// Deliveries that failed.
    pub failed: u32,
    /// Calls that were discarded.
    pub discarded: u32,
    /// Deliveries that are not terminal.
    pub pending: u32,
    /// All calls.
    pub total: u32,
    /// When `engine.execution()` was called (ISO 8601, UTC).
    pub started_at: String,
    /// When it was completed or discarded.
    pub completed_at: Option<String>,
    /// The message of the error that it was completed with.
    pub error: Option<String>,
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
    /// Handed over and not terminal, those in flight included.
    pub pending: f64,
    /// Attempts under way.
    pub in_flight: f64,
    /// Bytes of all undelivered calls.
    pub pending_bytes: f64,
    /// Executions that are neither completed nor discarded.
    pub open_executions: f64,
    /// Deliveries that wait for their next attempt.
    pub retrying: f64,
    /// The queues that have work or fail, busiest first.
    pub lanes: Vec<LaneStats>,
}

/// One queue: for `http`, one host.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct LaneStats {
    /// The destination.
    pub destination: String,
    /// For `http` the origin of the URL, otherwise the destination's name.
    pub lane: String,
    /// Attempts under way.
    pub in_flight: f64,
    /// Deliveries that wait.
    pub waiting: f64,
    /// `open`: the host keeps failing and is left alone; `half-open`: it is probed.
    #[napi(ts_type = "'closed' | 'open' | 'half-open'")]
    pub breaker: String,
}

/// Which deliveries `engine.deliveries()` answers; what is absent does not restrict.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct DeliveryFilter {
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// Only of this execution.
    pub execution_id: Option<String>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only to this destination.
    #[napi(ts_type = "Delivery['destination']")]
    pub destination: Option<String>,
    /// Only in this status.
    #[napi(ts_type = "Delivery['status']")]
    pub status: Option<String>,
    /// At most this many. Default: 100.
    pub limit: Option<u32>,
    /// Only older than the delivery with this id: the last one of the page before.
    pub before: Option<String>,
}

impl DeliveryFilter {
    fn is_empty(&self) -> bool {
        let texts =
            [&self.workflow_id, &self.execution_id, &self.step, &self.destination, &self.status];
        texts.iter().all(|text| text.is_none()) && self.before.is_none() && self.limit.is_none()
    }

    pub(super) fn into_query(self) -> crate::error::Result<DeliveryQuery> {
        let before = self.before.map(|id| id.parse()).transpose().map_err(|source| {
            crate::error::Error::new(
                crate::error::ErrorKind::InvalidArgument,
                "engine.deliveries(): before is not the id of a delivery",
            )
            .with_source(source)
        })?;
        Ok(DeliveryQuery {
            workflow_id: self.workflow_id,
            execution_id: self.execution_id,
            execution: None,
            step: self.step,
            destination: self.destination,
            status: self.status,
            limit: self.limit.map(|limit| limit as usize),
            before,
        })
    }
}

/// Which failed deliveries `engine.replay()` makes again: those with these ids, or those that the
/// other members find. At least one member has to be there.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct ReplaySelection {
    /// The ids of failed deliveries. Not together with other members.
    pub ids: Option<Vec<String>>,
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// Only of this execution.
    pub execution_id: Option<String>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only to this destination.
    #[napi(ts_type = "Delivery['destination']")]
    pub destination: Option<String>,
    /// Only `'failed'` deliveries can be replayed: `{ status: 'failed' }` means all of them.
    #[napi(ts_type = "'failed'")]
    pub status: Option<String>,
    /// At most this many, the newest. Default: all.
    pub limit: Option<u32>,
    /// Only older than the delivery with this id.
    pub before: Option<String>,
}

impl ReplaySelection {
    pub(super) fn into_selection(self) -> crate::error::Result<Selection> {
        let filter = DeliveryFilter {
            workflow_id: self.workflow_id,
            execution_id: self.execution_id,
            step: self.step,
            destination: self.destination,
            status: self.status,
            limit: self.limit,
            before: self.before,
        };
        let filters = !filter.is_empty();
        let refused = |message: &str| {
            let message = format!("engine.replay(): {message}");
            crate::error::Error::new(crate::error::ErrorKind::InvalidArgument, message)
        };
        match self.ids {
            Some(_) if filters => Err(refused("give either ids or a filter")),
            Some(ids) => {
                let parsed = ids.iter().map(|id| {
                    let refusal = |_| refused(&format!("{id:?} is not the id of a delivery"));
                    id.parse().map_err(refusal)
                });
                parsed.collect::<crate::error::Result<_>>().map(Selection::Ids)
            }
            None if filters => {
                if filter.status.as_deref().is_some_and(|status| status != "failed") {
                    return Err(refused("only failed deliveries can be replayed"));
                }
                let query = filter.into_query()?;
                let limit = query.limit.or(Some(u32::MAX as usize));
                Ok(Selection::Query(DeliveryQuery { limit, ..query }))
            }
            None => Err(refused("say which: { ids }, or a filter such as { status: 'failed' }")),
        }
    }
}

/// What `engine.replay()` did.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct ReplayResult {
    /// The new deliveries.
    pub replayed: Vec<Replay>,
    /// What was asked for and cannot be replayed.
    pub skipped: Vec<SkippedReplay>,
}

/// A new delivery and the one that it repeats.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct Replay {
    /// The new delivery.
    pub id: String,
    /// The failed one.
    pub replay_of: String,
}

/// A delivery that cannot be replayed.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct SkippedReplay {
    /// The delivery.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// Which executions `engine.executions()` answers; what is absent does not restrict.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct ExecutionFilter {
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// At most this many. Default: 100.
    pub limit: Option<u32>,
    /// Only older than this: the `cursor` of the last execution of the page before. An `executionId`
    /// means its newest attempt, so that a page may repeat older attempts of it.
    pub before: Option<String>,
}

impl From<ExecutionFilter> for ExecutionQuery {
    fn from(filter: ExecutionFilter) -> Self {
        Self {
            workflow_id: filter.workflow_id,
            execution_id: None,
            limit: filter.limit.map(|limit| limit as usize),
            before: filter.before.map(Into::into),
        }
    }
}
