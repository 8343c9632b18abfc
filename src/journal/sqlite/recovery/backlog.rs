//! The backlog: unsettled calls of an earlier process, on their way into the lanes.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rusqlite::{Connection, params};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::execution::{ExecutionLog, Status};
use crate::journal::memory::record;
use crate::journal::sqlite::read::{CallProgress, RecoveredCall, RecoveredCommit, beside};
use crate::journal::sqlite::row::{TALLY, int};
use crate::journal::sqlite::write::Op;
use crate::journal::sqlite::{OnInterrupted, OpenCommit, SqliteJournal};
use crate::journal::{Delayed, Fleet, Lane, Promise, Record, Recovery, Refill};
use crate::time::Timestamp;

/// Calls of the first part, so that the first of them leaves soon.
const FIRST_CALLS: usize = 256;
/// Calls of every other part.
const CALLS: usize = 2048;
/// Bytes of a part.
const BYTES: usize = 16 << 20;
/// Calls that an earlier process left and that wait in lanes at once. One dead host may hold as
/// many before the calls behind them are looked at.
const MAX_IN_LANES: usize = 20_000;

/// The progress of the recovery.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// The last commit that was brought into the lanes.
    cursor: AtomicU64,
    /// The last number of the earlier process.
    last_seq: u64,
    /// Calls that are still in the file alone.
    remaining: AtomicUsize,
    /// Calls that were brought into the lanes and are not terminal.
    in_lanes: AtomicUsize,
    done: AtomicBool,
    room: Notify,
}

impl Backlog {
    /// `left` calls with numbers up to `last_seq`.
    pub(crate) fn new(remaining: usize, last_seq: u64) -> Self {
        Self {
            cursor: AtomicU64::new(0),
            last_seq,
            remaining: AtomicUsize::new(remaining),
            in_lanes: AtomicUsize::new(0),
            done: AtomicBool::new(remaining == 0),
            room: Notify::new(),
        }
    }

    /// Calls that are still in the file alone.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining.load(Ordering::Relaxed)
    }

    /// The last commit that is not in the file alone.
    pub(crate) fn cursor(&self) -> u64 {
        let done = self.done.load(Ordering::Acquire);
        if done { self.last_seq } else { self.cursor.load(Ordering::Acquire) }
    }

    /// Takes note that a call that was left is terminal.
    pub(crate) fn note_settled(&self) {
        if self.in_lanes.fetch_sub(1, Ordering::AcqRel) <= MAX_IN_LANES {
            self.room.notify_one();
        }
    }

    /// Resolves when more calls may be brought into the lanes.
    pub(crate) async fn room(&self) {
        while self.in_lanes.load(Ordering::Acquire) >= MAX_IN_LANES {
            self.room.notified().await;
        }
    }
}

/// Runs that had not come to their end when the process died have no runner any more.
pub(crate) fn end_interrupted_executions(connection: &Connection) -> rusqlite::Result<usize> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(
        "INSERT OR IGNORE INTO unindexed SELECT -1 - serial FROM executions WHERE ended IS NULL",
        [],
    )?;
    let ended = transaction.execute(
        &format!(
            "UPDATE executions SET ended = 'completed', completed_at = ?1,
                error = 'the process ended before the execution was completed',
                finished_at = CASE WHEN EXISTS
                    (SELECT 1 FROM commits WHERE execution = serial AND open = 1)
                    THEN NULL ELSE ?1 END,
                (delivered, failed, discarded, dismissed) =
                    (SELECT {TALLY} FROM deliveries WHERE execution = serial)
         WHERE ended IS NULL"
        ),
        params![int(Timestamp::now().as_millis())],
    )?;
    transaction.commit()?;
    Ok(ended)
}

/// Finishes the executions that have ended and of which no call waits: the process died between the last
/// settlement and this.
pub(crate) fn finish_settled_executions(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        &format!(
            "UPDATE executions SET finished_at = ?1, (delivered, failed, discarded, dismissed) =
                (SELECT {TALLY} FROM deliveries WHERE execution = serial)
             WHERE finished_at IS NULL AND ended IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM commits WHERE execution = serial AND open = 1)"
        ),
        params![int(Timestamp::now().as_millis())],
    )
}

/// Batches whose every record is terminal need nothing more.
pub(crate) fn forget_finished_batches(connection: &Connection) -> rusqlite::Result<usize> {
    let statement = "DELETE FROM batches WHERE NOT EXISTS (SELECT 1 FROM commits WHERE open = 1)";
    connection.execute(statement, [])
}

