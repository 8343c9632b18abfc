//! All executions that the log still knows, and the rule by which it forgets.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::execution::Room;
use super::query::DEFAULT_LIMIT;
use super::{
    DeliveryQuery, DeliveryView, Entry, ExecutionLog, ExecutionQuery, ExecutionView, Render,
};
use crate::observability::time::Timestamp;

/// How long the log remembers finished executions. Unfinished ones are never forgotten.
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

/// The log of one engine.
#[derive(Debug)]
pub struct Log {
    retention: Retention,
    bytes: AtomicUsize,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    executions: HashMap<u64, Arc<ExecutionLog>>,
    /// Finished executions of a workflow, oldest first.
    finished_by_workflow: HashMap<Arc<str>, VecDeque<Arc<ExecutionLog>>>,
    /// Finished executions of all workflows, oldest first; forgotten ones leave empty places.
    finished: VecDeque<(Timestamp, Weak<ExecutionLog>)>,
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, bytes: AtomicUsize::new(0), index: Mutex::default() }
    }

    /// Makes an execution findable. Doing it again changes nothing.
    pub fn register(&self, execution: &Arc<ExecutionLog>) {
        self.index().executions.insert(execution.serial(), Arc::clone(execution));
    }

    /// What the log has room for now.
    #[must_use]
    pub fn room(&self) -> Room {
        let full = self.bytes.load(Ordering::Relaxed) >= self.retention.max_bytes;
        if full { Room::HeadsOnly } else { Room::Bodies }
    }

    /// Accounts for what a settlement keeps.
    pub fn grow(&self, kept: usize) {
        self.bytes.fetch_add(kept, Ordering::Relaxed);
    }

    /// Takes note that an execution is finished, and forgets what is over the limits.
    pub fn finish(&self, execution: &Arc<ExecutionLog>) {
        if !execution.retain_once() {
            return;
        }
        let mut index = self.index();
        let now = Timestamp::now();
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

    /// Deliveries as JSON values, newest first, chained with those of open buffers.
    pub fn deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[(Arc<ExecutionLog>, Vec<Entry>)],
        render: Render<'_>,
    ) -> String {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        let mut found: Vec<(Arc<ExecutionLog>, Entry)> = Vec::new();
        for execution in self.snapshot(|execution| query.admits_execution(&execution.info)) {
            let state = execution.state();
            let entries = state.entries.iter().filter(|entry| query.admits(entry));
            found.extend(entries.map(|entry| (Arc::clone(&execution), entry.clone())));
            drop(state);
            keep_newest(&mut found, limit);
        }
        for (execution, entries) in open {
            if query.admits_execution(&execution.info) {
                let entries = entries.iter().filter(|entry| query.admits(entry));
                found.extend(entries.map(|entry| (Arc::clone(execution), entry.clone())));
            }
        }
        found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
        found.truncate(limit);
        let views: Vec<_> = found
            .iter()
            .map(|(execution, entry)| DeliveryView::new(&execution.info, entry, render))
            .collect();
        to_json(&views)
    }

    /// Executions as JSON, newest first. `recorded` tells the calls in an execution's open buffer.
    pub fn executions(
        &self,
        query: &ExecutionQuery,
        recorded: &HashMap<u64, (Arc<ExecutionLog>, usize)>,
    ) -> String {
        let mut found = self.snapshot(|execution| {
            query.admits(&execution.info) && !recorded.contains_key(&execution.serial())
        });
        let open = recorded.values().map(|(execution, _)| Arc::clone(execution));
        found.extend(open.filter(|execution| query.admits(&execution.info)));
        found.sort_unstable_by_key(|execution| Reverse(execution.serial()));
        if let Some(before) = query.before.as_deref() {
            let place = found.iter().position(|execution| *execution.info.execution_id == *before);
            found.drain(..place.map_or(found.len(), |place| place + 1));
        }
        found.truncate(query.limit.unwrap_or(DEFAULT_LIMIT));
        let states: Vec<_> = found
            .iter()
            .map(|execution| {
                let calls = recorded.get(&execution.serial()).map_or(0, |(_, calls)| *calls);
                ExecutionView::new(&execution.info, &execution.state(), calls)
            })
            .collect();
        to_json(&states)
    }

    fn snapshot(&self, admits: impl Fn(&ExecutionLog) -> bool) -> Vec<Arc<ExecutionLog>> {
        let mut index = self.index();
        self.forget_old_and_excess(&mut index, Timestamp::now());
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
        if index.finished.len() > 2 * index.executions.len() + 64 {
            index.finished.retain(|(_, execution)| execution.strong_count() > 0);
        }
    }

    fn forget(&self, index: &mut Index, execution: &Arc<ExecutionLog>) {
        if index.executions.remove(&execution.serial()).is_none() {
            return;
        }
        self.bytes.fetch_sub(execution.state().bytes, Ordering::Relaxed);
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

/// Bounds what a long log costs: never more than twice the rows that are asked for.
fn keep_newest(found: &mut Vec<(Arc<ExecutionLog>, Entry)>, limit: usize) {
    if found.len() > limit.saturating_mul(2).max(1024) {
        found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
        found.truncate(limit);
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "[]".to_owned())
}
