//! The one thread that writes, and the queue in front of it.
//!
//! Commits that wait while a transaction is written share the next one: the more there are, the
//! less each of them costs (group commit). Other operations, such as settlements, have no waiting
//! caller: they are deferred a moment, and then written in parts beside the commits.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::op::{AppendOp, Op, Register, Seal, Waiter};
use super::queue::{MIN_BATCH, SharedQueue};
use super::{batches, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::sqlite::error::storage_error;
use crate::journal::sqlite::file::{Checkpoints, DataDir, Upkeep};
use crate::journal::sqlite::records;
use crate::journal::sqlite::search::{self, Kick, NewSegment};
use crate::journal::{Incident, Report};
use crate::private::{self, Identity};
use crate::time::Timestamp;

/// The delay before the operations of a failed transaction are written again.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The writer's end that the journal holds.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<SharedQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The size of the file is.
    limited: bool,
}

impl Writer {
    /// Starts the thread. It holds the data directory until it ends.
    pub(crate) fn start(
        mut connection: Connection,
        directory: DataDir,
        path: PathBuf,
        upkeep: Upkeep,
        kick: Kick,
        report: Report,
    ) -> Result<Self> {
        let shared = Arc::<SharedQueue>::default();
        let checkpoints = Checkpoints::start(&mut connection, &path)?;
        let limited = upkeep.is_limited();
        let identity = private::identity(&path).map_err(|source| {
            let message = format!("the journal {} cannot be opened", path.display());
            Error::new(ErrorKind::Journal, message).with_source(source)
        })?;
        let mut writer = WriterThread {
            connection,
            checkpoints,
            path,
            identity,
            upkeep,
            kick,
            report,
            left: Vec::new(),
            shared: Arc::clone(&shared),
            _directory: directory,
        };
        #[cfg(test)]
        if crate::time::simulated::is_on() {
            tokio::runtime::Handle::current().spawn(super::simulated::write(writer));
            return Ok(Self { shared, thread: Mutex::default(), limited });
        }
        let thread = std::thread::Builder::new()
            .name("dollar-send-journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| {
                Error::new(ErrorKind::Journal, "the journal's thread could not start")
                    .with_source(source)
            })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), limited })
    }

    /// Queues an operation without a waiting caller.
    pub(crate) fn push(&self, op: Op) {
        self.push_all([op]);
    }

    /// Queues several such operations.
    pub(crate) fn push_all(&self, ops: impl IntoIterator<Item = Op>) {
        let mut queue = self.shared.queue();
        let (first, before) = (queue.since.is_none(), queue.deferred.len());
        queue.defer(ops);
        if first || (before < MIN_BATCH && queue.deferred.len() >= MIN_BATCH) {
            self.shared.wake();
        }
    }

    /// Writes a hand-over; resolves when it is as durable as configured.
    pub(crate) async fn append(&self, append: Box<AppendOp>) -> Result<()> {
        self.wait(|waiter| Op::Append(append, waiter)).await
    }

    /// Marks that an attempt begins; resolves when that is on disk.
    pub(crate) async fn lease(&self, seq: u64, attempts: u32) -> Result<()> {
        self.wait(|waiter| Op::Lease { seq, attempts, waiter: Some(waiter) }).await
    }

    /// Writes that records are a batch; resolves when that is on disk.
    pub(crate) async fn seal(&self, seal: Box<Seal>) -> Result<()> {
        self.wait(|waiter| Op::Seal(seal, waiter)).await
    }

    /// Writes a note beside a batch; resolves when that is on disk.
    pub(crate) async fn note(&self, batch: u64, note: Option<String>) -> Result<()> {
        self.wait(|waiter| Op::Note { batch, note, waiter }).await
    }

    /// Writes changed registrations; resolves when that is on disk.
    pub(crate) async fn register(&self, changes: Vec<Register>) -> Result<()> {
        self.wait(|waiter| Op::Register(changes, waiter)).await
    }

    /// Dismisses dead letters; resolves when that is on disk.
    pub(crate) async fn dismiss(&self, dead: Vec<(u64, Uuid)>, at: Timestamp) -> Result<()> {
        self.wait(|waiter| Op::Dismiss { dead, at, waiter }).await
    }

    /// Writes a segment of the search index. It blocks until that is on disk.
    pub(crate) fn index(&self, segment: Box<NewSegment>) -> Result<()> {
        let (waiter, written) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.stopping {
                return Err(closed());
            }
            queue.awaited.push(Op::Index(segment, waiter));
            self.shared.wake();
        }
        written.blocking_recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Resolves when all earlier operations are on disk.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.wait(Op::Sync).await
    }

    /// Resolves when the file has taken a small commit.
    pub(crate) async fn probe(&self) -> Result<()> {
        self.wait(Op::Probe).await
    }

    async fn wait(&self, op: impl FnOnce(Waiter) -> Op) -> Result<()> {
        let (waiter, written) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.stopping {
                return Err(closed());
            }
            let op = op(waiter);
            // A commit does not depend on earlier operations, unless they make room for it, or settle
            // what it forwards.
            let is_independent = matches!(&op, Op::Append(append, _) if append.forwards.is_none());
            queue.write_all |= self.limited || !is_independent;
            queue.awaited.push(op);
            self.shared.wake();
        }
        written.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes what is left and ends the thread; the data directory is free then.
    pub(crate) fn stop(&self) {
        self.signal();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was reported by the panic itself.
            let _ = thread.join();
        }
    }

    fn signal(&self) {
        self.shared.queue().stopping = true;
        self.shared.wake();
    }
}

