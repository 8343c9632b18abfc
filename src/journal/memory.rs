//! The journal without a data directory: it is as durable as the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Commit, Completion, Finished, Journal, Lane, Record};
use crate::destinations::Failure;
use crate::error::{ErrorKind, Result};
use crate::observability::log::{Entry, ExecutionLog, Log, Retention, Settlement, Status};
use crate::observability::time::Timestamp;
use crate::recording::Item;

/// Queues in memory, one for each lane.
#[derive(Debug)]
pub struct MemoryJournal {
    log: Log,
    lanes: Mutex<HashMap<Lane, VecDeque<Record>>>,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { log: Log::new(retention), lanes: Mutex::default() }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Record>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_finish(&self, execution: &Arc<ExecutionLog>, finished: bool) -> Finished {
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
        items: Vec<(Lane, Item)>,
    ) -> Vec<Lane> {
        let entries = items.iter().map(|(_, item)| item.entry(seed, Status::Pending));
        let first = execution.add(entries);
        let mut touched: Vec<Lane> = Vec::new();
        let mut lanes = self.lanes();
        for (place, (lane, item)) in (first..).zip(items) {
            let record = record(execution, seed, place, item);
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

fn record(execution: &Arc<ExecutionLog>, seed: u64, place: usize, item: Item) -> Record {
    Record {
        id: crate::recording::delivery_id(item.recorded_at, item.index, seed),
        execution: Arc::clone(execution),
        place,
        kind: item.kind,
        payload: item.payload,
        refused: item.refused,
    }
}

/// Discarded calls have no attempt: they are terminal as soon as they are in the log.
fn discarded(item: &Item, seed: u64) -> Entry {
    let mut entry = item.entry(seed, Status::Discarded);
    let failure = Failure::new(ErrorKind::Discarded, "the execution was discarded");
    entry.failure = Some(Box::new(failure));
    entry.settled_at = Some(Timestamp::now());
    entry
}

impl Journal for MemoryJournal {
    async fn append(&self, commit: Commit) -> Result<Vec<Lane>> {
        let Commit { execution, seed, items, completion } = commit;
        self.log.register(&execution);
        let touched = if completion == Completion::Discarded {
            let entries = items.iter().map(|(_, item)| discarded(item, seed));
            self.log.grow(execution.add_discarded(entries, self.log.room()));
            Vec::new()
        } else {
            self.enqueue(&execution, seed, items)
        };
        let finished = match completion {
            Completion::Continues => false,
            Completion::Completed { error } => execution.complete(error, false),
            Completion::Discarded => execution.complete(None, true),
        };
        self.note_finish(&execution, finished);
        Ok(touched)
    }

    async fn lease(&self, lane: &Lane) -> Option<Record> {
        let mut lanes = self.lanes();
        let Some(record) = lanes.get_mut(lane)?.pop_front() else {
            lanes.remove(lane);
            return None;
        };
        drop(lanes);
        record.execution.start(record.place);
        Some(record)
    }

    fn lease_rest(&self) -> Vec<Record> {
        self.lanes().drain().flat_map(|(_, queue)| queue).collect()
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        let settled = record.execution.settle(record.place, settlement, self.log.room());
        self.log.grow(settled.kept);
        self.note_finish(&record.execution, settled.finished)
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn waiting(&self, lane: &Lane) -> usize {
        self.lanes().get(lane).map_or(0, VecDeque::len)
    }
}
