//! All executions that the log still knows, and the rule by which it forgets.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use uuid::Uuid;

use super::following::{OtherNumbering, Recent};
use super::{
    DeliveryQuery, Dropped, Entry, ExecutionInfo, ExecutionLog, ExecutionQuery, LogBudget,
    MAX_SAMPLES, Sample, SettledPage, SettlementCursor, Status,
};
use crate::time::Timestamp;

/// The retention of finished executions. Unfinished ones are never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Finished executions kept per workflow. Default: 100.
    pub max_executions_per_workflow: usize,
    /// Age past which a finished execution is forgotten. Default: 30 days.
    pub max_age: Duration,
    /// Bytes of requests and responses kept in memory. Past it the oldest finished executions are
    /// forgotten first, and bodies of new deliveries are left out. Default: 128 MiB.
    pub max_bytes: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_executions_per_workflow: 100,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            max_bytes: 128 << 20,
        }
    }
}

/// Empty places that an index may have beside those of what it holds.
const SPARE: usize = 64;

/// A delivery and what its execution is.
pub type Found = (Arc<ExecutionInfo>, Entry);

/// An execution that still records, and the log's entries of the calls in its buffer.
pub type OpenBuffer = (Arc<ExecutionLog>, Vec<Entry>);

/// The log of one engine.
#[derive(Debug)]
pub struct Log {
    retention: Retention,
    bytes: AtomicUsize,
    index: Mutex<Index>,
    recent: Recent,
}