impl Drop for Writer {
    /// Lets the thread write the rest and end, without waiting for it.
    fn drop(&mut self) {
        self.signal();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Journal, "the journal is closed")
}

/// The thread that writes.
pub(super) struct WriterThread {
    pub(super) connection: Connection,
    checkpoints: Checkpoints,
    pub(super) path: PathBuf,
    /// The file that was opened. What is written into one that was removed is lost.
    identity: Identity,
    pub(super) upkeep: Upkeep,
    kick: Kick,
    report: Report,
    /// Operations that could not be written and must be.
    pub(super) left: Vec<Op>,
    pub(super) shared: Arc<SharedQueue>,
    _directory: DataDir,
}

impl WriterThread {
    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let troubled = !self.left.is_empty();
            let mut batch = std::mem::take(&mut self.left);
            let pause = if troubled { RETRY_DELAY } else { self.upkeep.pause() };
            let more = shared.next(&mut batch, pause);
            self.write(batch);
            if !more || (troubled && !self.left.is_empty() && shared.queue().stopping) {
                break;
            }
            self.tidy();
        }
        self.end();
    }

    /// Between two transactions: does what is due of the checkpoints and the upkeep.
    pub(super) fn tidy(&mut self) {
        let tidied = self.checkpoints.run(&self.connection);
        let is_busy = self.shared.is_busy();
        let tidied = tidied.and_then(|()| self.upkeep.run(&self.connection, is_busy));
        self.kick.note(self.upkeep.take_unindexed());
        match tidied {
            Ok(0) => {}
            Ok(dead_letters) => (self.report)(Incident::DeadLettersRemoved(dead_letters)),
            Err(error) => self.report_trouble("cannot be tidied", error),
        }
    }

    /// Ends the checkpoints.
    pub(super) fn end(&mut self) {
        self.checkpoints.stop();
        // The file is whole without the log beside it from here on.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Writes a batch as one transaction and completes the waiting callers. If it fails, operations
    /// without a caller are kept for the next transaction.
    pub(super) fn write(&mut self, batch: Vec<Op>) {
        if batch.is_empty() {
            return;
        }
        for op in &batch {
            if let Op::Finish { execution, .. } = op {
                self.upkeep.note(&execution.info.workflow_id);
            } else if let Op::Dismiss { .. } = op {
                self.upkeep.note_all();
            }
        }
        match self.transaction(&batch) {
            Ok(mut refused) => {
                self.kick.note(batch.iter().map(indexed_rows).sum());
                for (place, op) in batch.into_iter().enumerate() {
                    let refusal = refused.iter().position(|(at, _)| *at == place);
                    let refusal = refusal.map(|found| refused.swap_remove(found).1);
                    answer(op, refusal.map_or(Ok(()), Err));
                }
            }
            Err(error) => {
                for op in batch {
                    let error = storage_error(&self.path, "cannot be written", copy(&error));
                    match op {
                        Op::Append(..)
                        | Op::Lease { waiter: Some(_), .. }
                        | Op::Seal(..)
                        | Op::Note { .. }
                        | Op::Dismiss { .. }
                        | Op::Register(..)
                        | Op::Index(..)
                        | Op::Sync(_)
                        | Op::Probe(_) => {
                            answer(op, Err(error));
                        }
                        op => self.left.push(op),
                    }
                }
                self.report_trouble("cannot be written", error);
            }
        }
    }

    fn report_trouble(&self, what: &str, error: rusqlite::Error) {
        (self.report)(Incident::Trouble(&storage_error(&self.path, what, error)));
    }

    /// Fails when the file that is open is not at its path any more.
    fn check_in_place(&self) -> rusqlite::Result<()> {
        if private::identity(&self.path).is_ok_and(|found| found == self.identity) {
            return Ok(());
        }
        let message = "the file was removed or replaced while it was open".to_owned();
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        Err(rusqlite::Error::SqliteFailure(code, Some(message)))
    }

    /// Writes the operations. Returns the commits that the size limit refuses, by their places.
    fn transaction(&mut self, batch: &[Op]) -> rusqlite::Result<Vec<(usize, Error)>> {
        let settled: HashSet<u64> = batch
            .iter()
            .filter_map(|op| if let Op::Settle(row) = op { Some(row.seq) } else { None })
            .collect();
        self.check_in_place()?;
        let mut refused = Vec::new();
        let mut used = None;
        let transaction = self.connection.transaction()?;
        for (place, op) in batch.iter().enumerate() {
            if let Op::Append(append, _) = op
                && !append.replays.is_empty()
                && !tables::has_execution(&transaction, append)?
            {
                refused.push((place, removed()));
                continue;
            }
            if let Some(size) = admitted_bytes(op) {
                let mut bytes = match used {
                    Some(bytes) => bytes,
                    None => self.upkeep.used(&transaction)?,
                };
                let admitted = self.upkeep.admit(&mut bytes, size);
                used = Some(bytes);
                match admitted {
                    Ok(()) => apply(&transaction, op, &settled)?,
                    Err(error) => refused.push((place, error)),
                }
            } else {
                apply(&transaction, op, &settled)?;
            }
        }
        transaction.commit()?;
        Ok(refused)
    }
}

