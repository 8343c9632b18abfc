//! `Engine`: the handle that JavaScript holds. It never owns undelivered work.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Function, Object, retain_current_module_for_unload_safety};
use napi_derive::napi;

use super::error::{to_js_error, to_napi_error};
use super::execution::limit;
use super::executions::track_execution;
use super::handle::JsHandle;
use super::mailbox::HandleMailbox;
use super::options;
use super::promise::promise;
use super::types::{
    CloseResult, DeliveryFilter, ExecutionFilter, ServerAddress, StreamUrlOptions, TimeoutOptions,
};
use crate::config::{Config, LateCalls};
use crate::destinations::sql::duckdb::{DuckDb, ParquetWriter};
use crate::engine::{self, registry, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::Trace;
use crate::observability::events::Topic;
use crate::streams::ListenerFilter;
use crate::time::Timestamp;

/// The error of a synchronous export.
pub(super) type Thrown = napi::Error<ErrorKind>;

/// Records and delivers the `$send` calls of workflow steps. Open one per process.
///
/// Without `dataDir` everything is in memory, and undelivered calls are lost when the process ends.
/// The main thread then waits up to a second for deliveries, as a best effort. Call
/// `await engine.close()` to be sure of them.
#[napi]
pub struct Engine {
    pub(super) handle: Arc<JsHandle>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// The default deadline of `close()`: 10 s.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The default lifetime of a signed URL: an hour.
const STREAM_URL_TIME: Duration = Duration::from_secs(3600);
/// The longest lifetime of a signed URL.
const MAX_STREAM_URL_TIME: Duration = Duration::from_secs(366 * 24 * 3600);

#[napi]
impl Engine {
    /// Opens an engine.
    ///
    /// Rejects with `ERR_SEND_INVALID_OPTION`, whose message names the path of the option;
    /// `ERR_SEND_DATA_DIR_LOCKED`, `ERR_SEND_JOURNAL`, `ERR_SEND_ADDRESS_IN_USE`.
    #[napi(
        catch_unwind,
        ts_args_type = "options?: EngineOptions",
        ts_return_type = "Promise<Engine>"
    )]
    pub fn open(env: &Env, options: String) -> napi::Result<Object<'_>> {
        retain_current_module_for_unload_safety();
        let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
        let handle = JsHandle::begin();
        let holder = Arc::clone(&handle);
        // Reading the system's certificates takes milliseconds: not on this thread.
        let opened = async move {
            let open = move || {
                let opened = registry::open(options::read(&options)?, crate::server::start)?;
                holder.hold(opened);
                Ok(())
            };
            let opened = tokio::task::spawn_blocking(open).await;
            opened.unwrap_or_else(|panic| {
                Err(Error::new(ErrorKind::Internal, "opening the engine panicked")
                    .with_source(panic))
            })
        };
        promise(env, &runtime, opened, |_, ()| Ok(Self { handle }))
    }

    fn opened(&self) -> Result<&engine::Handle> {
        // JavaScript gets a handle when it is open.
        self.handle.engine().ok_or_else(engine::closed)
    }

    fn inner(&self) -> Result<Arc<engine::Engine>> {
        self.opened().map(|opened| Arc::clone(opened.engine()))
    }

    /// The engine of a handle that is not closed.
    pub(super) fn open_engine(&self) -> Result<Arc<engine::Engine>> {
        self.opened()?.check_open()?;
        self.inner()
    }

    /// Begins one run of a workflow, for as long as `object` lives. Returns the number that JavaScript
    /// knows it by.
    #[napi(js_name = "_execution", catch_unwind, skip_typescript)]
    #[allow(clippy::too_many_arguments, reason = "an object would cost more to read")]
    pub fn execution(
        &self,
        object: Object<'_>,
        workflow_id: String,
        execution_id: Option<String>,
        attempt: Option<u32>,
        emit_depth: Option<u32>,
        trace: Option<String>,
        trigger: Option<String>,
    ) -> std::result::Result<u32, Thrown> {
        let begin = || {
            let execution = self.open_engine()?.execution(engine::Run {
                workflow_id,
                execution_id,
                attempt: attempt.unwrap_or(1),
                emit_depth: emit_depth.unwrap_or_default(),
                trace: trace.map(|text| Trace::from_text(&text)),
                trigger: trigger.map(String::into_boxed_str),
            })?;
            track_execution(object, execution, self.handle.mailbox().cloned())
        };
        begin().map_err(|error: Error| to_napi_error(&error))
    }

    /// Returns deliveries of the log, newest first, including calls that are not completed yet.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` if `before` is not the id of a delivery.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Delivery>>")]
    pub fn deliveries<'env>(
        &self,
        env: &'env Env,
        filter: Option<DeliveryFilter>,
    ) -> napi::Result<Object<'env>> {
        let query = filter.unwrap_or_default().into_query();
        self.ask(env, async move |engine| engine.deliveries(&query?).await)
    }

    /// Returns executions of the log, newest first: one for each attempt of a run.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` if `before` is neither a `cursor` nor the id of an
    /// execution in the log.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<ExecutionSummary>>")]
    pub fn executions<'env>(
        &self,
        env: &'env Env,
        filter: Option<ExecutionFilter>,
    ) -> napi::Result<Object<'env>> {
        let query = filter.unwrap_or_default().into();
        self.ask(env, async move |engine| {
            let found = engine.executions(&query).await;
            found.map_err(|error| error.within("engine.executions()"))
        })
    }

    /// Closes open batches and waits until every delivery of a completed execution is terminal. For
    /// serverless hosts and tests.
    ///
    /// Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs` (default: no limit), and with
    /// `ERR_SEND_CLOSED` if the engine closes before that.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn flush<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let timeout = options.and_then(|options| options.duration());
        self.ask(env, async move |engine| engine.flush(timeout).await.map(drop))
    }

    /// Stops taking calls, delivers until the deadline (`timeoutMs`, default 10,000), and returns the
    /// counts. Requests still in flight at the deadline are cancelled. Closing again returns the same
    /// counts. A shared engine closes with its last handle. `await using engine = …` closes it too.
    #[napi(catch_unwind, ts_return_type = "Promise<CloseResult>")]
    pub fn close<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let timeout =
            options.and_then(|options| limit(options.timeout_ms)).unwrap_or(CLOSE_TIMEOUT);
        let engine = self.inner().map_err(|error| to_js_error(*env, &error))?;
        let closed = self.handle.close(timeout);
        promise(env, engine.runtime(), closed, |_, drained| Ok(CloseResult::from(drained)))
    }

    /// Returns a promise for the result of an engine's future.
    pub(super) fn ask<'env, T, F>(
        &self,
        env: &'env Env,
        query: impl FnOnce(Arc<engine::Engine>) -> F,
    ) -> napi::Result<Object<'env>>
    where
        T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let engine = self.inner().map_err(|error| to_js_error(*env, &error))?;
        let runtime = engine.runtime().clone();
        promise(env, &runtime, query(engine), |_, value| Ok(value))
    }

    /// Returns the current counters and gauges.
    #[napi(catch_unwind, ts_return_type = "EngineStats")]
    pub fn stats(&self) -> std::result::Result<String, Thrown> {
        let stats =
            self.inner().map(|engine| engine.stats()).map_err(|error| to_napi_error(&error))?;
        Ok(serde_json::to_string(&stats).unwrap_or_default())
    }

    /// Returns the addresses declared in `egress.addresses`, for the allow-lists of receivers.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn egress_addresses(&self) -> Vec<String> {
        self.inner().map(|engine| engine.egress_addresses().to_vec()).unwrap_or_default()
    }

    /// Returns the address of the server; `null` if the engine was opened without `server`.
    #[napi(catch_unwind, ts_return_type = "ServerAddress | null")]
    #[must_use]
    pub fn address(&self) -> Option<ServerAddress> {
        let engine = self.inner().ok()?;
        engine.server().map(|server| ServerAddress {
            host: server.address().ip().to_string(),
            port: server.address().port(),
            url: server.url().to_owned(),
        })
    }

    /// Returns a signed URL of a workflow's stream, for `EventSource` in a page. It needs no token, and
    /// expires.
    ///
    /// Throws `ERR_SEND_NOT_CONFIGURED` if the engine was opened without `server`,
    /// `ERR_SEND_INVALID_ARGUMENT`.
    #[napi(
        catch_unwind,
        ts_args_type = "workflowId: string, options?: StreamUrlOptions",
        ts_return_type = "string"
    )]
    pub fn stream_url(
        &self,
        workflow_id: String,
        options: Option<StreamUrlOptions>,
    ) -> std::result::Result<String, Thrown> {
        let engine = self.inner().map_err(|error| to_napi_error(&error))?;
        let server = engine.server().ok_or_else(|| {
            let message = "engine.streamUrl(): the engine was opened without `server`";
            to_napi_error(&Error::new(ErrorKind::NotConfigured, message))
        })?;
        let expires_in_ms = options.and_then(|options| options.expires_in_ms);
        let time = match expires_in_ms {
            None => STREAM_URL_TIME,
            Some(_) => limit(expires_in_ms)
                .filter(|time| *time <= MAX_STREAM_URL_TIME)
                .ok_or_else(|| {
                    let message = "engine.streamUrl(): expiresInMs must be between 0 and \
                                   31,622,400,000 (366 days)";
                    to_napi_error(&Error::new(ErrorKind::InvalidArgument, message))
                })?,
        };
        let now = Timestamp::now().as_millis();
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // Whole seconds, rounded up.
        let until = Timestamp::from_millis((now + time).div_ceil(1000) * 1000);
        Ok(server.signed_stream_url(&workflow_id, until))
    }

    /// Adds a destination whose function runs on this thread. Returns its number.
    #[napi(js_name = "_destination", catch_unwind, skip_typescript)]
    pub fn destination(&self, name: String, options: String) -> std::result::Result<u32, Thrown> {
        let add = || {
            let options = options::read_destination(&options)?;
            let kind = self.inner()?.add_destination(&name, options, self.handle.thread())?;
            Ok(kind.number())
        };
        add().map_err(|error: Error| to_napi_error(&error))
    }

    /// Completes a job with its result.
    #[napi(js_name = "_answerJob", catch_unwind, skip_typescript)]
    pub fn answer_job(&self, job: f64, answer: String) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is the number that Rust gave, which counts from 0"
        )]
        if let Ok(engine) = self.inner() {
            engine.answer_job(job as u64, answer);
        }
    }

    /// Returns the settings of DuckDB as JSON, by the destinations that have this thread run it. The thread is
    /// theirs from here on. `null`: there are none.
    #[napi(js_name = "_attachDuckDb", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn attach_duckdb(&self) -> Option<String> {
        let engine = self.inner().ok()?;
        let (duckdb, parquet) = (engine.duckdb(), engine.parquet());
        let threads = [duckdb.map(DuckDb::threads), parquet.map(ParquetWriter::threads)];
        let mut is_needed = false;
        for threads in threads.into_iter().flatten() {
            threads.attach(self.handle.thread());
            is_needed = true;
        }
        let settings = serde_json::json!({
            "sql": duckdb.map(DuckDb::config),
            "s3": parquet.map(ParquetWriter::config),
        });
        is_needed.then(|| settings.to_string())
    }

    /// Forgets everything that calls this thread: its destinations, its warehouse, its listeners.
    #[napi(js_name = "_detach", catch_unwind, skip_typescript)]
    pub fn detach(&self) {
        self.handle.detach();
    }

    /// Runs a query. Resolves to the path of its result, as JSON.
    #[napi(js_name = "_query", catch_unwind, skip_typescript)]
    pub fn query<'env>(&self, env: &'env Env, query: String) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        self.ask(env, async move |engine| {
            open?;
            let answered = engine.query(&options::read_query(&query)?).await?;
            Ok(serde_json::to_string(&answered).unwrap_or_default())
        })
    }

    /// Adds a listener for emitted events, which `_takeEvents()` returns.
    #[napi(js_name = "_listenTo", catch_unwind, skip_typescript)]
    pub fn listen_to(
        &self,
        number: u32,
        emitter_id: Option<String>,
        event_name: String,
        listener_id: Option<String>,
    ) {
        let (Ok(engine), Some(mailbox)) = (self.inner(), self.handle.mailbox()) else { return };
        let wish = match listener_id {
            Some(listener) => ListenerFilter::Listener(listener),
            None => {
                ListenerFilter::Emitter { emitter_id: emitter_id.unwrap_or_default(), event_name }
            }
        };
        engine.subscriptions().listen(wish, number, Arc::clone(mailbox.events()));
    }

    /// Removes a listener for emitted events.
    #[napi(js_name = "_ignoreFrom", catch_unwind, skip_typescript)]
    pub fn ignore_from(&self, number: u32) {
        if let (Ok(engine), Some(mailbox)) = (self.inner(), self.handle.mailbox()) {
            engine.subscriptions().ignore(Some(number), mailbox.events());
        }
    }

    /// Returns whether warnings throw.
    #[napi(getter, js_name = "_strict", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn strict(&self) -> bool {
        self.inner().is_ok_and(|engine| engine.config().strict)
    }

    /// Returns whether a call after the end of its execution throws.
    #[napi(getter, js_name = "_lateCallsThrow", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn late_calls_throw(&self) -> bool {
        let throws = |config: &Config| config.strict || config.late_calls == LateCalls::Throw;
        self.inner().is_ok_and(|engine| throws(engine.config()))
    }

    /// Returns the largest size of one call, in bytes.
    #[napi(getter, js_name = "_maxPayloadBytes", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn max_payload_bytes(&self) -> f64 {
        self.inner().map_or(0.0, |engine| to_f64(engine.config().max_payload_bytes))
    }

    /// Returns the folder whose files mails may attach.
    #[napi(getter, js_name = "_attachmentFolder", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn attachment_folder(&self) -> Option<String> {
        let engine = self.inner().ok()?;
        let folder = engine.config().destinations.email.attachment_folder.as_ref()?;
        Some(folder.display().to_string())
    }

    /// Registers the callback that is invoked when `_takeCompletions()` or `_takeEvents()` has
    /// something.
    #[napi(js_name = "_attach", catch_unwind, skip_typescript)]
    pub fn attach(&self, wake: Function<'_, (), ()>) -> napi::Result<()> {
        self.handle.attach(HandleMailbox::new(&wake)?);
        Ok(())
    }

    /// Subscribes this thread to a topic of the events, or unsubscribes it.
    #[napi(js_name = "_listen", catch_unwind, skip_typescript)]
    pub fn listen(&self, topic: String, on: bool) {
        let (Ok(engine), Some(mailbox)) = (self.inner(), self.handle.mailbox()) else { return };
        let Some(topic) = Topic::from_name(&topic) else { return };
        if on {
            mailbox.events().listen(topic);
            engine.events().subscribe(mailbox.events());
        } else {
            mailbox.events().ignore(topic);
        }
    }

    /// Takes the events that wait, as a JSON array of `[topic, event]`; empty when none does.
    #[napi(js_name = "_takeEvents", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn take_events(&self) -> String {
        self.handle.mailbox().and_then(|mailbox| mailbox.take_events()).unwrap_or_default()
    }

    /// Takes the completion hooks that are done, three numbers for each: see `Mailbox::take`.
    #[napi(js_name = "_takeCompletions", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn take_completions(&self) -> Vec<f64> {
        self.handle.mailbox().map(|mailbox| mailbox.take()).unwrap_or_default()
    }

    /// Throws the refusal of the hook with this ticket.
    #[napi(js_name = "_throwRefusal", catch_unwind, skip_typescript)]
    pub fn throw_refusal(&self, ticket: u32) -> std::result::Result<(), Thrown> {
        let refusal = self.handle.mailbox().and_then(|mailbox| mailbox.refusal(ticket));
        refusal.map_or(Ok(()), |refusal| Err(to_napi_error(&refusal)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
const fn to_f64(limit: usize) -> f64 {
    limit as f64
}