impl SqliteJournal {
    /// Brings the next part into the lanes.
    async fn refill_part(&self) -> Result<Option<Refill>> {
        if self.backlog.done.load(Ordering::Acquire) {
            return Ok(None);
        }
        let after = self.backlog.cursor.load(Ordering::Acquire);
        let calls = if after == 0 { FIRST_CALLS } else { CALLS };
        let reader = self.readers.get()?;
        let read = beside(move || {
            let left = reader.unsettled(after, calls, BYTES)?;
            let is_over =
                |left: &RecoveredCommit| Ok(left.calls.is_empty() && reader.is_last_open(left)?);
            let part = |left| Ok((reader.execution_of(&left)?, is_over(&left)?, left));
            left.into_iter().map(part).collect()
        });
        let parts: Vec<_> = read.await.unwrap_or_else(|panic| {
            let message = "reading what an earlier process left panicked";
            Err(Error::new(ErrorKind::Internal, message).with_source(panic))
        })?;
        let mut refill = Refill::default();
        let mut last = None;
        for (execution, is_over, left) in parts {
            if left.first_seq > self.backlog.last_seq {
                break;
            }
            last = Some(left.first_seq);
            let serial = left.execution;
            let log = self.memory.log().restored(serial, || {
                let (completion, tally) = (execution.completion, execution.tally);
                ExecutionLog::restored(execution.info, serial, completion, tally)
            });
            self.bring(&log, left, &mut refill);
            if is_over && log.state().is_finished() {
                self.writer.push(Self::finish_op(&log));
            }
        }
        // Everything before the last commit that was read is there.
        refill.batches = self.recovered_batches.take_whole(last.map_or(u64::MAX, |last| last - 1));
        refill.batches.retain(|batch| {
            if batch.records.is_empty() {
                // The process died between the last settlement and this.
                self.writer.push(Op::Forget { batch: batch.sealed.id });
            }
            !batch.records.is_empty()
        });
        if let Some(last) = last {
            self.backlog.cursor.store(last, Ordering::Release);
            return Ok(Some(refill));
        }
        self.backlog.done.store(true, Ordering::Release);
        self.backlog.remaining.store(0, Ordering::Relaxed);
        Ok(if refill.batches.is_empty() { None } else { Some(refill) })
    }

    fn bring(&self, execution: &Arc<ExecutionLog>, left: RecoveredCommit, refill: &mut Refill) {
        let RecoveredCommit { first_seq, seed, calls, failed, .. } = left;
        if calls.is_empty() {
            // The process died between the last settlement and this.
            self.writer.push(Op::Close { first_seq, keep: failed });
            return;
        }
        self.open_commits().insert(first_seq, OpenCommit { left: calls.len(), failed });
        refill.calls += calls.len();
        let recovered = calls.len().min(self.backlog.remaining());
        self.backlog.remaining.fetch_sub(recovered, Ordering::Relaxed);
        for call in calls {
            self.bring_call(execution, seed, call, refill);
        }
    }

    fn bring_call(
        &self,
        execution: &Arc<ExecutionLog>,
        seed: u64,
        call: RecoveredCall,
        refill: &mut Refill,
    ) {
        let batch = self.recovered_batches.place_of(call.seq);
        let status = if batch.is_some() { Status::Batched } else { Status::Pending };
        let mut entry = call.entry(seed, status);
        let RecoveredCall { seq, lane, item, progress, last_error, attempt_log: _ } = call;
        let interrupted = matches!(progress, CallProgress::UnderWay { .. });
        if interrupted {
            entry.warnings.push(INTERRUPTED.to_owned());
        }
        let attempts = entry.attempts;
        let place = execution.bring_back(entry);
        self.memory.log().register(execution);
        let record = record(execution, seed, place, seq, item);
        let record = Record { recovered: true, attempts, last_error, ..record };
        refill.bytes += record.payload.cost();
        if let Some((batch, place)) = batch {
            self.recovered_batches.add(batch, place, Record { recovered: false, ..record });
            return;
        }
        self.backlog.in_lanes.fetch_add(1, Ordering::AcqRel);
        if interrupted && self.on_interrupted == OnInterrupted::Fail {
            refill.interrupted.push(record);
            return;
        }
        if let CallProgress::Retrying { due, .. } = progress {
            refill.delayed.push(Delayed { lane, record, due });
            return;
        }
        self.memory.put(lane.clone(), record);
        if !refill.lanes.contains(&lane) {
            refill.lanes.push(lane);
        }
    }
}

impl Recovery for SqliteJournal {
    fn is_durable(&self) -> bool {
        true
    }

    fn probe(&self) -> Promise<'_, Result<()>> {
        Box::pin(self.writer.probe())
    }

    fn refill(&self) -> Promise<'_, Result<Option<Refill>>> {
        Box::pin(self.refill_part())
    }

    fn arrival(&self) -> Promise<'_, bool> {
        Box::pin(ready(false))
    }

    fn delay(&self, lane: Lane, record: Record, until: Timestamp) {
        self.memory.delay(lane, record, until);
    }

    fn room(&self) -> Promise<'_, ()> {
        Box::pin(self.backlog.room())
    }

    fn backlog(&self) -> usize {
        self.backlog.remaining()
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    fn unforwarded(&self) -> Result<Vec<Uuid>> {
        self.readers.get()?.unforwarded()
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }
}

/// The warning of a delivery that was in progress when the process ended.
const INTERRUPTED: &str = "the process ended while this delivery was under way: it may have been \
                           received before, under the same id";