/// Returns the error of a replay whose execution the log has removed.
fn removed() -> Error {
    let message = "the log has removed the calls of this replay (log.maxAgeDays, \
                   log.maxExecutionsPerWorkflow)";
    Error::new(ErrorKind::Journal, message)
}

/// Returns the bytes of an operation that the limit of the file may refuse.
fn admitted_bytes(op: &Op) -> Option<u64> {
    match op {
        Op::Append(append, _) => {
            Some(append.commit.as_ref().map_or(0, |commit| commit.ciphertext.len() as u64))
        }
        Op::Probe(_) => Some(tables::PROBE_BYTES),
        _ => None,
    }
}

/// Returns the number of rows that an operation adds to the log.
fn indexed_rows(op: &Op) -> usize {
    match op {
        Op::Settle(_) => 1,
        Op::Append(append, _) => append.settled.len() + usize::from(append.ending.is_some()),
        Op::Lease { .. }
        | Op::Postpone { .. }
        | Op::Close { .. }
        | Op::Finish { .. }
        | Op::Seal(..)
        | Op::Note { .. }
        | Op::Conclude { .. }
        | Op::Forget { .. }
        | Op::Keep { .. }
        | Op::Dismiss { .. }
        | Op::Register(..)
        | Op::Index(..)
        | Op::Sync(_)
        | Op::Probe(_) => 0,
    }
}

fn apply(connection: &Connection, op: &Op, settled: &HashSet<u64>) -> rusqlite::Result<()> {
    match op {
        Op::Append(append, _) => tables::append(connection, append),
        Op::Settle(row) => {
            tables::settle(connection, row)?;
            tables::release(connection, row.seq)?;
            tables::forget_retry(connection, row.seq)
        }
        // It ends in the same transaction.
        Op::Lease { seq, .. } if settled.contains(seq) => Ok(()),
        Op::Lease { seq, attempts, .. } => tables::lease(connection, *seq, *attempts),
        Op::Postpone { seq, attempts, due, last_error, attempt_log } => {
            tables::release(connection, *seq)?;
            let (error, log) = (last_error.as_deref(), attempt_log.as_deref());
            tables::postpone(connection, *seq, *attempts, *due, error, log)
        }
        Op::Close { first_seq, keep } => tables::close(connection, *first_seq, *keep),
        Op::Finish { execution, tally, at } => tables::finish(connection, execution, *tally, *at),
        Op::Seal(seal, _) => batches::seal(connection, seal),
        Op::Note { batch, note, .. } => batches::note(connection, *batch, note.as_deref()),
        Op::Conclude { batch, conclusion } => batches::conclude(connection, *batch, conclusion),
        Op::Forget { batch } => batches::forget(connection, *batch),
        Op::Keep { event, forgotten } => records::keep(connection, event, forgotten),
        Op::Dismiss { dead, at, .. } => tables::dismiss(connection, dead, *at),
        Op::Register(changes, _) => records::register(connection, changes),
        Op::Index(segment, _) => search::write(connection, segment),
        Op::Sync(_) => Ok(()),
        Op::Probe(_) => tables::probe(connection),
    }
}

fn answer(op: Op, result: Result<()>) {
    if let Op::Append(_, waiter)
    | Op::Lease { waiter: Some(waiter), .. }
    | Op::Seal(_, waiter)
    | Op::Note { waiter, .. }
    | Op::Dismiss { waiter, .. }
    | Op::Register(_, waiter)
    | Op::Index(_, waiter)
    | Op::Sync(waiter)
    | Op::Probe(waiter) = op
    {
        // Who does not wait any more needs no answer.
        let _ = waiter.send(result);
    }
}

/// The same error once more, for everybody who waits.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            rusqlite::Error::SqliteFailure(*code, message.clone())
        }
        _ => rusqlite::Error::InvalidQuery,
    }
}
