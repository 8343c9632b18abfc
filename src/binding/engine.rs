//! `Engine`: the handle that JavaScript holds. It is never the owner of undelivered work.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Function, Object, retain_current_module_for_unload_safety};
use napi_derive::napi;

use super::destination_options;
use super::error::{rejected, thrown};
use super::execution::limit;
use super::executions::{forget_all, hold};
use super::handle::{Handle, release_all};
use super::mailbox::Mailbox;
use super::options;
use super::promise::promise;
use super::sql_options;
use super::types::{
    CloseResult, DeliveryFilter, ExecutionFilter, ReplaySelection, ServerAddress, StreamUrlOptions,
    TimeoutOptions,
};
use crate::engine::{self, registry, runtime};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::events::Topic;
use crate::observability::log::Trace;
use crate::observability::time::Timestamp;
use crate::streams::Wish;

/// What a synchronous export throws.
type Thrown = napi::Error<ErrorKind>;

/// Records and delivers the `$send` calls of workflow steps. Open one per process.
///
/// Without a data directory everything is in memory: what is not delivered when the process ends
/// is lost. At the end of the process the main thread waits up to a second for deliveries that
/// are under way; that is a courtesy, not a guarantee: `await engine.close()` is.
#[napi]
pub struct Engine {
    handle: Arc<Handle>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// How long `close()` drains when it is not told: 10 s.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a signed URL is good for when it is not told: an hour.
const STREAM_URL_TIME: Duration = Duration::from_secs(3600);
/// How long it may be good for at most.
const MAX_STREAM_URL_TIME: Duration = Duration::from_secs(366 * 24 * 3600);

#[napi]
impl Engine {
    /// Opens an engine. Every option is checked; a message names the path of what is wrong.
    ///
    /// Rejects with `ERR_SEND_INVALID_OPTION`.
    #[napi(
        catch_unwind,
        ts_args_type = "options?: EngineOptions",
        ts_return_type = "Promise<Engine>"
    )]
    pub fn open(env: &Env, options: String) -> napi::Result<Object<'_>> {
        retain_current_module_for_unload_safety();
        let runtime = runtime::handle().map_err(|error| rejected(*env, &error))?;
        let handle = Handle::begin();
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
    fn open_engine(&self) -> Result<Arc<engine::Engine>> {
        self.opened()?.check_open()?;
        self.inner()
    }

    /// Begins one run of a workflow, for as long as `object` lives; the answer is the number that
    /// JavaScript knows it by.
    #[napi(js_name = "_execution", catch_unwind, skip_typescript)]
    pub fn execution(
        &self,
        object: Object<'_>,
        workflow_id: String,
        execution_id: Option<String>,
        attempt: Option<u32>,
        emit_depth: Option<u32>,
        trace: Option<String>,
    ) -> std::result::Result<u32, Thrown> {
        let begin = || {
            let execution = self.open_engine()?.execution(engine::Run {
                workflow_id,
                execution_id,
                attempt: attempt.unwrap_or(1),
                emit_depth: emit_depth.unwrap_or_default(),
                trace: trace.map(|text| Trace::from_text(&text)),
            })?;
            hold(object, execution, self.handle.mailbox().cloned())
        };
        begin().map_err(|error: Error| thrown(&error))
    }

    /// The log, newest first, calls in open buffers included.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when `before` is not the id of a delivery.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Delivery>>")]
    pub fn deliveries<'env>(
        &self,
        env: &'env Env,
        filter: Option<DeliveryFilter>,
    ) -> napi::Result<Object<'env>> {
        let query = filter.unwrap_or_default().into_query();
        self.ask(env, async move |engine| engine.deliveries(&query?).await)
    }

    /// The executions in the log, newest first: one for each attempt of a run.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when `before` is neither a `cursor` nor the id of an
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

    /// Retries failed deliveries as new deliveries of the same executions, linked by `replayOf`.
    /// Resolves when they are as durable as `complete()` makes them. `skipped` lists the ids that
    /// are not those of failed deliveries. Without `limit`, replays everything that the filter
    /// finds.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when nothing is selected or an id is malformed,
    /// `ERR_SEND_JOURNAL_FULL`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<ReplayResult>")]
    pub fn replay<'env>(
        &self,
        env: &'env Env,
        selection: ReplaySelection,
    ) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        let selection = selection.into_selection();
        self.ask(env, async move |engine| {
            open?;
            let replayed = engine.replay(&selection?).await?;
            Ok(serde_json::to_string(&replayed).unwrap_or_default())
        })
    }

    /// Closes open batches and waits until every delivery that was handed over is terminal. For
    /// serverless hosts and tests.
    ///
    /// Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs` (default: no limit), and with
    /// `ERR_SEND_CLOSED` when the engine closes with work left.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn flush<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let timeout = options.and_then(|options| options.duration());
        self.ask(env, async move |engine| engine.flush(timeout).await.map(drop))
    }

    /// Takes no more work, drains until the deadline (`timeoutMs`, default 10 s), and returns the
    /// counts. Requests still in flight at the deadline are cancelled. Closing again returns the
    /// same counts. An engine that is shared ends with its last handle. Also
    /// `await using engine = …`.
    #[napi(catch_unwind, ts_return_type = "Promise<CloseResult>")]
    pub fn close<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let timeout =
            options.and_then(|options| limit(options.timeout_ms)).unwrap_or(CLOSE_TIMEOUT);
        let engine = self.inner().map_err(|error| rejected(*env, &error))?;
        let closed = self.handle.close(timeout);
        promise(env, engine.runtime(), closed, |_, drained| Ok(CloseResult::from(drained)))
    }

    /// A promise for what the engine returns.
    fn ask<'env, T, F>(
        &self,
        env: &'env Env,
        question: impl FnOnce(Arc<engine::Engine>) -> F,
    ) -> napi::Result<Object<'env>>
    where
        T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let engine = self.inner().map_err(|error| rejected(*env, &error))?;
        let runtime = engine.runtime().clone();
        promise(env, &runtime, question(engine), |_, value| Ok(value))
    }

    /// Counters and gauges as they are now.
    #[napi(catch_unwind, ts_return_type = "EngineStats")]
    pub fn stats(&self) -> std::result::Result<String, Thrown> {
        let stats = self.inner().map(|engine| engine.stats()).map_err(|error| thrown(&error))?;
        Ok(serde_json::to_string(&stats).unwrap_or_default())
    }

    /// The addresses that the operator declared in `egress.addresses`, for allow-lists.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn egress_addresses(&self) -> Vec<String> {
        self.inner().map(|engine| engine.egress_addresses().to_vec()).unwrap_or_default()
    }

    /// Where the server listens; nothing when the engine was opened without `server`.
    #[napi(catch_unwind, ts_return_type = "ServerAddress | null")]
    #[must_use]
    pub fn address(&self) -> Option<ServerAddress> {
        let engine = self.inner().ok()?;
        engine.attachment().map(|server| ServerAddress {
            host: server.address().ip().to_string(),
            port: server.address().port(),
            url: server.url().to_owned(),
        })
    }

    /// The URL of a workflow's stream that opens it without a token, for a time: what a page gives
    /// to `EventSource`.
    ///
    /// Throws `ERR_SEND_NOT_CONFIGURED` when the engine was opened without `server`,
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
        let engine = self.inner().map_err(|error| thrown(&error))?;
        let server = engine.attachment().ok_or_else(|| {
            let message = "engine.streamUrl(): the engine was opened without `server`";
            thrown(&Error::new(ErrorKind::NotConfigured, message))
        })?;
        let asked = options.and_then(|options| options.expires_in_ms);
        let time = match asked {
            None => STREAM_URL_TIME,
            Some(_) => {
                limit(asked).filter(|time| *time <= MAX_STREAM_URL_TIME).ok_or_else(|| {
                    let message = "engine.streamUrl(): expiresInMs must be between 0 and \
                                   31,622,400,000 (366 days)";
                    thrown(&Error::new(ErrorKind::InvalidArgument, message))
                })?
            }
        };
        let now = Timestamp::now().as_millis();
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // Whole seconds, and never less than was asked for.
        let until = Timestamp::from_millis((now + time).div_ceil(1000) * 1000);
        Ok(server.signed_stream_url(&workflow_id, until))
    }

    /// Adds a destination whose function this thread has. Returns its number.
    #[napi(js_name = "_destination", catch_unwind, skip_typescript)]
    pub fn destination(&self, name: String, options: String) -> std::result::Result<u32, Thrown> {
        let add = || {
            let options = destination_options::read(&options)?;
            let kind = self.inner()?.add_destination(&name, options, self.handle.thread())?;
            Ok(kind.number())
        };
        add().map_err(|error: Error| thrown(&error))
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

    /// The settings of the warehouse that JavaScript runs, if there is one.
    #[napi(js_name = "_warehouse", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn warehouse(&self) -> Option<String> {
        serde_json::to_string(self.inner().ok()?.duckdb()?.config()).ok()
    }

    /// Makes this thread the one that runs the warehouse.
    #[napi(js_name = "_attachWarehouse", catch_unwind, skip_typescript)]
    pub fn attach_warehouse(&self) {
        if let Ok(engine) = self.inner()
            && let Some(duckdb) = engine.duckdb()
        {
            duckdb.attach(self.handle.thread());
        }
    }

    /// Forgets everything that calls this thread: its destinations, its warehouse, its listeners.
    #[napi(js_name = "_detach", catch_unwind, skip_typescript)]
    pub fn detach(&self) {
        self.handle.detach();
    }

    /// Runs a query. Resolves to the place of its result, as JSON.
    #[napi(js_name = "_query", catch_unwind, skip_typescript)]
    pub fn query<'env>(&self, env: &'env Env, query: String) -> napi::Result<Object<'env>> {
        let open = self.open_engine().map(drop);
        self.ask(env, async move |engine| {
            open?;
            let answered = engine.query(&sql_options::query(&query)?).await?;
            Ok(serde_json::to_string(&answered).unwrap_or_default())
        })
    }

    /// Adds a listener for emitted events; they come with `_takeEvents()`.
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
            Some(listener) => Wish::Listener(listener),
            None => Wish::Emitter { emitter_id: emitter_id.unwrap_or_default(), event_name },
        };
        engine.subscriptions().listen(wish, number, Arc::clone(mailbox.events()));
    }

    /// Removes such a listener.
    #[napi(js_name = "_ignoreFrom", catch_unwind, skip_typescript)]
    pub fn ignore_from(&self, number: u32) {
        if let (Ok(engine), Some(mailbox)) = (self.inner(), self.handle.mailbox()) {
            engine.subscriptions().ignore(Some(number), mailbox.events());
        }
    }

    /// Whether warnings throw.
    #[napi(getter, js_name = "_strict", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn strict(&self) -> bool {
        self.inner().is_ok_and(|engine| engine.config().strict)
    }

    /// Bytes that one call may have.
    #[napi(getter, js_name = "_maxPayloadBytes", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn max_payload_bytes(&self) -> f64 {
        self.inner().map_or(0.0, |engine| to_f64(engine.config().max_payload_bytes))
    }

    /// Registers the callback that is invoked when `_takeCompletions()` or `_takeEvents()` has
    /// something.
    #[napi(js_name = "_attach", catch_unwind, skip_typescript)]
    pub fn attach(&self, wake: Function<'_, (), ()>) -> napi::Result<()> {
        self.handle.attach(Mailbox::new(&wake)?);
        Ok(())
    }

    /// Turns a topic of the events on or off.
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
        self.handle.mailbox().and_then(|mailbox| mailbox.events().take()).unwrap_or_default()
    }

    /// Takes the completion hooks that are done: three numbers for each, as
    /// `Mailbox::take` has them.
    #[napi(js_name = "_takeCompletions", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn take_completions(&self) -> Vec<f64> {
        self.handle.mailbox().map(|mailbox| mailbox.take()).unwrap_or_default()
    }

    /// Throws the reason why the hook with this ticket was refused.
    #[napi(js_name = "_throwRefusal", catch_unwind, skip_typescript)]
    pub fn throw_refusal(&self, ticket: u32) -> std::result::Result<(), Thrown> {
        let refusal = self.handle.mailbox().and_then(|mailbox| mailbox.refusal(ticket));
        refusal.map_or(Ok(()), |refusal| Err(thrown(&refusal)))
    }
}

