//! The operator's control of deliveries for JavaScript: pauses, and attempts that are made now.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::engine::Engine;
use super::types::TimeoutOptions;
use crate::engine::{PauseTarget as Target, RetryFilter as Filter};
use crate::error::{Error, ErrorKind, Result};

/// The target of a pause: exactly one member.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct PauseTarget {
    /// A host: `api.example.com` with all its ports, or `api.example.com:8443`.
    pub host: Option<String>,
    /// A destination.
    #[napi(ts_type = "Delivery['destination'] | (string & {})")]
    pub destination: Option<String>,
    /// A workflow.
    pub workflow_id: Option<String>,
    /// `true`: everything.
    pub all: Option<bool>,
}

impl PauseTarget {
    fn read(self, caller: &str) -> Result<Target> {
        let targets = [
            self.host.map(Target::Host),
            self.destination.map(Target::Destination),
            self.workflow_id.map(Target::WorkflowId),
            (self.all == Some(true)).then_some(Target::All),
        ];
        Target::only(targets.into_iter().flatten()).map_err(|error| error.within(caller))
    }
}

/// A pause.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct Pause {
    /// The paused host.
    pub host: Option<String>,
    /// The paused destination.
    pub destination: Option<String>,
    /// The paused workflow.
    pub workflow_id: Option<String>,
    /// `true` if everything is paused.
    pub all: Option<bool>,
    /// The beginning of the pause (ISO 8601, UTC).
    pub since: String,
}

/// The deliveries to attempt now. At least one member is required; `{ status: 'pending' }` selects all.
#[napi(object, object_to_js = false)]
#[derive(Debug, Default)]
pub struct RetryFilter {
    /// The ids of deliveries.
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
    /// Only this host: `api.example.com`, or `api.example.com:8443`.
    pub host: Option<String>,
    /// Only deliveries whose last attempt failed with this code.
    #[napi(ts_type = "ErrorCode | (string & {})")]
    pub error_code: Option<String>,
    /// Only `'pending'` deliveries wait for an attempt.
    #[napi(ts_type = "'pending'")]
    pub status: Option<String>,
}

impl RetryFilter {
    fn read(self) -> Result<Filter> {
        let refused = |message: String| {
            let message = format!("engine.retryNow(): {message}");
            Error::new(ErrorKind::InvalidArgument, message)
        };
        if self.status.as_deref().is_some_and(|status| status != "pending") {
            return Err(refused("only pending deliveries wait for an attempt".to_owned()));
        }
        let ids = self.ids.map(|ids| {
            let parse = |id: &String| {
                id.parse().map_err(|_| refused(format!("{id:?} is not the id of a delivery")))
            };
            ids.iter().map(parse).collect::<Result<_>>()
        });
        Filter {
            ids: ids.transpose()?,
            workflow_id: self.workflow_id,
            execution_id: self.execution_id,
            step: self.step,
            destination: self.destination,
            host: self.host.map(|host| host.to_ascii_lowercase()),
            error_code: self.error_code,
        }
        .checked(self.status.is_some())
        .map_err(|error| error.within("engine.retryNow()"))
    }
}

#[napi]
impl Engine {
    /// Waits until there is room for more calls: until undelivered calls take at most half of
    /// `maxPendingBytes`, or nothing is left to deliver. A producer that is faster than its receivers
    /// awaits it between calls, so that `$send` never throws `ERR_SEND_JOURNAL_FULL`. While deliveries
    /// are paused, it may wait until they are resumed.
    ///
    /// Rejects with `ERR_SEND_TIMEOUT`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn ready<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        let timeout = options.and_then(|options| options.duration());
        self.ask(env, async move |engine| {
            open?;
            engine.ready(timeout).await
        })
    }

    /// Pauses a host, a destination, a workflow or everything: nothing of it is attempted before
    /// `resume()`. Attempts in flight go on, and calls are recorded as before. With `dataDir` a pause
    /// outlives the process; with `journal.postgres` every node holds to it within 250 ms. Resolves, with
    /// all pauses, when it is as durable as `complete()`.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Pause>>")]
    pub fn pause<'env>(&self, env: &'env Env, target: PauseTarget) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        self.ask(env, async move |engine| {
            open?;
            Ok(text_of(&engine.pause(target.read("engine.pause()")?).await?))
        })
    }

    /// Ends a pause; `{ all: true }` ends every pause. Other pauses stay. Resolves with
    /// the pauses that are left.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Pause>>")]
    pub fn resume<'env>(&self, env: &'env Env, target: PauseTarget) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        self.ask(env, async move |engine| {
            open?;
            Ok(text_of(&engine.resume(&target.read("engine.resume()")?).await?))
        })
    }

    /// Attempts deliveries now that wait for their next attempt, and probes hosts whose circuit breaker
    /// is open. Paused deliveries stay paused. Batches that could not be stored are selected by
    /// `destination` alone, or with everything. With `journal.postgres` every node does so. Returns the
    /// number of deliveries.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    pub fn retry_now<'env>(
        &self,
        env: &'env Env,
        filter: RetryFilter,
    ) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        self.ask(env, async move |engine| {
            open?;
            let retried = engine.retry_now(&filter.read()?).await?;
            Ok(u32::try_from(retried).unwrap_or(u32::MAX))
        })
    }
}

fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
