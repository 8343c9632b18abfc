//! Moves deliveries from the journal to their destinations. It names no protocol.
//!
//! [`Engine`] is what `Engine.open` opens, [`Execution`] the buffer of one run; `lanes` holds
//! the workers that lease and deliver, `shutdown` how an engine ends, `registry` who shares it.

mod attachment;
mod attempt;
mod batch;
mod batches;
mod breaker;
mod conclusion;
mod custom;
mod execution;
mod handle;
mod lanes;
mod members;
mod publish;
mod recovery;
pub mod registry;
mod replay;
mod retry;
pub mod runtime;
mod shutdown;

pub use crate::destinations::sql::{Answered, Column, Format, Query};
pub use attachment::Attachment;
pub use execution::{Execution, Handover, Receipt, Run};
pub use handle::Handle;
pub use replay::Replayed;
pub use shutdown::Drained;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle as Runtime;
use tokio::sync::{Notify, RwLock, watch};

use crate::config::Config;
use crate::destinations::email::Email;
use crate::destinations::emit::Emit;
use crate::destinations::http::Http;
use crate::destinations::s3::S3;
use crate::destinations::sql::Sql;
use crate::destinations::sse::Sse;
use crate::destinations::{self, Destinations, Jobs};
use crate::egress::{Door, Lookup, OwnSockets, Policy};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{
    self, ChosenJournal, Describe, Journal, MemoryJournal, Report, SqliteJournal,
};
use crate::observability::events::{Events, Topic, Warning};
use crate::observability::log::{DeliveryQuery, ExecutionQuery, OpenBuffer, deliveries_json};
use crate::observability::stats::{Counters, Stats};
use crate::streams::{Streams, Subscriptions};
use batches::Batches;
use lanes::Lanes;

/// An open engine. Its workers hold it while there is something to deliver.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    journal: ChosenJournal,
    destinations: Arc<Destinations>,
    lanes: Lanes,
    batches: Batches,
    streams: Arc<Streams>,
    subscriptions: Arc<Subscriptions>,
    /// The server, if there is one.
    attachment: OnceLock<Box<dyn Attachment>>,
    own_sockets: OwnSockets,
    events: Arc<Events>,
    counters: Counters,
    /// Hand-overs under way and deliveries that are not terminal.
    pending: AtomicUsize,
    idle: Notify,
    closed: AtomicBool,
    /// Whether everything that belongs to the engine is closed.
    ended: watch::Sender<bool>,
    handles: AtomicUsize,
    running: Mutex<HashMap<u64, Weak<Execution>>>,
    runtime: Runtime,
    /// Read by hand-overs under way; who looks at the log waits for them, so that it shows what a
    /// resolved completion hook promised.
    appending: Arc<RwLock<()>>,
    /// Rung when a record is put off, so that who keeps the time looks again.
    alarm: Notify,
    alarm_set: AtomicBool,
    /// The closing deadline has passed: what is still handed over is interrupted.
    cut_off: AtomicBool,
}

