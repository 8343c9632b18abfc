//! The one thread that writes, and the queue in front of it.
//!
//! Hand-overs that wait when the thread comes back for more are one transaction: the more there are,
//! the less each of them costs (group commit). Nobody waits for anything else, such as the ends of
//! deliveries: it is put off a moment, and then written in parts beside them.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoints;
use super::op::{Append, Op, Register, Seal, Waiter};
use super::trouble::trouble;
use super::upkeep::Upkeep;
use super::{batches, directory::DataDir, published, tables};
use crate::error::{Error, ErrorKind, Result};
use crate::private::{self, Identity};

/// How long what nobody waits for may be put off.
const LINGER: Duration = Duration::from_millis(3);
/// So much of it is a transaction worth beginning before.
const ENOUGH: usize = 256;
/// So much of it goes into one transaction, and half of it if there is more.
const PART: usize = 24;
/// No transaction has more of it: hand-overs wait for the one that is under way.
const MOST: usize = 2048;
/// The wait after a transaction that failed, before what is left of it is tried again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_millis(500);

/// The writer's end that the journal holds.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The size of the file is.
    limited: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// What somebody waits for.
    awaited: Vec<Op>,
    /// What nobody waits for, in its order. A hand-over may overtake it, nothing else may.
    put_off: VecDeque<Op>,
    /// When the first of it was put off.
    since: Option<Instant>,
    /// Everything is to be written, in its order.
    whole: bool,
    stopping: bool,
}

impl Queue {
    fn put_off(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.put_off.extend(ops);
        self.since.get_or_insert_with(Instant::now);
    }

    /// How long the next transaction may be waited for; `None`: there is nothing to write.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if self.stopping || !self.awaited.is_empty() || self.put_off.len() >= ENOUGH {
            return Some(Duration::ZERO);
        }
        self.since.map(|since| LINGER.saturating_sub(now - since))
    }

    /// What the next transaction writes.
    fn take(&mut self, now: Instant, batch: &mut Vec<Op>) {
        let all = self.put_off.len();
        let due = self.since.is_some_and(|since| now - since >= LINGER) || all >= ENOUGH;
        let part = match (self.whole || self.stopping, due) {
            (true, _) => all,
            (false, true) => PART.max(all / 2).min(MOST).min(all),
            (false, false) => 0,
        };
        batch.extend(self.put_off.drain(..part));
        batch.append(&mut self.awaited);
        self.whole = false;
        if self.put_off.is_empty() {
            self.since = None;
        }
    }
}

/// Called when the file cannot be written, and with nothing when it can be again.
pub type Report = Box<dyn Fn(&Error) + Send>;

