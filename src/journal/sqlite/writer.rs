//! The one thread that writes, and the queue in front of it.
//!
//! Whatever waits when the thread comes back for more is one transaction: the more there is to do,
//! the less each part of it costs (group commit). Nobody waits for a transaction but hand-overs, so
//! one without any may wait a moment for company.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoints;
use super::op::{Append, Op, Waiter};
use super::trouble::trouble;
use super::upkeep::Upkeep;
use super::{directory::DataDir, tables};
use crate::error::{Error, ErrorKind, Result};

/// How long a transaction that nobody waits for may be put off.
const LINGER: Duration = Duration::from_millis(2);
/// Operations that are a transaction worth beginning.
const ENOUGH: usize = 256;
/// The wait after a transaction that failed, before what is left of it is tried again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_millis(500);

/// The writer's end that the journal holds.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    ops: Vec<Op>,
    awaited: bool,
    stopping: bool,
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
        let mut pen = Pen {
            connection,
            checkpoints,
            path,
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
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Asks for something that nobody waits for.
    pub(super) fn push(&self, op: Op) {
        let mut queue = self.shared.queue();
        queue.ops.push(op);
        if matches!(queue.ops.len(), 1 | ENOUGH) {
            self.shared.ready.notify_one();
        }
    }

    /// Asks for several such things.
    pub(super) fn push_all(&self, ops: impl IntoIterator<Item = Op>) {
        let mut queue = self.shared.queue();
        queue.ops.extend(ops);
        self.shared.ready.notify_one();
    }

    /// Writes a hand-over; resolves when it is as durable as configured.
    pub(super) async fn append(&self, append: Box<Append>) -> Result<()> {
        self.wait(|waiter| Op::Append(append, waiter)).await
    }

    /// Marks that an attempt begins; resolves when that is on disk.
    pub(super) async fn lease(&self, seq: u64, attempts: u32) -> Result<()> {
        self.wait(|waiter| Op::Lease { seq, attempts, waiter: Some(waiter) }).await
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
            queue.ops.push(op(waiter));
            queue.awaited = true;
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
        self.queue().awaited
    }

    /// Waits for work. The answer is whether there will be more.
    fn next(&self, batch: &mut Vec<Op>, at_most: Duration) -> bool {
        let mut queue = self.queue();
        while queue.ops.is_empty() && !queue.stopping {
            let (woken, waited) =
                self.ready.wait_timeout(queue, at_most).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if waited.timed_out() {
                break;
            }
        }
        if !queue.awaited && !queue.stopping && !queue.ops.is_empty() {
            let pressing =
                |queue: &mut Queue| !queue.awaited && !queue.stopping && queue.ops.len() < ENOUGH;
            let waited = self.ready.wait_timeout_while(queue, LINGER, pressing);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.awaited = false;
        batch.append(&mut queue.ops);
        !queue.stopping || !batch.is_empty()
    }
}

/// What the thread holds.
struct Pen {
    connection: Connection,
    checkpoints: Checkpoints,
    path: PathBuf,
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
            let tidied =
                tidied.and_then(|()| self.upkeep.run(&self.connection, shared.is_busy()));
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
        let used = self.upkeep.used(&self.connection);
        for op in &batch {
            if let Op::Finish { execution, .. } = op {
                self.upkeep.note(&execution.info.workflow_id);
            }
        }
        match self.transaction(&batch, used) {
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
                        Op::Append(..) | Op::Lease { waiter: Some(_), .. } | Op::Sync(_) => {
                            answer(op, Err(error));
                        }
                        op => self.left.push(op),
                    }
                }
                (self.report)(&trouble(&self.path, "cannot be written", error));
            }
        }
    }

    /// The answer names the hand-overs that the limit refuses, by their places.
    fn transaction(
        &mut self,
        batch: &[Op],
        mut used: u64,
    ) -> rusqlite::Result<Vec<(usize, Error)>> {
        let settled: HashSet<u64> = batch
            .iter()
            .filter_map(|op| if let Op::Settle(row) = op { Some(row.seq) } else { None })
            .collect();
        let mut refused = Vec::new();
        let transaction = self.connection.transaction()?;
        for (place, op) in batch.iter().enumerate() {
            if let Op::Append(append, _) = op {
                let size = append.commit.as_ref().map_or(0, |commit| commit.sealed.len() as u64);
                match self.upkeep.admit(&mut used, size) {
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
        Op::Sync(_) => Ok(()),
    }
}

fn answer(op: Op, result: Result<()>) {
    if let Op::Append(_, waiter) | Op::Lease { waiter: Some(waiter), .. } | Op::Sync(waiter) = op {
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
