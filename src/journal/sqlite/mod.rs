//! The journal in a data directory: one SQLite file that holds the queue and the log.
//!
//! What waits is in the lanes of memory as well, which is where it is leased from; the file is what
//! makes it last. A hand-over is in the file before it is in a lane. What an earlier process left
//! is brought into the lanes in parts, in its order.
//!
//! [`schema`] is the file's layout, [`writer`] the one thread that writes, [`reader`] and [`query`]
//! what is asked of it, [`upkeep`] what keeps it small.

mod batches;
mod checkpoint;
mod directory;
mod key;
mod log;
mod op;
mod published;
mod query;
mod reader;
mod readers;
mod recovery;
mod replay;
mod schema;
mod seal;
mod tables;
mod trouble;
mod upkeep;
mod writer;

pub use directory::create_directory;
pub use log::read_log;
pub use schema::Durability;
pub use writer::Report;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use batches::LeftBatches;
use directory::DataDir;
use key::Key;
use op::{Append, Commit as SealedCommit, Ending, Op, Register, Row, Seal};
use readers::Readers;
use recovery::Backlog;
use seal::Sealer;
use trouble::trouble;
use upkeep::Upkeep;
use writer::Writer;

use super::memory::{Taken, discarded};
use super::{
    Commit, Completion, Finished, Journal, Lane, MemoryJournal, Record, Refill, Refusal,
    Replayable, SealedBatch, codec,
};
use crate::destinations::{Kind, Payload};
use crate::error::Result;
use crate::observability::log::{
    DeliveryQuery, Entry, ExecutionLog, ExecutionQuery, Found, Log, OpenBuffer, Request,
    RequestLog, Retention, Selection, Settlement, Status,
};
use crate::observability::time::Timestamp;
use crate::recording::Item;
use crate::streams::{Event, EventId};

/// The file in a data directory.
const FILE: &str = "journal.sqlite";

/// What becomes of a delivery that was under way when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupted {
    /// It is sent again, with the same id: at least once.
    #[default]
    Resend,
    /// It fails as interrupted: at most once. Each attempt waits until its beginning is on disk.
    Fail,
}

/// How a data directory is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory.
    pub directory: PathBuf,
    /// What a hand-over survives.
    pub durability: Durability,
    /// Bytes of the file past which hand-overs are refused.
    pub max_bytes: Option<u64>,
    /// The key for what is secret, 32 bytes; `None`: the one in the directory.
    pub key: Option<Vec<u8>>,
    /// What becomes of a delivery that was under way when the process died.
    pub on_interrupted: OnInterrupted,
    /// What the log keeps.
    pub retention: Retention,
}

impl Options {
    /// A directory, and the default for everything else.
    #[must_use]
    pub fn bare(directory: PathBuf) -> Self {
        Self {
            directory,
            durability: Durability::default(),
            max_bytes: None,
            key: None,
            on_interrupted: OnInterrupted::default(),
            retention: Retention::default(),
        }
    }
}

/// Shows a call as the log may keep it: the destinations know what is secret.
pub type Describe = Box<dyn Fn(Kind, &Payload) -> RequestLog + Send + Sync>;

/// A journal that lasts.
pub struct SqliteJournal {
    memory: MemoryJournal,
    writer: Arc<Writer>,
    readers: Readers,
    sealer: Sealer,
    describe: Describe,
    on_interrupted: OnInterrupted,
    next_seq: AtomicU64,
    /// Commits with calls that are not terminal, by the number of their first call.
    open: Mutex<BTreeMap<u64, OpenCommit>>,
    backlog: Backlog,
    left_batches: LeftBatches,
    closed: AtomicBool,
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal").finish_non_exhaustive()
    }
}

/// What is left of a commit.
#[derive(Debug, Clone, Copy)]
struct OpenCommit {
    left: usize,
    failed: bool,
}

