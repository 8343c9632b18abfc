//! The durable queue: each change of the lanes in memory is written to the file.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::write::{AppendOp, EncryptedCommit, Ending, Op, SettledRow};
use super::{OnInterrupted, OpenCommit, SqliteJournal};
use crate::error::Result;
use crate::execution::{AttemptLog, DeliveryRequest, Entry, ExecutionLog, Settlement, Status};
use crate::id::delivery_id;
use crate::journal::memory::{Applied, discarded, lanes_of};
use crate::journal::{
    Commit, Completion, Finished, Lane, Promise, Queue, Record, RecordFilter, Recovery, Refusal,
    codec,
};
use crate::recording::Item;
use crate::time::Timestamp;

/// The delay before a record is leased again whose lease could not be written.
const LEASE_RETRY: Duration = Duration::from_secs(1);

impl SqliteJournal {
    async fn append_commit(&self, commit: Commit) -> std::result::Result<Vec<Lane>, Box<Refusal>> {
        let calls = commit.items.len();
        let first_seq = self.next_seq.fetch_add(calls as u64, Ordering::Relaxed);
        let append = match self.append_op(&commit, first_seq) {
            Ok(append) => append,
            Err(error) => return Err(Box::new(Refusal { error, commit, taken: vec![] })),
        };
        let waits = append.commit.is_some();
        if let Err(error) = self.writer.append(append).await {
            let taken = self.removed_of(&commit);
            return Err(Box::new(Refusal { error, commit, taken }));
        }
        if waits {
            let commit = OpenCommit { left: calls, failed: false };
            self.open_commits().insert(first_seq, commit);
        }
        let execution = Arc::clone(&commit.execution);
        let Applied { lanes, finished, .. } = self.memory.apply(commit, first_seq);
        if finished {
            self.writer.push(Self::finish_op(&execution));
        }
        self.memory.note_finish(&execution, finished);
        Ok(lanes)
    }

    /// Returns the deliveries that a refused commit repeats, if the log has removed them.
    fn removed_of(&self, commit: &Commit) -> Vec<Uuid> {
        let replays = commit.items.iter().filter_map(|(_, item)| item.replay.as_deref());
        let ids: Vec<_> = replays.map(|replay| replay.id).collect();
        let serial = commit.execution.serial();
        let is_removed = || {
            let found = self.readers.get().and_then(|reader| reader.execution(serial));
            matches!(found, Ok(None))
        };
        if !ids.is_empty() && is_removed() { ids } else { Vec::new() }
    }

    fn append_op(&self, commit: &Commit, first_seq: u64) -> Result<Box<AppendOp>> {
        let Commit { execution, seed, items, completion, forwards } = commit;
        let discards = completion.discards();
        let waits = !items.is_empty() && !discards;
        let encrypted = if waits {
            let plain = codec::encode(items);
            let ciphertext = self.cipher.encrypt(&first_seq.to_le_bytes(), &plain)?;
            Some(EncryptedCommit { first_seq, seed: *seed, ciphertext })
        } else {
            None
        };
        let replayed = |(_, item): &(Lane, Item)| {
            let id = delivery_id(item.recorded_at, item.index, *seed);
            item.replay.as_deref().map(|replay| (replay.id, id))
        };
        let rows = |(seq, (_, item)): (u64, &(Lane, Item))| SettledRow {
            seq,
            execution: execution.serial(),
            entry: self.described(discarded(item, *seed)),
            is_forwarded: false,
        };
        let settled = if discards { (first_seq..).zip(items).map(rows).collect() } else { vec![] };
        Ok(Box::new(AppendOp {
            execution: Arc::clone(execution),
            ending: ending(completion),
            deliveries: items.len(),
            calls: items.iter().filter(|(_, item)| item.replay.is_none()).count(),
            replays: items.iter().filter_map(replayed).collect(),
            commit: encrypted,
            settled,
            forwards: *forwards,
        }))
    }

    /// Returns the entry as the file may hold it: without secrets.
    fn described(&self, mut entry: Entry) -> Entry {
        if let DeliveryRequest::Recorded(payload) = &entry.request {
            entry.request = DeliveryRequest::Sent((self.describe)(entry.kind, payload));
        }
        entry.replayable = None;
        entry
    }

