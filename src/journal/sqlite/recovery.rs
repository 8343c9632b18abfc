//! What an earlier process left: it is delivered as everything else is, from the lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rusqlite::{Connection, params};
use tokio::sync::Notify;

use super::op::Op;
use super::reader::{Left, LeftCall, Progress};
use super::tables::int;
use super::{OnInterrupted, OpenCommit, SqliteJournal};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::memory::record;
use crate::journal::{Record, Refill};
use crate::observability::log::{ExecutionLog, Status};
use crate::observability::time::Timestamp;

/// Calls of the first part, so that the first of them leaves soon.
const FIRST_CALLS: usize = 256;
/// Calls of every other part.
const CALLS: usize = 2048;
/// Bytes of a part.
const BYTES: usize = 16 << 20;
/// Calls that an earlier process left and that wait in lanes at once. One dead host may hold as
/// many before the calls behind them are looked at.
const AHEAD: usize = 20_000;

/// How much of what was left is in the lanes.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The last commit that was brought into the lanes.
    after: AtomicU64,
    /// The last number of the earlier process.
    until: u64,
    /// Calls that are still in the file alone.
    left: AtomicUsize,
    /// Calls that were brought into the lanes and are not terminal.
    ahead: AtomicUsize,
    done: AtomicBool,
    room: Notify,
}

impl Backlog {
    /// `left` calls with numbers up to `until`.
    pub(super) fn new(left: usize, until: u64) -> Self {
        Self {
            after: AtomicU64::new(0),
            until,
            left: AtomicUsize::new(left),
            ahead: AtomicUsize::new(0),
            done: AtomicBool::new(left == 0),
            room: Notify::new(),
        }
    }

    /// Calls that are still in the file alone.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// The last commit that is not in the file alone.
    pub(super) fn looked_at(&self) -> u64 {
        let done = self.done.load(Ordering::Acquire);
        if done { self.until } else { self.after.load(Ordering::Acquire) }
    }

    /// Takes note that a call that was left is terminal.
    pub(super) fn note_settled(&self) {
        if self.ahead.fetch_sub(1, Ordering::AcqRel) <= AHEAD {
            self.room.notify_one();
        }
    }

    /// Resolves when more calls may be brought into the lanes.
    pub(super) async fn room(&self) {
        while self.ahead.load(Ordering::Acquire) >= AHEAD {
            self.room.notified().await;
        }
    }
}

/// Runs that had not come to their end when the process died have no runner any more.
pub(super) fn end_interrupted_executions(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE executions SET ended = 'completed', completed_at = ?1,
                error = 'the process ended before the execution was completed',
                finished_at = CASE WHEN EXISTS
                    (SELECT 1 FROM commits WHERE execution = serial AND open = 1)
                    THEN NULL ELSE ?1 END,
                delivered = (SELECT count(*) FROM deliveries
                             WHERE execution = serial AND status = 'delivered'),
                failed = (SELECT count(*) FROM deliveries
                          WHERE execution = serial AND status = 'failed')
         WHERE ended IS NULL",
        params![int(Timestamp::now().as_millis())],
    )
}

/// Batches whose every record is terminal need nothing more.
pub(super) fn forget_finished_batches(connection: &Connection) -> rusqlite::Result<usize> {
    let statement = "DELETE FROM batches WHERE NOT EXISTS (SELECT 1 FROM commits WHERE open = 1)";
    connection.execute(statement, [])
}