impl SqliteJournal {
    /// Opens a data directory, making it if it is not there. Nothing is in a lane yet:
    /// [`Journal::refill`] brings what an earlier process left.
    ///
    /// # Errors
    /// `DataDirLocked`, `Journal`, `JournalFull`.
    pub fn open(options: &Options, describe: Describe, report: Report) -> Result<Self> {
        let directory = DataDir::open(&options.directory)?;
        let key = Key::load(directory.path(), options.key.as_deref())?;
        let path = directory.path().join(FILE);
        let connection = schema::open(&path, options.durability)?;
        let failed = |error| trouble(&path, "cannot be opened", error);
        let upkeep =
            Upkeep::new(&connection, options.retention, options.max_bytes).map_err(failed)?;
        recovery::end_interrupted_executions(&connection).map_err(failed)?;
        recovery::forget_finished_batches(&connection).map_err(failed)?;
        let left_batches = LeftBatches::read(&connection).map_err(failed)?;
        let sealer = Sealer::new(&key)?;
        let readers = Readers::open(path.clone(), key)?;
        let reader = readers.get()?;
        let (last_seq, last_serial) = reader.last_numbers()?;
        let backlog = Backlog::new(reader.count_left(0)?, last_seq);
        ExecutionLog::number_after(last_serial);
        // Executions that are over are in the file; memory need not keep them.
        let live = Retention { max_executions_per_workflow: 0, ..options.retention };
        Ok(Self {
            memory: MemoryJournal::new(live),
            writer: Arc::new(Writer::start(connection, directory, path, upkeep, report)?),
            readers,
            sealer,
            describe,
            on_interrupted: options.on_interrupted,
            next_seq: AtomicU64::new(last_seq + 1),
            open: Mutex::default(),
            backlog,
            left_batches,
            closed: AtomicBool::new(false),
        })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn open_commits(&self) -> MutexGuard<'_, BTreeMap<u64, OpenCommit>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_op(&self, commit: &Commit, first_seq: u64) -> Result<Box<Append>> {
        let Commit { execution, seed, items, completion } = commit;
        let discards = *completion == Completion::Discarded;
        let waits = !items.is_empty() && !discards;
        let sealed = if waits {
            let sealed = self.sealer.seal(&first_seq.to_le_bytes(), &codec::encode(items))?;
            Some(SealedCommit { first_seq, seed: *seed, sealed })
        } else {
            None
        };
        let rows = |(seq, (_, item)): (u64, &(Lane, Item))| Row {
            seq,
            execution: execution.serial(),
            entry: self.described(discarded(item, *seed)),
        };
        let settled = if discards { (first_seq..).zip(items).map(rows).collect() } else { vec![] };
        Ok(Box::new(Append {
            execution: Arc::clone(execution),
            ending: ending(completion),
            calls: items.len(),
            commit: sealed,
            settled,
        }))
    }

    /// The entry as the file may hold it: without what is secret.
    fn described(&self, mut entry: Entry) -> Entry {
        if let Request::Recorded(payload) = &entry.request {
            entry.request = Request::Sent((self.describe)(entry.kind, payload));
        }
        entry.replayable = None;
        entry
    }

    fn finish_op(execution: &Arc<ExecutionLog>) -> Op {
        let tally = execution.state().tally();
        Op::Finish { execution: Arc::clone(execution), tally, at: Timestamp::now() }
    }

    /// Takes note that a call is terminal; the answer closes its commit if it was the last.
    fn count_down(&self, seq: u64, status: Status) -> Option<Op> {
        let mut open = self.open_commits();
        let (&first_seq, commit) = open.range_mut(..=seq).next_back()?;
        commit.left -= 1;
        commit.failed |= status == Status::Failed;
        if commit.left > 0 {
            return None;
        }
        let keep = commit.failed;
        open.remove(&first_seq);
        Some(Op::Close { first_seq, keep })
    }
}

fn ending(completion: &Completion) -> Option<Ending> {
    match completion {
        Completion::Continues => None,
        Completion::Completed { error } => Some(Ending { how: "completed", error: error.clone() }),
        Completion::Discarded => Some(Ending { how: "discarded", error: None }),
    }
}

impl Journal for SqliteJournal {
    async fn append(&self, commit: Commit) -> std::result::Result<Vec<Lane>, Box<Refusal>> {
        let calls = commit.items.len();
        let first_seq = self.next_seq.fetch_add(calls as u64, Ordering::Relaxed);
        let append = match self.append_op(&commit, first_seq) {
            Ok(append) => append,
            Err(error) => return Err(Box::new(Refusal { error, commit })),
        };
        let waits = append.commit.is_some();
        if let Err(error) = self.writer.append(append).await {
            return Err(Box::new(Refusal { error, commit }));
        }
        if waits {
            let commit = OpenCommit { left: calls, failed: false };
            self.open_commits().insert(first_seq, commit);
        }
        let execution = Arc::clone(&commit.execution);
        let Taken { lanes, finished } = self.memory.take(commit, first_seq);
        if finished {
            self.writer.push(Self::finish_op(&execution));
        }
        self.memory.note_finish(&execution, finished);
        Ok(lanes)
    }

