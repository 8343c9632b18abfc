//! The one way into the journal: for completions, flushes, replays, follow-up calls and discards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::destinations::DestinationRegistry;
use crate::engine::lanes::Lanes;
use crate::engine::shared::SharedParts;
use crate::journal::{Commit, Completion, Lane, Refusal};
use crate::recording::{Calls, Item};

/// Calls that are counted as recorded, from the hand-over on. The counts are taken back unless the calls
/// are committed.
#[derive(Debug)]
pub(super) struct CountedCalls {
    shared: Arc<SharedParts>,
    calls: usize,
    /// `true` if no delivery follows from them.
    are_discarded: bool,
}

impl CountedCalls {
    /// Counts so many calls, which end so.
    pub(super) fn new(shared: &Arc<SharedParts>, calls: usize, completion: &Completion) -> Self {
        let are_discarded = completion.discards();
        let counters = &shared.observers.counters;
        counters.recorded.fetch_add(calls as u64, Ordering::Relaxed);
        if are_discarded {
            counters.discarded.fetch_add(calls as u64, Ordering::Relaxed);
        } else {
            shared.pending.begin(calls);
        }
        Self { shared: Arc::clone(shared), calls, are_discarded }
    }

    /// Leaves the counts to the committed calls.
    fn keep(mut self) {
        self.calls = 0;
    }
}

impl Drop for CountedCalls {
    fn drop(&mut self) {
        if self.calls == 0 {
            return;
        }
        let counters = &self.shared.observers.counters;
        counters.recorded.fetch_sub(self.calls as u64, Ordering::Relaxed);
        if self.are_discarded {
            counters.discarded.fetch_sub(self.calls as u64, Ordering::Relaxed);
        } else {
            self.shared.end(self.calls);
        }
    }
}

/// Appends a commit to the journal, and has its calls delivered. Resolves when the commit is durable.
/// Of a closing engine whose deadline has passed, the calls are interrupted instead.
///
/// # Errors
/// The refused commit.
pub(crate) async fn append(lanes: &Arc<Lanes>, commit: Commit) -> Result<(), Box<Refusal>> {
    let counted = CountedCalls::new(&lanes.shared, commit.items.len(), &commit.completion);
    append_counted(lanes, commit, counted).await
}

/// Appends a commit whose calls are counted already.
pub(super) async fn append_counted(
    lanes: &Arc<Lanes>,
    commit: Commit,
    counted: CountedCalls,
) -> Result<(), Box<Refusal>> {
    let shared = &lanes.shared;
    let execution = Arc::clone(&commit.execution);
    // No settlement follows that would publish the end of the execution.
    let is_last = match commit.completion {
        Completion::Completed { .. } => counted.calls == 0,
        Completion::Discarded => true,
        Completion::Continues | Completion::Over => false,
    };
    let served = shared.journal.append(commit).await?;
    counted.keep();
    #[cfg(test)]
    crate::engine::tests::yields::here();
    if shared.stage.is_cut_off() {
        shared.interrupt_waiting();
    } else {
        lanes.wake(served);
    }
    shared.observers.changes.note_execution(&execution.info.execution_id);
    if is_last {
        shared.publish_if_finished(&execution);
    }
    Ok(())
}

/// Assigns each call to its lane.
pub(super) fn assign_lanes(
    destinations: &DestinationRegistry,
    calls: Calls,
    workflow_id: &str,
) -> Vec<(Lane, Item)> {
    let mut assigned: Vec<(Lane, Item)> = Vec::with_capacity(calls.len());
    for item in calls.into_items() {
        let before = assigned.last().map(|(lane, _)| lane);
        assigned.push((lane_of(destinations, &item, workflow_id, before), item));
    }
    assigned
}

/// Returns the lane of a call; calls in a row often share it.
pub(super) fn lane_of(
    destinations: &DestinationRegistry,
    item: &Item,
    workflow_id: &str,
    before: Option<&Lane>,
) -> Lane {
    let key = destinations.lane(item.kind, &item.payload, workflow_id);
    match before {
        Some(lane) if lane.kind == item.kind && *lane.key == *key => lane.clone(),
        _ => Lane { kind: item.kind, key: key.into() },
    }
}