impl Engine {
    /// An engine of its own, with `lookup` to resolve host names.
    pub fn open(config: Config, lookup: Arc<dyn Lookup>) -> Result<Arc<Self>> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let policy = Policy::new(&config.egress).map_err(|error| error.within("Engine.open()"))?;
        let own_sockets = policy.own_sockets().clone();
        let door = Door::new(policy, lookup);
        let email = Email::new(config.email.clone(), door.clone());
        let s3 = S3::new(config.s3.clone(), door.clone()).map_err(|e| e.within("Engine.open()"))?;
        let http = Http::new(config.http.clone(), door.clone())?;
        let jobs = Arc::<Jobs>::default();
        let sql = Sql::new(config.sql.clone(), door, &jobs)
            .map_err(|error| error.within("Engine.open()"))?;
        let streams = Arc::<Streams>::default();
        let subscriptions = Arc::<Subscriptions>::default();
        let sse = Sse::new(Arc::clone(&streams), config.server.is_some());
        let emit = Emit::new(Arc::clone(&streams), Arc::clone(&subscriptions));
        let destinations = Arc::new(Destinations::new(http, email, s3, sql, (sse, emit), jobs));
        let events = Arc::<Events>::default();
        let engine = Arc::new(Self {
            journal: journal(&config, &destinations, &events)?,
            destinations,
            lanes: Lanes::new(config.http.concurrency),
            batches: Batches::default(),
            streams,
            subscriptions,
            attachment: OnceLock::new(),
            own_sockets,
            events,
            counters: Counters::default(),
            pending: AtomicUsize::new(0),
            idle: Notify::new(),
            closed: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            handles: AtomicUsize::new(1),
            running: Mutex::default(),
            runtime,
            appending: Arc::default(),
            alarm: Notify::new(),
            alarm_set: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            config,
        });
        engine.restore_streams()?;
        engine.recover();
        Ok(engine)
    }

    /// What it was opened with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whom it tells what happens.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Where its workers run.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Counters and gauges as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let lanes = self.lanes.stats(|lane| self.journal.waiting(lane));
        let running = self.running_executions();
        let (pending, retrying) = (self.pending_deliveries(), self.journal.postponed());
        let mut stats = self.counters.read(pending, retrying, running.len(), lanes);
        stats.recorded += running.iter().map(|run| run.recorded_count() as u64).sum::<u64>();
        stats
    }

    /// The log, and the open buffers, as a JSON array of deliveries, newest first.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<String> {
        drop(self.appending.write().await);
        let found = self.journal.deliveries(query, &self.open_buffers()).await?;
        let render = |kind, payload: &_| self.destinations.describe(kind, payload);
        Ok(deliveries_json(&found, &render))
    }

    /// Executions as a JSON array, newest first.
    pub async fn executions(&self, query: &ExecutionQuery) -> Result<String> {
        drop(self.appending.write().await);
        self.journal.executions(query, &self.open_buffers()).await
    }

    /// How many deliveries a question is about, whatever its limit and place are.
    pub async fn count_deliveries(&self, query: &DeliveryQuery) -> Result<usize> {
        drop(self.appending.write().await);
        self.journal.count_deliveries(query, &self.open_buffers()).await
    }

    /// How many executions a question is about, whatever its limit and place are.
    pub async fn count_executions(&self, query: &ExecutionQuery) -> Result<usize> {
        drop(self.appending.write().await);
        self.journal.count_executions(query, &self.open_buffers()).await
    }

    fn open_buffers(&self) -> Vec<OpenBuffer> {
        let running = self.running_executions();
        running.iter().map(|run| (Arc::clone(run.log()), run.recorded())).collect()
    }

    /// Whether what is handed over survives the end of the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.journal.is_durable()
    }

    /// The addresses that the operator declared as this engine's own.
    #[must_use]
    pub fn egress_addresses(&self) -> &[String] {
        &self.config.egress.addresses
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Weak<Execution>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running_executions(&self) -> Vec<Arc<Execution>> {
        self.running().values().filter_map(Weak::upgrade).collect()
    }

    /// Deliveries that are not terminal, those on disk alone included.
    fn pending_deliveries(&self) -> usize {
        let backlog = self.journal.backlog();
        // While there is a backlog, the work of bringing it in counts as one.
        self.pending.load(Ordering::Acquire).saturating_sub(usize::from(backlog > 0)) + backlog
    }

    /// Counts work that is not terminal yet.
    fn begin(&self, work: usize) {
        self.pending.fetch_add(work, Ordering::AcqRel);
    }

    /// Counts work that is, and wakes who waits for the last of it.
    fn end(&self, work: usize) {
        if self.pending.fetch_sub(work, Ordering::AcqRel) == work {
            self.idle.notify_waiters();
        }
    }

    /// Claims memory for a call, or refuses it.
    fn reserve(&self, bytes: usize) -> Result<()> {
        let before = self.counters.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.config.max_pending_bytes {
            return Ok(());
        }
        self.release(bytes);
        Err(Error::new(
            ErrorKind::JournalFull,
            format!(
                "undelivered calls already hold {before} bytes; this one has {bytes} and \
                 maxPendingBytes is {}. Wait for engine.flush(), or raise the limit",
                self.config.max_pending_bytes
            ),
        ))
    }

    fn release(&self, bytes: usize) {
        self.counters.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The log of a data directory as a JSON array of deliveries, newest first, read without opening
/// the directory. Payloads that wait are shown as far as they can be shown without an engine.
///
/// # Errors
/// `Journal`.
pub fn read_log(directory: &Path, key: Option<&[u8]>, query: &DeliveryQuery) -> Result<String> {
    let found = journal::read_log(directory, key, query)?;
    Ok(deliveries_json(&found, &destinations::describe))
}

/// The journal that the options choose.
fn journal(
    config: &Config,
    destinations: &Arc<Destinations>,
    events: &Arc<Events>,
) -> Result<ChosenJournal> {
    let Some(options) = &config.journal else {
        return Ok(ChosenJournal::Memory(Box::new(MemoryJournal::new(config.log))));
    };
    let shows = Arc::clone(destinations);
    let describe: Describe = Box::new(move |kind, payload| shows.describe(kind, payload));
    let told = Arc::clone(events);
    let report: Report = Box::new(move |error| {
        let message = error.to_string();
        told.emit(Topic::Warning, || Warning {
            code: "JOURNAL_TROUBLE",
            message: &message,
            execution_id: None,
        });
    });
    let opened = SqliteJournal::open(options, describe, report);
    let journal = opened.map_err(|error| error.within("Engine.open()"))?;
    Ok(ChosenJournal::Sqlite(Box::new(journal)))
}

/// The refusal of a closed engine.
#[must_use]
pub fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the engine is closed: open another one with Engine.open()")
}
