//! The queue in memory: as durable as the process. A durable journal keeps its waiting calls here too.

mod history;
mod postponed;
mod queue;
mod replay;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postponed::Postponed;

use super::{Commit, Completion, Finished, Lane, Record, RecordFilter};
use crate::delivery::Failure;
use crate::error::ErrorKind;
use crate::execution::{Entry, ExecutionLog, Log, Retention, Status};
use crate::id::delivery_id;
use crate::recording::Item;
use crate::time::Timestamp;

/// Lanes in memory, and the log of executions.
#[derive(Debug)]
pub struct MemoryJournal {
    log: Log,
    lanes: Mutex<HashMap<Lane, VecDeque<Record>>>,
    /// Postponed records by their due times and numbers.
    postponed: Mutex<Postponed>,
    next_seq: AtomicU64,
}

/// The effect of a commit.
pub(super) struct Applied {
    /// The lanes that have work now.
    pub lanes: Vec<Lane>,
    /// `true` if everything of the execution is terminal.
    pub finished: bool,
    /// Bytes of each call that another process delivers.
    pub elsewhere: Vec<usize>,
}

impl MemoryJournal {
    /// Creates an empty journal.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            log: Log::new(retention),
            lanes: Mutex::default(),
            postponed: Mutex::default(),
            next_seq: AtomicU64::new(0),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Record>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit whose calls are numbered from `first_seq`.
    pub(super) fn apply(&self, commit: Commit, first_seq: u64) -> Applied {
        self.apply_part(commit, &mut (first_seq..), &|_| true)
    }

    /// Adds a commit with the numbers of its calls. This process delivers those in the lanes that
    /// `is_here` accepts.
    pub(super) fn apply_part(
        &self,
        commit: Commit,
        numbers: &mut dyn Iterator<Item = u64>,
        is_here: &dyn Fn(&Lane) -> bool,
    ) -> Applied {
        let Commit { execution, seed, items, completion, forwards: _ } = commit;
        if completion == Completion::Over {
            return self.apply_late(&execution, seed, &items);
        }
        let mut elsewhere = Vec::new();
        let lanes = if completion.discards() {
            let entries = items.iter().map(|(_, item)| discarded(item, seed));
            let added = execution.add_discarded(entries, self.log.budget());
            self.log.add_bytes(added.iter().map(|(_, bytes)| bytes).sum());
            self.log.register(&execution);
            self.log.note_settled(&execution, added);
            Vec::new()
        } else {
            let (here, others): (Vec<_>, Vec<_>) =
                numbers.zip(items).partition(|(_, (lane, _))| is_here(lane));
            elsewhere.extend(others.iter().map(|(_, (_, item))| item.payload.cost()));
            execution.add_elsewhere(others.len());
            self.enqueue(&execution, seed, here)
        };
        let finished = match completion {
            // A discard may have gone before a flush.
            Completion::Continues | Completion::Over => execution.state().is_finished(),
            Completion::Completed { error, message } => execution.complete(error, message),
            Completion::Discarded => execution.discard(),
        };
        Applied { lanes, finished, elsewhere }
    }

    /// Adds calls that came after the end to the log of their execution, unless it is forgotten.
    fn apply_late(
        &self,
        execution: &Arc<ExecutionLog>,
        seed: u64,
        items: &[(Lane, Item)],
    ) -> Applied {
        let entries = items.iter().map(|(_, item)| discarded(item, seed));
        let added = execution.add_discarded(entries, self.log.budget());
        if self.log.execution(execution.serial()).is_some() {
            self.log.add_bytes(added.iter().map(|(_, bytes)| bytes).sum());
        }
        self.log.note_settled(execution, added);
        let finished = execution.state().is_finished();
        Applied { lanes: Vec::new(), finished, elsewhere: Vec::new() }
    }

    /// Returns the executions in progress and the finished ones that are kept.
    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// Takes the oldest waiting record of a lane and begins an attempt.
    pub(super) fn begin_attempt(&self, lane: &Lane) -> Option<Record> {
        let mut record = self.pop(lane)?;
        record.attempts += 1;
        record.execution.start(record.place);
        Some(record)
    }

    fn pop(&self, lane: &Lane) -> Option<Record> {
        let mut lanes = self.lanes();
        let queue = lanes.get_mut(lane)?;
        let record = queue.pop_front();
        // A host without calls costs nothing.
        if queue.is_empty() {
            lanes.remove(lane);
        }
        record
    }

    /// Moves those postponed records into their lanes that `wanted` accepts. Returns them by lane,
    /// number and attempts.
    pub(super) fn recall(&self, wanted: RecordFilter<'_>) -> Vec<(Lane, u64, u32)> {
        let mut postponed = self.postponed();
        let mut recalled = Vec::new();
        for ((_, seq), (lane, record)) in postponed.take(wanted) {
            recalled.push((lane.clone(), seq, record.attempts));
            self.put(lane, record);
        }
        recalled
    }

