//! The journal without a data directory: it is as durable as the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Commit, Completion, Finished, Journal, Lane, Record, Refill, Refusal, Replayable, SealedBatch,
};
use crate::destinations::Failure;
use crate::error::{ErrorKind, Result};
use crate::observability::log::{
    Before, DeliveryQuery, Entry, ExecutionLog, ExecutionQuery, ExecutionView, Found, Log,
    OpenBuffer, Retention, Selection, Settlement, Status, array,
};
use crate::observability::time::Timestamp;
use crate::recording::Item;
use crate::streams::{Event, EventId};

/// Queues in memory, one for each lane.
#[derive(Debug)]
pub struct MemoryJournal {
    log: Log,
    lanes: Mutex<HashMap<Lane, VecDeque<Record>>>,
    /// Records that wait for their time, by it and by their numbers.
    delayed: Mutex<BTreeMap<(Timestamp, u64), (Lane, Record)>>,
    next_seq: AtomicU64,
}

/// What taking a commit came to.
pub(super) struct Taken {
    /// The lanes that have work now.
    pub lanes: Vec<Lane>,
    /// Whether everything of the execution is terminal.
    pub finished: bool,
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            log: Log::new(retention),
            lanes: Mutex::default(),
            delayed: Mutex::default(),
            next_seq: AtomicU64::new(0),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Record>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a commit whose calls are numbered from `first_seq`.
    pub(super) fn take(&self, commit: Commit, first_seq: u64) -> Taken {
        let Commit { execution, seed, items, completion } = commit;
        self.log.register(&execution);
        let lanes = if completion == Completion::Discarded {
            let entries = items.iter().map(|(_, item)| discarded(item, seed));
            self.log.grow(execution.add_discarded(entries, self.log.room()));
            Vec::new()
        } else {
            self.enqueue(&execution, seed, first_seq, items)
        };
        let finished = match completion {
            Completion::Continues => false,
            Completion::Completed { error } => execution.complete(error, false),
            Completion::Discarded => execution.complete(None, true),
        };
        Taken { lanes, finished }
    }

    /// Executions that are under way, and what is kept of those that are over.
    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// Puts a record where it waits for its time.
    pub(super) fn delay(&self, lane: Lane, record: Record, until: Timestamp) {
        self.delayed().insert((until, record.seq), (lane, record));
    }

    fn delayed(&self) -> MutexGuard<'_, BTreeMap<(Timestamp, u64), (Lane, Record)>> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a record into its lane.
    pub(super) fn put(&self, lane: Lane, record: Record) {
        self.lanes().entry(lane).or_default().push_back(record);
    }

