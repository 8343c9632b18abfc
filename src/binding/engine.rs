//! `Engine`: the handle that JavaScript holds. It is never the owner of undelivered work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{
    BufferSlice, Function, Object, retain_current_module_for_unload_safety,
};
use napi_derive::napi;
use tokio::sync::OnceCell;

use super::destination_options;
use super::error::{rejected, thrown};
use super::execution::limit;
use super::executions::{forget_all, hold};
use super::options;
use super::promise::{parsed, parsed_now, promise};
use super::sql_options;
use super::types::{
    CloseResult, DeliveryFilter, ExecutionFilter, ReplaySelection, ServerAddress, StreamUrlOptions,
    TimeoutOptions,
};
use crate::destinations::Thread;
use crate::destinations::sql::duckdb;
use crate::engine::{self, Drained, registry, runtime};
use crate::error::{Error, ErrorKind};
use crate::observability::events::{JOB, Subscription, Topic};
use crate::observability::log::Trace;
use crate::observability::time::Timestamp;
use crate::streams::Wish;

/// Delivers what steps record. Open one for the life of the runner.
///
/// Without a data directory everything is in memory: what is not delivered when the process ends
/// is lost. At the end of the process the main thread waits up to a second for deliveries that
/// are under way; that is a courtesy, not a guarantee: `await engine.close()` is.
#[napi]
pub struct Engine {
    inner: Arc<engine::Engine>,
    closed: AtomicBool,
    /// What the first `close()` came to.
    result: Arc<OnceCell<Drained>>,
    subscription: Mutex<Option<Arc<Subscription>>>,
    /// What the destinations of this thread are called through.
    threads: Mutex<Vec<Arc<dyn Thread>>>,
}

/// The thread of a handle, as the destinations that it has call it.
struct JobThread(Option<Arc<Subscription>>);