impl Writer {
    /// Starts the thread. It holds the data directory until it ends.
    pub(super) fn start(
        mut connection: Connection,
        directory: DataDir,
        path: PathBuf,
        upkeep: Upkeep,
        report: Report,
    ) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let checkpoints = Checkpoints::start(&mut connection, &path)?;
        let limited = upkeep.is_limited();
        let identity = private::identity(&path).map_err(|source| {
            let message = format!("the journal {} cannot be opened", path.display());
            Error::new(ErrorKind::Journal, message).with_source(source)
        })?;
        let mut pen = Pen {
            connection,
            checkpoints,
            path,
            identity,
            upkeep,
            report,
            left: Vec::new(),
            shared: Arc::clone(&shared),
            _directory: directory,
        };
        let thread = std::thread::Builder::new()
            .name("dollar-send-journal".to_owned())
            .spawn(move || pen.run())
            .map_err(|source| {
                Error::new(ErrorKind::Journal, "the journal's thread could not start")
                    .with_source(source)
            })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), limited })
    }

    /// Asks for something that nobody waits for.
    pub(super) fn push(&self, op: Op) {
        self.push_all([op]);
    }

    /// Asks for several such things.
    pub(super) fn push_all(&self, ops: impl IntoIterator<Item = Op>) {
        let mut queue = self.shared.queue();
        let (first, before) = (queue.since.is_none(), queue.put_off.len());
        queue.put_off(ops);
        if first || (before < ENOUGH && queue.put_off.len() >= ENOUGH) {
            self.shared.ready.notify_one();
        }
    }

    /// Writes a hand-over; resolves when it is as durable as configured.
    pub(super) async fn append(&self, append: Box<Append>) -> Result<()> {
        self.wait(|waiter| Op::Append(append, waiter)).await
    }

    /// Marks that an attempt begins; resolves when that is on disk.
    pub(super) async fn lease(&self, seq: u64, attempts: u32) -> Result<()> {
        self.wait(|waiter| Op::Lease { seq, attempts, waiter: Some(waiter) }).await
    }

    /// Writes that records are a batch; resolves when that is on disk.
    pub(super) async fn seal(&self, seal: Box<Seal>) -> Result<()> {
        self.wait(|waiter| Op::Seal(seal, waiter)).await
    }

    /// Writes a note beside a batch; resolves when that is on disk.
    pub(super) async fn note(&self, batch: u64, note: Option<String>) -> Result<()> {
        self.wait(|waiter| Op::Note { batch, note, waiter }).await
    }

    /// Writes changed registrations; resolves when that is on disk.
    pub(super) async fn register(&self, changes: Vec<Register>) -> Result<()> {
        self.wait(|waiter| Op::Register(changes, waiter)).await
    }

    /// Resolves when everything asked for before is on disk.
    pub(super) async fn sync(&self) -> Result<()> {
        self.wait(Op::Sync).await
    }

    async fn wait(&self, op: impl FnOnce(Waiter) -> Op) -> Result<()> {
        let (waiter, written) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.stopping {
                return Err(closed());
            }
            let op = op(waiter);
            // A hand-over has nothing to do with what was asked for before it, unless that makes
            // room for it.
            queue.whole |= self.limited || !matches!(op, Op::Append(..));
            queue.awaited.push(op);
            self.shared.ready.notify_one();
        }
        written.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes what is left and ends the thread; the data directory is free then.
    pub(super) fn stop(&self) {
        self.signal();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was reported by the panic itself.
            let _ = thread.join();
        }
    }

    fn signal(&self) {
        self.shared.queue().stopping = true;
        self.shared.ready.notify_one();
    }
}

impl Drop for Writer {
    /// The thread writes what is left and goes; nobody waits for it.
    fn drop(&mut self) {
        self.signal();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Journal, "the journal is closed")
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody waits for something to be written.
    fn is_busy(&self) -> bool {
        !self.queue().awaited.is_empty()
    }