    /// Forgets what the log is not to keep of an execution that is over.
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
        first_seq: u64,
        items: Vec<(Lane, Item)>,
    ) -> Vec<Lane> {
        let entries = items.iter().map(|(_, item)| item.entry(seed, Status::Pending));
        let first = execution.add(entries);
        let mut touched: Vec<Lane> = Vec::new();
        let mut lanes = self.lanes();
        for ((place, seq), (lane, item)) in (first..).zip(first_seq..).zip(items) {
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

/// The record of a call that was never attempted.
pub(super) fn record(
    execution: &Arc<ExecutionLog>,
    seed: u64,
    place: usize,
    seq: u64,
    item: Item,
) -> Record {
    Record {
        id: crate::recording::delivery_id(item.recorded_at, item.index, seed),
        seq,
        attempts: 0,
        recorded_at: item.recorded_at,
        recovered: false,
        execution: Arc::clone(execution),
        place,
        kind: item.kind,
        payload: item.payload,
        refused: item.refused,
    }
}

/// Discarded calls have no attempt: they are terminal as soon as they are in the log.
pub(super) fn discarded(item: &Item, seed: u64) -> Entry {
    let mut entry = item.entry(seed, Status::Discarded);
    let failure = Failure::new(ErrorKind::Discarded, "the execution was discarded");
    entry.failure = Some(Box::new(failure));
    entry.settled_at = Some(Timestamp::now());
    entry
}

impl Journal for MemoryJournal {
    async fn append(&self, commit: Commit) -> std::result::Result<Vec<Lane>, Box<Refusal>> {
        let first_seq = self.next_seq.fetch_add(commit.items.len() as u64, Ordering::Relaxed);
        let execution = Arc::clone(&commit.execution);
        let Taken { lanes, finished } = self.take(commit, first_seq);
        self.note_finish(&execution, finished);
        Ok(lanes)
    }

    async fn lease(&self, lane: &Lane) -> Option<Record> {
        let mut lanes = self.lanes();
        let Some(mut record) = lanes.get_mut(lane)?.pop_front() else {
            lanes.remove(lane);
            return None;
        };
        drop(lanes);
        record.attempts += 1;
        record.execution.start(record.place);
        Some(record)
    }

    fn join(&self, lane: &Lane) -> Option<Record> {
        let mut lanes = self.lanes();
        let Some(record) = lanes.get_mut(lane)?.pop_front() else {
            lanes.remove(lane);
            return None;
        };
        drop(lanes);
        record.execution.join(record.place);
        Some(record)
    }

    async fn seal(&self, _batch: &SealedBatch, _records: Vec<u64>) -> Result<()> {
        Ok(())
    }

    async fn note_batch(&self, _batch: u64, _note: Option<&str>) -> Result<()> {
        Ok(())
    }

    fn conclude(&self, _batch: u64, _conclusion: &str) {}

    fn forget_batch(&self, _batch: u64) {}

    async fn written(&self) {}

    fn lease_rest(&self) -> Vec<Record> {
        let delayed = std::mem::take(&mut *self.delayed());
        let waiting = self.lanes().drain().flat_map(|(_, queue)| queue).collect::<Vec<_>>();
        waiting.into_iter().chain(delayed.into_values().map(|(_, record)| record)).collect()
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        record.execution.postpone(record.place, record.attempts, note);
        self.delay(lane.clone(), record, until);
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        let mut delayed = self.delayed();
        let later = delayed.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut *delayed, later);
        let next = delayed.keys().next().map(|(until, _)| *until);
        drop(delayed);
        let mut touched = Vec::new();
        for (lane, record) in due.into_values() {
            if !touched.contains(&lane) {
                touched.push(lane.clone());
            }
            self.put(lane, record);
        }
        (touched, next)
    }

    fn postponed(&self) -> usize {
        self.delayed().len()
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        let settled = record.execution.settle(record.place, settlement, self.log.room());
        self.log.grow(settled.kept);
        self.note_finish(&record.execution, settled.finished)
    }

    fn log(&self) -> &Log {
        self.log()
    }

    fn is_durable(&self) -> bool {
        false
    }

    async fn refill(&self) -> Result<Option<Refill>> {
        Ok(None)
    }

    async fn room(&self) {}

    fn backlog(&self) -> usize {
        0
    }

    async fn deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<Vec<Found>> {
        Ok(self.log.deliveries(query, open))
    }

    async fn executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<String> {
        let before = match &query.before {
            None => None,
            Some(Before::Cursor(cursor)) => Some(cursor.0),
            Some(Before::ExecutionId(id)) => {
                // Nothing comes after an execution that is forgotten.
                Some(self.log.newest_with_id(id, open).unwrap_or(0))
            }
        };
        let mut found = self.log.executions(query, open);
        found.retain(|(log, _)| before.is_none_or(|before| log.serial() < before));
        found.truncate(query.limit());
        let views: Vec<_> = found
            .iter()
            .map(|(log, recorded)| ExecutionView::new(log, &log.state(), *recorded))
            .collect();
        Ok(array(&views))
    }

    async fn replayable(&self, selection: &Selection) -> Result<Vec<Replayable>> {
        let failed = self.log.failed(selection);
        Ok(failed.iter().filter_map(|(log, entry)| Replayable::of(log, entry)).collect())
    }

    async fn count_deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<usize> {
        Ok(self.log.count_deliveries(query, open, |_| true))
    }

    async fn count_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<usize> {
        Ok(self.log.executions(query, open).len())
    }

    fn keep_event(&self, _event: &Arc<Event>, _forgotten: Vec<EventId>) {}

    fn kept_events(&self) -> Result<Vec<Event>> {
        Ok(Vec::new())
    }

    async fn register(&self, _changes: Vec<(String, Option<String>)>) -> Result<()> {
        Ok(())
    }

    fn registrations(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn close(&self) {}

    fn waiting(&self, lane: &Lane) -> usize {
        self.lanes().get(lane).map_or(0, VecDeque::len)
    }
}