impl SqliteJournal {
    /// Brings the next part into the lanes.
    pub(super) async fn refill_part(&self) -> Result<Option<Refill>> {
        if self.backlog.done.load(Ordering::Acquire) {
            return Ok(None);
        }
        let after = self.backlog.after.load(Ordering::Acquire);
        let calls = if after == 0 { FIRST_CALLS } else { CALLS };
        let reader = self.readers.get()?;
        let read = tokio::task::spawn_blocking(move || {
            let left = reader.left(after, calls, BYTES)?;
            left.into_iter().map(|left| Ok((reader.execution(left.execution)?, left))).collect()
        });
        let parts: Vec<_> = read.await.unwrap_or_else(|panic| {
            let message = "reading what an earlier process left panicked";
            Err(Error::new(ErrorKind::Internal, message).with_source(panic))
        })?;
        let mut refill = Refill::default();
        let mut last = None;
        for (execution, left) in parts {
            if left.first_seq > self.backlog.until {
                break;
            }
            last = Some(left.first_seq);
            let log = self.memory.log().execution(left.execution).or_else(|| {
                let execution = execution?;
                let (completion, tally) = (execution.completion, execution.tally);
                let serial = left.execution;
                let log = ExecutionLog::restored(execution.info, serial, completion, tally);
                Some(Arc::new(log))
            });
            if let Some(log) = log {
                self.bring(&log, left, &mut refill);
            }
        }
        // Everything before the last commit that was read is there.
        refill.batches = self.left_batches.take_whole(last.map_or(u64::MAX, |last| last - 1));
        refill.batches.retain(|batch| {
            if batch.records.is_empty() {
                // The process died between the last settlement and this.
                self.writer.push(Op::Forget { batch: batch.sealed.id });
            }
            !batch.records.is_empty()
        });
        if let Some(last) = last {
            self.backlog.after.store(last, Ordering::Release);
            return Ok(Some(refill));
        }
        self.backlog.done.store(true, Ordering::Release);
        self.backlog.left.store(0, Ordering::Relaxed);
        Ok(if refill.batches.is_empty() { None } else { Some(refill) })
    }

    fn bring(&self, execution: &Arc<ExecutionLog>, left: Left, refill: &mut Refill) {
        let Left { first_seq, seed, calls, failed, .. } = left;
        if calls.is_empty() {
            // The process died between the last settlement and this.
            self.writer.push(Op::Close { first_seq, keep: failed });
            return;
        }
        self.memory.log().register(execution);
        self.open_commits().insert(first_seq, OpenCommit { left: calls.len(), failed });
        refill.calls += calls.len();
        let minuend = calls.len().min(self.backlog.left());
        self.backlog.left.fetch_sub(minuend, Ordering::Relaxed);
        for call in calls {
            self.bring_call(execution, seed, call, refill);
        }
    }

    fn bring_call(
        &self,
        execution: &Arc<ExecutionLog>,
        seed: u64,
        call: LeftCall,
        refill: &mut Refill,
    ) {
        let LeftCall { seq, lane, item, progress } = call;
        let batch = self.left_batches.place_of(seq);
        let status = if batch.is_some() { Status::Batched } else { Status::Pending };
        let mut entry = item.entry(seed, status);
        entry.attempts = progress.attempts();
        let interrupted = matches!(progress, Progress::UnderWay { .. });
        if interrupted {
            entry.warnings.push(INTERRUPTED.to_owned());
        }
        let attempts = entry.attempts;
        let place = execution.add([entry]);
        let record = record(execution, seed, place, seq, item);
        let record = Record { recovered: true, attempts, ..record };
        refill.bytes += record.payload.len();
        if let Some((batch, place)) = batch {
            self.left_batches.add(batch, place, Record { recovered: false, ..record });
            return;
        }
        self.backlog.ahead.fetch_add(1, Ordering::AcqRel);
        if interrupted && self.on_interrupted == OnInterrupted::Fail {
            refill.interrupted.push(record);
            return;
        }
        if let Progress::Retrying { due, .. } = progress {
            self.memory.delay(lane, record, due);
            refill.delayed = true;
            return;
        }
        self.memory.put(lane.clone(), record);
        if !refill.lanes.contains(&lane) {
            refill.lanes.push(lane);
        }
    }

    /// Marks that an attempt begins and waits until that is on disk; the answer is whether it is.
    /// The writer reports its own trouble.
    pub(super) async fn mark(&self, record: &Record) -> bool {
        self.writer.lease(record.seq, record.attempts).await.is_ok()
    }
}

/// What the log says of a delivery that was under way when the process died.
const INTERRUPTED: &str = "the process ended while this delivery was under way: it may have been \
                           received before, under the same id";