#[derive(Debug, Default)]
struct Index {
    executions: HashMap<u64, Arc<ExecutionLog>>,
    /// Executions that a journal brought back and that somebody still holds.
    restored: HashMap<u64, Weak<ExecutionLog>>,
    /// Finished executions of a workflow, oldest first.
    finished_by_workflow: HashMap<Arc<str>, VecDeque<Arc<ExecutionLog>>>,
    /// Finished executions of all workflows, oldest first; forgotten ones leave empty places.
    finished: VecDeque<(Timestamp, Weak<ExecutionLog>)>,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            bytes: AtomicUsize::new(0),
            index: Mutex::default(),
            recent: Recent::new(),
        }
    }

    /// Makes an execution findable. Doing it again changes nothing.
    pub fn register(&self, execution: &Arc<ExecutionLog>) {
        self.index().executions.insert(execution.serial(), Arc::clone(execution));
    }

    /// Returns the execution with this number, made by `restore` if nobody holds it: recovery and
    /// replays of one execution count in the same tally.
    pub fn restored(
        &self,
        serial: u64,
        restore: impl FnOnce() -> ExecutionLog,
    ) -> Arc<ExecutionLog> {
        let mut index = self.index();
        let held = index.restored.get(&serial).and_then(Weak::upgrade);
        if let Some(known) = index.executions.get(&serial).cloned().or(held) {
            return known;
        }
        if index.restored.len() > 2 * index.executions.len() + SPARE {
            index.restored.retain(|_, execution| execution.strong_count() > 0);
        }
        let restored = Arc::new(restore());
        index.restored.insert(serial, Arc::downgrade(&restored));
        restored
    }

    /// Removes an execution of another process.
    pub fn remove(&self, execution: &Arc<ExecutionLog>) {
        let mut index = self.index();
        self.forget(&mut index, execution);
    }

    /// Returns the part of exchanges that new deliveries keep.
    #[must_use]
    pub fn budget(&self) -> LogBudget {
        let full = self.bytes.load(Ordering::Relaxed) >= self.retention.max_bytes;
        if full { LogBudget::HeadersOnly } else { LogBudget::Full }
    }

    /// Adds the bytes that a settlement keeps.
    pub fn add_bytes(&self, kept: usize) {
        self.bytes.fetch_add(kept, Ordering::Relaxed);
    }

    /// Takes note that an execution is finished, and forgets what is over the limits.
    pub fn finish(&self, execution: &Arc<ExecutionLog>) {
        let mut index = self.index();
        // A replay may have opened it again, and late calls may come after it was forgotten.
        let is_over = execution.state().is_finished();
        let is_known = index.executions.contains_key(&execution.serial());
        if !is_over || !is_known || !execution.retain_once() {
            return;
        }
        let now = Timestamp::steady();
        index.finished.push_back((now, Arc::downgrade(execution)));
        let of_workflow =
            index.finished_by_workflow.entry(Arc::clone(&execution.info.workflow_id)).or_default();
        of_workflow.push_back(Arc::clone(execution));
        if of_workflow.len() > self.retention.max_executions_per_workflow {
            let oldest = Arc::clone(&of_workflow[0]);
            self.forget(&mut index, &oldest);
        }
        self.forget_old_and_excess(&mut index, now);
    }

    /// Deliveries, newest first, chained with those of open buffers.
    pub fn deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Vec<Found> {
        let limit = query.limit();
        let mut found: Vec<Found> = Vec::new();
        // Copies are dear: once there are enough, only newer ones are made.
        let mut oldest = None;
        let asked = |log: &ExecutionLog| query.admits_execution(log.serial(), &log.info);
        for execution in self.known(asked).iter().rev() {
            let state = execution.state();
            let newer = state.entries.iter().filter(|entry| oldest < Some(entry.id));
            let entries = newer.filter(|entry| query.admits(&execution.info, entry));
            found.extend(entries.map(|entry| (Arc::clone(&execution.info), entry.clone())));
            drop(state);
            oldest = keep_newest(&mut found, limit).or(oldest);
        }
        for (execution, entries) in open {
            if query.admits_execution(execution.serial(), &execution.info) {
                let entries = entries.iter().filter(|entry| query.admits(&execution.info, entry));
                found.extend(entries.map(|entry| (Arc::clone(&execution.info), entry.clone())));
            }
        }
        found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
        found.truncate(limit);
        found
    }

    /// Takes note of settlements of an execution, each with the bytes that it keeps.
    pub fn note_settled(
        &self,
        execution: &Arc<ExecutionLog>,
        settled: impl IntoIterator<Item = (usize, usize)>,
    ) {
        for (place, bytes) in settled {
            self.recent.note(execution, place, bytes);
        }
    }

    /// Returns the settlements after a place; without one, the place after the newest. Of a place in
    /// another engine's log, all that this log has.
    pub fn settled(&self, after: Option<SettlementCursor>, query: &DeliveryQuery) -> SettledPage {
        self.recent.after(after, query).unwrap_or_else(|other: OtherNumbering| {
            let mut found = Vec::new();
            if other.is_of_earlier_engine {
                found = self.deliveries(query, &[]);
                found.retain(|(_, entry)| entry.status.is_terminal());
                found.sort_by_key(|(_, entry)| entry.settled_at);
            }
            SettledPage { found, cursor: other.now, dropped: Dropped::Unknown }
        })
    }

    /// Executions, newest first, each with the calls in its open buffer; `open` are those that
    /// have one.
    pub fn executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
    ) -> Vec<(Arc<ExecutionLog>, usize)> {
        let open: HashMap<u64, (&Arc<ExecutionLog>, &Vec<Entry>)> = open
            .iter()
            .map(|(execution, entries)| (execution.serial(), (execution, entries)))
            .collect();
        let mut known = self.snapshot(|execution| {
            query.admits(&execution.info) && !open.contains_key(&execution.serial())
        });
        known.retain(|execution| query.admits_log(execution, &[]));
        let mut found: Vec<_> = known.into_iter().map(|execution| (execution, 0)).collect();
        let open = open.into_values().filter(|(log, recorded)| query.admits_log(log, recorded));
        found.extend(open.map(|(execution, recorded)| (Arc::clone(execution), recorded.len())));
        found.sort_unstable_by_key(|(execution, _)| Reverse(execution.serial()));
        found
    }

    /// The number of the newest execution with this id, those with an open buffer included.
    #[must_use]
    pub fn newest_with_id(&self, execution_id: &str, open: &[OpenBuffer]) -> Option<u64> {
        let named = |log: &ExecutionLog| *log.info.execution_id == *execution_id;
        let known = self.snapshot(named);
        let open = open.iter().map(|(execution, _)| execution).filter(|log| named(log));
        known.iter().chain(open).map(|log| log.serial()).max()
    }

    /// Counts the deliveries of a query, without its limit and position; `counts` selects the
    /// statuses.
    #[must_use]
    pub fn count_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
        counts: impl Fn(Status) -> bool,
    ) -> usize {
        let query = DeliveryQuery { before: None, ..query.clone() };
        let admitted = |info: &ExecutionInfo, entries: &[Entry]| {
            let admits = |entry: &&Entry| counts(entry.status) && query.admits(info, entry);
            entries.iter().filter(admits).count()
        };
        let asked = |log: &ExecutionLog| query.admits_execution(log.serial(), &log.info);
        let handed_over = self.snapshot(asked);
        let open = open.iter().filter(|(execution, _)| asked(execution));
        let of_log = |log: &Arc<ExecutionLog>| admitted(&log.info, &log.state().entries);
        handed_over.iter().map(of_log).sum::<usize>()
            + open.map(|(log, entries)| admitted(&log.info, entries)).sum::<usize>()
    }

    /// Returns the figures of terminal deliveries recorded since then, the newest.
    #[must_use]
    pub fn samples(&self, since: Timestamp) -> Vec<Sample> {
        let mut samples = Vec::new();
        for execution in self.known(|_| true).iter().rev() {
            let state = execution.state();
            let recent = state.entries.iter().filter(|entry| entry.recorded_at >= since);
            samples.extend(recent.filter_map(Sample::of));
            if samples.len() >= MAX_SAMPLES {
                break;
            }
        }
        samples.truncate(MAX_SAMPLES);
        samples
    }

    /// Returns the time of the call that has waited longest.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<Timestamp> {
        let open = self.snapshot(|execution| execution.state().open() > 0);
        let oldest = |execution: &Arc<ExecutionLog>| {
            let state = execution.state();
            let waiting = state.entries.iter().filter(|entry| !entry.status.is_terminal());
            waiting.map(|entry| entry.recorded_at).min()
        };
        open.iter().filter_map(oldest).min()
    }

    /// Returns the delivery that has waited longest.
    #[must_use]
    pub fn oldest_waiting_entry(&self) -> Option<Found> {
        let open = self.snapshot(|execution| execution.state().open() > 0);
        let oldest = |execution: &Arc<ExecutionLog>| {
            let state = execution.state();
            let waiting = state.entries.iter().filter(|entry| !entry.status.is_terminal());
            let oldest = waiting.min_by_key(|entry| entry.recorded_at)?;
            Some((Arc::clone(&execution.info), oldest.clone()))
        };
        open.iter().filter_map(oldest).min_by_key(|(_, entry)| entry.recorded_at)
    }

    /// Returns the executions that `admits`, in their order.
    #[must_use]
    pub fn known(&self, admits: impl Fn(&ExecutionLog) -> bool) -> Vec<Arc<ExecutionLog>> {
        let mut found = self.snapshot(admits);
        found.sort_unstable_by_key(|execution| execution.serial());
        found
    }

    /// The execution with this number, if the log knows it.
    #[must_use]
    pub fn execution(&self, serial: u64) -> Option<Arc<ExecutionLog>> {
        self.index().executions.get(&serial).cloned()
    }

    fn snapshot(&self, admits: impl Fn(&ExecutionLog) -> bool) -> Vec<Arc<ExecutionLog>> {
        let mut index = self.index();
        self.forget_old_and_excess(&mut index, Timestamp::steady());
        index.executions.values().filter(|execution| admits(execution)).cloned().collect()
    }

    /// The oldest finished executions go while the log is over its bytes or they over their age.
    fn forget_old_and_excess(&self, index: &mut Index, now: Timestamp) {
        let age = u64::try_from(self.retention.max_age.as_millis()).unwrap_or(u64::MAX);
        let horizon = Timestamp::from_millis(now.as_millis().saturating_sub(age));
        while let Some((ended, oldest)) = index.finished.front() {
            let over = self.bytes.load(Ordering::Relaxed) > self.retention.max_bytes;
            if !over && *ended >= horizon {
                break;
            }
            let oldest = oldest.upgrade();
            index.finished.pop_front();
            if let Some(oldest) = oldest {
                self.forget(index, &oldest);
            }
        }
        if index.finished.len() > 2 * index.executions.len() + SPARE {
            index.finished.retain(|(_, execution)| execution.strong_count() > 0);
        }
    }

    fn forget(&self, index: &mut Index, execution: &Arc<ExecutionLog>) {
        if index.executions.remove(&execution.serial()).is_none() {
            return;
        }
        execution.release();
        self.bytes.fetch_sub(mem::take(&mut execution.state().bytes), Ordering::Relaxed);
        let workflow = &execution.info.workflow_id;
        if let Some(finished) = index.finished_by_workflow.get_mut(workflow) {
            if finished.front().is_some_and(|first| first.serial() == execution.serial()) {
                finished.pop_front();
            }
            if finished.is_empty() {
                index.finished_by_workflow.remove(workflow);
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounds the memory of a query: never more than twice the rows of its limit. Returns the
/// oldest row when it dropped others: older ones are not wanted any more.
fn keep_newest(found: &mut Vec<Found>, limit: usize) -> Option<Uuid> {
    if found.len() <= limit.saturating_mul(2) {
        return None;
    }
    found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
    found.truncate(limit);
    found.last().map(|(_, entry)| entry.id)
}