    /// Waits for work. The answer is whether there will be more.
    fn next(&self, batch: &mut Vec<Op>, at_most: Duration) -> bool {
        let mut queue = self.queue();
        let until = Instant::now() + at_most;
        loop {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let wait = queue.patience(now).map_or(left, |patience| patience.min(left));
            if wait.is_zero() {
                queue.take(now, batch);
                return !queue.stopping || !batch.is_empty();
            }
            let woken = self.ready.wait_timeout(queue, wait);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the thread holds.
struct Pen {
    connection: Connection,
    checkpoints: Checkpoints,
    path: PathBuf,
    /// The file that was opened. What is written into one that was removed is lost.
    identity: Identity,
    upkeep: Upkeep,
    report: Report,
    /// What could not be written and must be.
    left: Vec<Op>,
    shared: Arc<Shared>,
    _directory: DataDir,
}

impl Pen {
    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let troubled = !self.left.is_empty();
            let mut batch = std::mem::take(&mut self.left);
            let pause = if troubled { PAUSE_AFTER_TROUBLE } else { self.upkeep.pause() };
            let more = shared.next(&mut batch, pause);
            self.write(batch);
            if !more || (troubled && !self.left.is_empty() && shared.queue().stopping) {
                break;
            }
            let tidied = self.checkpoints.run(&self.connection);
            let tidied = tidied.and_then(|()| self.upkeep.run(&self.connection, shared.is_busy()));
            if let Err(error) = tidied {
                (self.report)(&trouble(&self.path, "cannot be tidied", error));
            }
        }
        self.checkpoints.stop();
        // The file is whole without the log beside it from here on.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Writes a batch as one transaction and tells who waits. What nobody can be refused is kept
    /// for another time if it fails.
    fn write(&mut self, batch: Vec<Op>) {
        if batch.is_empty() {
            return;
        }
        for op in &batch {
            if let Op::Finish { execution, .. } = op {
                self.upkeep.note(&execution.info.workflow_id);
            }
        }
        match self.transaction(&batch) {
            Ok(mut refused) => {
                for (place, op) in batch.into_iter().enumerate() {
                    let refusal = refused.iter().position(|(at, _)| *at == place);
                    let refusal = refusal.map(|found| refused.swap_remove(found).1);
                    answer(op, refusal.map_or(Ok(()), Err));
                }
            }
            Err(error) => {
                for op in batch {
                    let error = trouble(&self.path, "cannot be written", copy(&error));
                    match op {
                        Op::Append(..)
                        | Op::Lease { waiter: Some(_), .. }
                        | Op::Seal(..)
                        | Op::Note { .. }
                        | Op::Register(..)
                        | Op::Sync(_) => {
                            answer(op, Err(error));
                        }
                        op => self.left.push(op),
                    }
                }
                (self.report)(&trouble(&self.path, "cannot be written", error));
            }
        }
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

    /// The answer names the hand-overs that the limit refuses, by their places.
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
            if let Op::Append(append, _) = op {
                let size = append.commit.as_ref().map_or(0, |commit| commit.sealed.len() as u64);
                let used = used.get_or_insert_with(|| self.upkeep.used(&transaction));
                match self.upkeep.admit(used, size) {
                    Ok(()) => tables::append(&transaction, append)?,
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

fn apply(connection: &Connection, op: &Op, settled: &HashSet<u64>) -> rusqlite::Result<()> {
    match op {
        Op::Append(append, _) => tables::append(connection, append),
        Op::Settle(row) => {
            tables::settle(connection, row)?;
            tables::release(connection, row.seq)?;
            if row.entry.attempts > 1 {
                tables::forget_retry(connection, row.seq)?;
            }
            Ok(())
        }
        // It ends in the same transaction.
        Op::Lease { seq, .. } if settled.contains(seq) => Ok(()),
        Op::Lease { seq, attempts, .. } => tables::lease(connection, *seq, *attempts),
        Op::Postpone { seq, attempts, due } => {
            tables::release(connection, *seq)?;
            tables::postpone(connection, *seq, *attempts, *due)
        }
        Op::Close { first_seq, keep } => tables::close(connection, *first_seq, *keep),
        Op::Finish { execution, tally, at } => tables::finish(connection, execution, *tally, *at),
        Op::Seal(seal, _) => batches::seal(connection, seal),
        Op::Note { batch, note, .. } => batches::note(connection, *batch, note.as_deref()),
        Op::Conclude { batch, conclusion } => batches::conclude(connection, *batch, conclusion),
        Op::Forget { batch } => batches::forget(connection, *batch),
        Op::Keep { event, forgotten } => published::keep(connection, event, forgotten),
        Op::Register(changes, _) => published::register(connection, changes),
        Op::Sync(_) => Ok(()),
    }
}

fn answer(op: Op, result: Result<()>) {
    if let Op::Append(_, waiter)
    | Op::Lease { waiter: Some(waiter), .. }
    | Op::Seal(_, waiter)
    | Op::Note { waiter, .. }
    | Op::Register(_, waiter)
    | Op::Sync(waiter) = op
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