    async fn lease(&self, lane: &Lane) -> Option<Record> {
        let mut record = self.memory.lease(lane).await?;
        match self.on_interrupted {
            OnInterrupted::Resend => {
                let Record { seq, attempts, .. } = record;
                self.writer.push(Op::Lease { seq, attempts, waiter: None });
            }
            OnInterrupted::Fail => {
                if !self.mark(&record).await {
                    // It may not be sent before its beginning is on disk.
                    record.attempts -= 1;
                    let until = Timestamp::from_millis(Timestamp::now().as_millis() + 1000);
                    self.memory.delay(lane.clone(), record, until);
                    return None;
                }
            }
        }
        Some(record)
    }

    fn join(&self, lane: &Lane) -> Option<Record> {
        let mut record = self.memory.join(lane)?;
        if std::mem::take(&mut record.recovered) {
            // Nothing of it was sent, and it makes room for others.
            self.backlog.note_settled();
        }
        Some(record)
    }

    async fn seal(&self, batch: &SealedBatch, records: Vec<u64>) -> Result<()> {
        self.writer.seal(Box::new(Seal { batch: batch.clone(), records })).await
    }

    async fn note_batch(&self, batch: u64, note: Option<&str>) -> Result<()> {
        self.writer.note(batch, note.map(str::to_owned)).await
    }

    fn conclude(&self, batch: u64, conclusion: &str) {
        self.writer.push(Op::Conclude { batch, conclusion: conclusion.to_owned() });
    }

    fn forget_batch(&self, batch: u64) {
        self.writer.push(Op::Forget { batch });
    }

    async fn written(&self) {
        // The writer reports its own trouble.
        let _ = self.writer.sync().await;
    }

    fn lease_rest(&self) -> Vec<Record> {
        self.memory.lease_rest()
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        let (seq, attempts) = (record.seq, record.attempts);
        self.writer.push(Op::Postpone { seq, attempts, due: until });
        self.memory.postpone(lane, record, until, note);
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        self.memory.wake_due(now)
    }

    fn postponed(&self) -> usize {
        self.memory.postponed()
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        let log = self.memory.log();
        let settled = record.execution.settle(record.place, settlement, log.room());
        log.grow(settled.kept);
        let entry = record.execution.state().entries[record.place].clone();
        let status = entry.status;
        let execution = record.execution.serial();
        let row = Row { seq: record.seq, execution, entry: self.described(entry) };
        let close = self.count_down(record.seq, status);
        let finish = settled.finished.then(|| Self::finish_op(&record.execution));
        self.writer.push_all([Op::Settle(Box::new(row))].into_iter().chain(close).chain(finish));
        if record.recovered {
            self.backlog.note_settled();
        }
        self.memory.note_finish(&record.execution, settled.finished)
    }

    fn log(&self) -> &Log {
        self.memory.log()
    }

    fn waiting(&self, lane: &Lane) -> usize {
        self.memory.waiting(lane)
    }

    fn is_durable(&self) -> bool {
        true
    }

    async fn refill(&self) -> Result<Option<Refill>> {
        self.refill_part().await
    }

    async fn room(&self) {
        self.backlog.room().await;
    }

    fn backlog(&self) -> usize {
        self.backlog.left()
    }

    async fn deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<Vec<Found>> {
        self.find_deliveries(query, open).await
    }

    async fn executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<String> {
        self.find_executions(query, open).await
    }

    async fn replayable(&self, selection: &Selection) -> Result<Vec<Replayable>> {
        self.find_replayable(selection).await
    }

    async fn count_deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<usize> {
        self.count_found_deliveries(query, open).await
    }

    async fn count_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<usize> {
        self.count_found_executions(query, open).await
    }

    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>) {
        self.writer.push(Op::Keep { event: Arc::clone(event), forgotten });
    }

    fn kept_events(&self) -> Result<Vec<Event>> {
        self.readers.get()?.events()
    }

    async fn register(&self, changes: Vec<(String, Option<String>)>) -> Result<()> {
        let sealed = changes.into_iter().map(|(id, text)| {
            let seal = |text: String| self.sealer.seal(id.as_bytes(), text.as_bytes());
            let sealed = text.map(seal).transpose()?;
            Ok(Register { id, sealed })
        });
        self.writer.register(sealed.collect::<Result<_>>()?).await
    }

    fn registrations(&self) -> Result<Vec<String>> {
        let found = self.readers.get()?.registrations()?.into_iter().map(|(id, sealed)| {
            let plain = self.sealer.open(id.as_bytes(), &sealed)?;
            Ok(String::from_utf8_lossy(&plain).into_owned())
        });
        found.collect()
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // The last connection to go removes the log of writes: that has to be the one that writes.
        self.readers.close();
        let writer = Arc::clone(&self.writer);
        // A panic there was reported by the panic itself.
        let _ = tokio::task::spawn_blocking(move || writer.stop()).await;
    }
}

/// The journal's file in a data directory.
fn file_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

#[cfg(test)]
mod tests;