    /// Takes the waiting and postponed records of the lanes that `is_taken` accepts.
    pub(super) fn withdraw(&self, is_taken: &dyn Fn(&Lane) -> bool) -> Vec<Record> {
        let mut postponed = self.postponed();
        let mut records = Vec::new();
        self.lanes().retain(|lane, queue| {
            let stays = !is_taken(lane);
            if !stays {
                records.extend(queue.drain(..));
            }
            stays
        });
        let taken = postponed.take_lanes(is_taken);
        records.extend(taken.into_values().map(|(_, record)| record));
        records
    }

    /// Returns the lanes with waiting records.
    pub(super) fn busy_lanes(&self) -> Vec<Lane> {
        self.lanes().keys().cloned().collect()
    }

    /// Locks the postponed records. It is held until those that leave are in their lanes, so that who looks
    /// at both misses none.
    fn postponed(&self) -> MutexGuard<'_, Postponed> {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record to its lane.
    pub(super) fn put(&self, lane: Lane, record: Record) {
        self.lanes().entry(lane).or_default().push_back(record);
    }

    /// Applies the retention of the log if the execution is finished.
    pub(super) fn note_finish(&self, execution: &Arc<ExecutionLog>, finished: bool) -> Finished {
        if !finished {
            return Finished::NotYet;
        }
        self.log.finish(execution);
        Finished::Execution(Arc::clone(execution))
    }

    fn enqueue(
        &self,
        execution: &Arc<ExecutionLog>,
        seed: u64,
        items: Vec<(u64, (Lane, Item))>,
    ) -> Vec<Lane> {
        let first = execution.add(items.iter().map(|(_, (_, item))| {
            let before = item.replay.as_deref().map(|replay| replay.before);
            (item.entry(seed, Status::Pending), before)
        }));
        // With its calls, so that an end before them does not forget it.
        self.log.register(execution);
        let mut touched: Vec<Lane> = Vec::new();
        let mut lanes = self.lanes();
        for (place, (seq, (lane, item))) in (first..).zip(items) {
            let record = record(execution, seed, place, seq, item);
            if let Some(queue) = lanes.get_mut(&lane) {
                queue.push_back(record);
            } else {
                lanes.insert(lane.clone(), VecDeque::from([record]));
            }
            if touched.last() != Some(&lane) {
                touched.push(lane);
            }
        }
        touched
    }
}

/// Returns each lane of recalled records once.
pub(super) fn lanes_of(recalled: Vec<(Lane, u64, u32)>) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for (lane, ..) in recalled {
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    lanes
}

/// Creates the record of a call that was never attempted.
pub(super) fn record(
    execution: &Arc<ExecutionLog>,
    seed: u64,
    place: usize,
    seq: u64,
    item: Item,
) -> Record {
    Record {
        id: delivery_id(item.recorded_at, item.index, seed),
        seq,
        attempts: 0,
        recorded_at: item.recorded_at,
        recovered: false,
        execution: Arc::clone(execution),
        place,
        kind: item.kind,
        payload: item.payload,
        last_error: None,
        refused: item.refused,
    }
}

/// Creates the entry of a discarded call, which is terminal from the beginning.
pub(super) fn discarded(item: &Item, seed: u64) -> Entry {
    let mut entry = item.entry(seed, Status::Discarded);
    let failure = item
        .refused
        .as_deref()
        .cloned()
        .unwrap_or_else(|| Failure::new(ErrorKind::Discarded, "the execution was discarded"));
    entry.failure = Some(Box::new(failure));
    entry.settled_at = Some(Timestamp::now());
    entry
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::execution::Retention;
    use crate::journal::contract::{commit, completed, lane};
    use crate::journal::{Queue, Recovery};

    /// A record that was in neither place at that moment would stay behind, and be delivered twice.
    #[tokio::test]
    async fn lanes_are_withdrawn_with_what_is_on_its_way_into_them() {
        let journal = MemoryJournal::new(Retention::default());
        for round in 0..2000 {
            journal.append(commit(&["a"], completed()).0).await.unwrap();
            let record = journal.lease(&lane("a")).await.unwrap();
            journal.delay(lane("a"), record, Timestamp::default());
            let withdrawn = thread::scope(|scope| {
                scope.spawn(|| journal.wake_due(Timestamp::now()));
                scope.spawn(|| journal.withdraw(&|_| true)).join().unwrap()
            });
            assert_eq!(withdrawn.len(), 1, "round {round}");
        }
    }
}