impl Thread for JobThread {
    fn call(&self, job: &str) {
        if let Some(subscription) = &self.0 {
            subscription.ask(JOB, job);
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("inner", &self.inner).finish_non_exhaustive()
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
        writable = true,
        configurable = true,
        ts_args_type = "options?: EngineOptions",
        ts_return_type = "Promise<Engine>"
    )]
    pub fn open(env: &Env, options: String) -> napi::Result<Object<'_>> {
        retain_current_module_for_unload_safety();
        let runtime = runtime::handle().map_err(|error| rejected(*env, &error))?;
        // Reading the system's certificates takes milliseconds: not on this thread.
        let opened = async move {
            let open = move || registry::open(options::read(&options)?, crate::server::start);
            let opened = tokio::task::spawn_blocking(open).await;
            opened.unwrap_or_else(|panic| {
                Err(Error::new(ErrorKind::Internal, "opening the engine panicked")
                    .with_source(panic))
            })
        };
        promise(env, &runtime, opened, |_, inner| Ok(Self::handle(inner)))
    }

    fn handle(inner: Arc<engine::Engine>) -> Self {
        Self {
            inner,
            closed: AtomicBool::new(false),
            result: Arc::default(),
            subscription: Mutex::default(),
            threads: Mutex::default(),
        }
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
    ) -> Result<u32, napi::Error<ErrorKind>> {
        let execution = self.check_open().and_then(|()| {
            self.inner.execution(engine::Run {
                workflow_id,
                execution_id,
                attempt: attempt.unwrap_or(1),
                emit_depth: emit_depth.unwrap_or_default(),
                trace: trace.map(|text| Trace::from_text(&text)),
            })
        });
        execution.and_then(|execution| hold(object, execution)).map_err(|error| thrown(&error))
    }

    /// The log, newest first, calls in open buffers included.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when `before` is no delivery's id.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Delivery>>")]
    pub fn deliveries<'env>(
        &self,
        env: &'env Env,
        filter: Option<DeliveryFilter>,
    ) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.inner);
        let query = filter.unwrap_or_default().into_query();
        let answer = async move { engine.deliveries(&query?).await };
        promise(env, self.inner.runtime(), answer, parsed)
    }

    /// The executions that the log knows, newest first.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<ExecutionSummary>>")]
    pub fn executions<'env>(
        &self,
        env: &'env Env,
        filter: Option<ExecutionFilter>,
    ) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.inner);
        let query = filter.unwrap_or_default().into();
        let answer = async move { engine.executions(&query).await };
        promise(env, self.inner.runtime(), answer, parsed)
    }

    /// Makes failed deliveries again, as new deliveries of the same executions that name the old
    /// ones in `replayOf`. Resolves when they are as durable as `complete()` makes them. What was
    /// named by its id and is no failed delivery is in `skipped`. Without `limit`, everything that
    /// the filter finds.
    ///
    /// Rejects with `ERR_SEND_INVALID_ARGUMENT` when nothing is selected or an id is none,
    /// `ERR_SEND_JOURNAL_FULL`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<ReplayResult>")]
    pub fn replay<'env>(
        &self,
        env: &'env Env,
        selection: ReplaySelection,
    ) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.inner);
        let open = self.check_open();
        let selection = selection.into_selection();
        let answer = async move {
            open?;
            let replayed = engine.replay(&selection?).await?;
            Ok(serde_json::to_string(&replayed).unwrap_or_default())
        };
        promise(env, self.inner.runtime(), answer, parsed)
    }

    /// Waits until nothing that was handed over is open. For serverless hosts and tests.
    ///
    /// Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs`; without it, waits as long as it takes.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn flush<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.inner);
        let timeout = options.and_then(|options| options.duration());
        let flushed = async move { engine.flush(timeout).await };
        promise(env, self.inner.runtime(), flushed, |_, _| Ok(()))
    }

    /// Takes no more work, drains until the deadline (`timeoutMs`, default 10 s), and tells what
    /// became of it. What is under way then is cut off. Closing again answers the same counts. A
    /// shared engine ends with its last handle. Also `await using engine = …`.
    #[napi(catch_unwind, ts_return_type = "Promise<CloseResult>")]
    pub fn close<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let timeout =
            options.and_then(|options| limit(options.timeout_ms)).unwrap_or(CLOSE_TIMEOUT);
        self.closed.store(true, Ordering::Release);
        let (engine, result) = (Arc::clone(&self.inner), Arc::clone(&self.result));
        let closed = async move {
            let close = || async move { engine.close(timeout).await };
            Ok(*result.get_or_init(close).await)
        };
        promise(env, self.inner.runtime(), closed, |_, drained| Ok(CloseResult::from(drained)))
    }

    /// Counters and gauges as they are now.
    #[napi(catch_unwind, ts_return_type = "EngineStats")]
    pub fn stats(&self, env: &Env) -> napi::Result<Object<'static>> {
        let text = serde_json::to_string(&self.inner.stats())
            .map_err(|error| napi::Error::from_reason(error.to_string()))?;
        parsed_now(env, text)
    }

    /// The addresses that the operator declared in `egress.addresses`, for allow-lists.
    #[napi(catch_unwind)]
    pub fn egress_addresses(&self) -> Vec<String> {
        self.inner.egress_addresses().to_vec()
    }

    /// Where the server listens; nothing when the engine was opened without `server`.
    #[napi(catch_unwind, ts_return_type = "ServerAddress | null")]
    #[must_use]
    pub fn address(&self) -> Option<ServerAddress> {
        self.inner.attachment().map(|server| ServerAddress {
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
    ) -> Result<String, napi::Error<ErrorKind>> {
        let server = self.inner.attachment().ok_or_else(|| {
            let message = "engine.streamUrl(): the engine was opened without `server`";
            thrown(&Error::new(ErrorKind::NotConfigured, message))
        })?;
        let asked = options.and_then(|options| options.expires_in_ms);
        let time = match asked {
            None => STREAM_URL_TIME,
            Some(_) => {
                limit(asked).filter(|time| *time <= MAX_STREAM_URL_TIME).ok_or_else(|| {
                    let message =
                        "engine.streamUrl(): expiresInMs must be from 0 to those of a year";
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

    /// Adds a destination whose function this thread has; the answer is its number.
    #[napi(js_name = "_destination", catch_unwind, skip_typescript)]
    pub fn destination(
        &self,
        name: String,
        options: String,
    ) -> Result<u32, napi::Error<ErrorKind>> {
        let add = || {
            let options = destination_options::read(&options)?;
            let target = self.subscription().clone();
            let thread: Arc<dyn Thread> = Arc::new(JobThread(target));
            let kind = self.inner.add_destination(&name, options, Arc::clone(&thread))?;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            Ok(kind.number())
        };
        add().map_err(|error: Error| thrown(&error))
    }

    /// Brings the answer to a job.
    #[napi(js_name = "_answerJob", catch_unwind, skip_typescript)]
    pub fn answer_job(&self, job: f64, answer: String) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is the number that Rust gave, which counts from 0"
        )]
        self.inner.answer_job(job as u64, answer);
    }

    /// How the warehouse is opened; nothing if there is none that JavaScript runs.
    #[napi(js_name = "_warehouse", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn warehouse(&self) -> Option<String> {
        serde_json::to_string(self.inner.duckdb()?.config()).ok()
    }

    /// From here on this thread runs the warehouse.
    #[napi(js_name = "_attachWarehouse", catch_unwind, skip_typescript)]
    pub fn attach_warehouse(&self) {
        let Some(duckdb) = self.inner.duckdb() else { return };
        let thread: Arc<dyn Thread> = Arc::new(JobThread(self.subscription().clone()));
        duckdb.attach(Arc::clone(&thread));
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// This thread runs the warehouse no longer: its database is closed.
    #[napi(js_name = "_detachWarehouse", catch_unwind, skip_typescript)]
    pub fn detach_warehouse(&self) {
        let Some(duckdb) = self.inner.duckdb() else { return };
        for thread in &*self.threads.lock().unwrap_or_else(PoisonError::into_inner) {
            duckdb.detach(thread);
        }
    }

    /// Answers a query: where its result is.
    #[napi(js_name = "_query", catch_unwind, skip_typescript)]
    pub fn query<'env>(&self, env: &'env Env, query: String) -> napi::Result<Object<'env>> {
        let engine = Arc::clone(&self.inner);
        let open = self.check_open();
        let answer = async move {
            open?;
            let answered = engine.query(&sql_options::query(&query)?).await?;
            Ok(serde_json::to_string(&answered).unwrap_or_default())
        };
        promise(env, self.inner.runtime(), answer, parsed)
    }

    /// Adds a listener to the emitted events that it wants; they come with `_takeEvents()`.
    #[napi(js_name = "_listenTo", catch_unwind, skip_typescript)]
    pub fn listen_to(
        &self,
        number: u32,
        emitter_id: Option<String>,
        event_name: String,
        listener_id: Option<String>,
    ) {
        let Some(target) = self.subscription().clone() else { return };
        let wish = match listener_id {
            Some(listener) => Wish::Listener(listener),
            None => Wish::Emitter { emitter_id: emitter_id.unwrap_or_default(), event_name },
        };
        self.inner.subscriptions().listen(wish, number, target);
    }

    /// Removes such a listener.
    #[napi(js_name = "_ignoreFrom", catch_unwind, skip_typescript)]
    pub fn ignore_from(&self, number: u32) {
        if let Some(target) = &*self.subscription() {
            self.inner.subscriptions().ignore(Some(number), target);
        }
    }

    /// Whether warnings throw.
    #[napi(getter, js_name = "_strict", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn strict(&self) -> bool {
        self.inner.config().strict
    }

    /// Bytes that one call may have.
    #[napi(getter, js_name = "_maxPayloadBytes", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn max_payload_bytes(&self) -> f64 {
        to_f64(self.inner.config().max_payload_bytes)
    }

    /// Subscribes this handle: `wake` is called when `_takeEvents()` has something.
    #[napi(js_name = "_subscribe", catch_unwind, skip_typescript)]
    pub fn subscribe(&self, wake: Function<'_, (), ()>) -> napi::Result<()> {
        let subscription = super::listen::subscription(&wake)?;
        self.inner.events().subscribe(Arc::clone(&subscription));
        *self.subscription() = Some(subscription);
        Ok(())
    }

    /// Turns a topic of the subscription on or off.
    #[napi(js_name = "_listen", catch_unwind, skip_typescript)]
    pub fn listen(&self, topic: String, on: bool) {
        let subscription = self.subscription();
        if let (Some(subscription), Some(topic)) = (&*subscription, Topic::from_name(&topic)) {
            if on { subscription.listen(topic) } else { subscription.ignore(topic) }
        }
    }

    /// The events that wait, as a JSON array of `[topic, event]`.
    #[napi(js_name = "_takeEvents", catch_unwind, skip_typescript)]
    pub fn take_events(&self) -> String {
        self.subscription().as_ref().map_or_else(|| "[]".to_owned(), |waiting| waiting.take())
    }

    fn subscription(&self) -> std::sync::MutexGuard<'_, Option<Arc<Subscription>>> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> crate::error::Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(engine::closed()) } else { Ok(()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.inner.forget_destinations(&thread);
        }
        if let Some(subscription) = self.subscription().take() {
            self.inner.subscriptions().ignore(None, &subscription);
            self.inner.events().unsubscribe(&subscription);
        }
        if !self.closed.load(Ordering::Acquire) {
            self.inner.abandon();
        }
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

/// Says that this thread calls `_flushAtExit` at its end.
#[napi(js_name = "_watchExit", catch_unwind, skip_typescript)]
pub fn watch_exit(env: &Env, main_thread: bool) -> napi::Result<()> {
    MAIN_THREAD_WAITS.fetch_or(main_thread, Ordering::AcqRel);
    env.add_env_cleanup_hook((), |()| forget_all()).map(drop)
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

/// Writes rows of a batch that is being loaded, for the thread that loads them; the answer is how
/// many bytes that were, or nothing when nobody waits for that any more.
#[napi(js_name = "_piece", catch_unwind, skip_typescript)]
#[must_use]
pub fn piece(ticket: u32, number: u32, mut into: BufferSlice<'_>) -> Option<u32> {
    let number = usize::try_from(number).ok()?;
    let bytes = duckdb::write_piece(u64::from(ticket), number, &mut into)?;
    u32::try_from(bytes).ok()
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
    promise(env, &runtime, read, parsed)
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
const fn to_f64(limit: usize) -> f64 {
    limit as f64
}