/// Whether the main thread will wait for deliveries when the process ends.
static MAIN_THREAD_WAITS: AtomicBool = AtomicBool::new(false);

/// Whether this is the main thread of the process, where the system says so: Node's own answer costs
/// milliseconds.
#[napi(js_name = "_isMainThread", catch_unwind, skip_typescript)]
#[must_use]
pub fn is_main_thread() -> Option<bool> {
    #[cfg(target_os = "linux")]
    return Some(rustix::thread::gettid() == rustix::process::getpid());
    #[cfg(not(target_os = "linux"))]
    None
}

thread_local! {
    /// Whether the JavaScript of this thread waits at its exit.
    static WAITS_AT_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// Watches the end of this thread. Returns whether the caller is to call `_flushAtExit` at the exit:
/// only the first copy of the package's JavaScript in a thread is.
#[napi(js_name = "_watchExit", catch_unwind, skip_typescript)]
pub fn watch_exit(env: &Env, main_thread: bool) -> napi::Result<bool> {
    MAIN_THREAD_WAITS.fetch_or(main_thread, Ordering::AcqRel);
    let first = !WAITS_AT_EXIT.replace(true);
    if first {
        let end = |()| {
            forget_all();
            release_all();
        };
        env.add_env_cleanup_hook((), end)?;
    }
    Ok(first)
}

/// Waits on this thread for the engines of the process; answers the deliveries that are left. A
/// worker leaves the wait to the main thread if that one waits.
#[napi(js_name = "_flushAtExit", catch_unwind, skip_typescript)]
#[must_use]
pub fn flush_at_exit(timeout_ms: f64, main_thread: bool) -> u32 {
    if !main_thread && MAIN_THREAD_WAITS.load(Ordering::Acquire) {
        return 0;
    }
    let left = registry::flush_all(limit(Some(timeout_ms)).unwrap_or_default());
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// Reads the log of a data directory that this process need not have open.
#[napi(js_name = "_readLog", catch_unwind, skip_typescript)]
pub fn read_log(
    env: &Env,
    directory: String,
    key: Option<String>,
    filter: Option<DeliveryFilter>,
) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| rejected(*env, &error))?;
    let query = filter.unwrap_or_default().into_query();
    let read = async move {
        let query = query?;
        let key = key.as_deref().map(options::key).transpose()?;
        let read = move || engine::read_log(directory.as_ref(), key.as_deref(), &query);
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "reading the log panicked").with_source(panic))
        })
    };
    promise(env, &runtime, read, |_, text| Ok(text))
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
const fn to_f64(limit: usize) -> f64 {
    limit as f64
}