    pub(super) fn finish_op(execution: &Arc<ExecutionLog>) -> Op {
        let tally = execution.state().tally();
        Op::Finish { execution: Arc::clone(execution), tally, at: Timestamp::now() }
    }

    /// Counts a terminal call. Returns the operation that closes its commit after the last one.
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

    async fn lease_record(&self, lane: &Lane) -> Option<Record> {
        let mut record = self.memory.begin_attempt(lane)?;
        match self.on_interrupted {
            OnInterrupted::Resend => {
                let Record { seq, attempts, .. } = record;
                self.writer.push(Op::Lease { seq, attempts, waiter: None });
            }
            OnInterrupted::Fail => {
                // It may not be sent before its lease is on disk. The writer reports its own errors.
                if self.writer.lease(record.seq, record.attempts).await.is_err() {
                    record.attempts -= 1;
                    let until = Timestamp::steady().after(LEASE_RETRY);
                    self.memory.delay(lane.clone(), record, until);
                    return None;
                }
            }
        }
        Some(record)
    }
}

fn ending(completion: &Completion) -> Option<Ending> {
    match completion {
        Completion::Continues | Completion::Over => None,
        Completion::Completed { error, message } => {
            Some(Ending { how: "completed", error: error.clone(), message: message.clone() })
        }
        Completion::Discarded => Some(Ending { how: "discarded", error: None, message: None }),
    }
}

impl Queue for SqliteJournal {
    fn append(&self, commit: Commit) -> Promise<'_, std::result::Result<Vec<Lane>, Box<Refusal>>> {
        Box::pin(self.append_commit(commit))
    }

    fn lease<'a>(&'a self, lane: &'a Lane) -> Promise<'a, Option<Record>> {
        Box::pin(self.lease_record(lane))
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        let log = self.memory.log();
        let is_forwarded = settlement.is_forwarded;
        let settled = record.execution.settle(record.place, settlement, log.budget());
        log.add_bytes(settled.kept);
        let entry = record.execution.state().entries[record.place].clone();
        let status = entry.status;
        let execution = record.execution.serial();
        let entry = self.described(entry);
        let row = SettledRow { seq: record.seq, execution, entry, is_forwarded };
        let close = self.count_down(record.seq, status);
        let finish = settled.finished.then(|| Self::finish_op(&record.execution));
        self.writer.push_all([Op::Settle(Box::new(row))].into_iter().chain(close).chain(finish));
        if record.recovered {
            self.backlog.note_settled();
        }
        self.memory.note_finish(&record.execution, settled.finished)
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        let (seq, attempts) = (record.seq, record.attempts);
        let last_error = record.last_error.clone();
        let attempt_log = {
            let state = record.execution.state();
            state.entries[record.place].attempt_log.as_deref().map(AttemptLog::to_text)
        };
        let due = until.by_system();
        self.writer.push(Op::Postpone { seq, attempts, due, last_error, attempt_log });
        self.memory.postpone(lane, record, until, note);
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        self.memory.wake_due(now)
    }

    fn hasten(&self, now: Timestamp, wanted: RecordFilter<'_>) -> Vec<Lane> {
        let recalled = self.memory.recall(wanted);
        for &(_, seq, attempts) in &recalled {
            self.writer.push(Op::Postpone {
                seq,
                attempts,
                due: now,
                last_error: None,
                attempt_log: None,
            });
        }
        lanes_of(recalled)
    }

    fn waiting(&self, lane: &Lane) -> usize {
        self.memory.waiting(lane)
    }

    fn postponed(&self) -> HashMap<Lane, usize> {
        Queue::postponed(&self.memory)
    }

    fn lease_rest(&self) -> Vec<Record> {
        self.memory.lease_rest()
    }

    fn close(&self) -> Promise<'_, ()> {
        self.closed.store(true, Ordering::Release);
        // The last connection that closes removes the write-ahead log: it has to be the writer's.
        self.readers.close();
        let writer = Arc::clone(&self.writer);
        let indexer = self.indexer.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            // A panic of the thread was reported by the panic itself.
            let _ = tokio::task::spawn_blocking(move || {
                if let Some(indexer) = indexer {
                    indexer.stop();
                }
                writer.stop();
            })
            .await;
        })
    }
}
