//! Compares the engine with the model at a moment of rest.

use uuid::Uuid;

use super::destination::locked;
use super::operator::Operator;
use super::run::panics;
use crate::execution::{CallState, Entry, ExecutionLog, Status, Tally};

impl Operator {
    /// Takes what the engine published.
    pub(super) fn take_events(&mut self) {
        while let Some(text) = self.subscriber.take() {
            let events: Vec<(String, serde_json::Value)> = serde_json::from_str(&text).unwrap();
            for (_, event) in events {
                let id: Uuid = event["id"].as_str().unwrap().parse().unwrap();
                let call = event["step"].as_str().unwrap()[1..].parse().unwrap();
                locked(&self.world).settle(id, call, event["status"] == "delivered");
            }
        }
    }

    /// Checks everything, when nothing can happen at this moment.
    pub(super) fn check(&mut self) {
        self.take_events();
        self.released = 0;
        let stats = self.engine().stats();
        let open: usize = self.open.iter().map(|open| open.calls.len()).sum();
        let mut world = locked(&self.world);
        world.check_ends();
        world.check_dues();
        for panic in panics() {
            world.violate(panic);
        }
        let sums = &world.sums;
        let ended = sums.delivered + sums.failed + sums.discarded;
        let waiting = usize::try_from(sums.recorded - ended).unwrap() - open;
        let expected = (sums.recorded, sums.delivered, sums.failed, sums.discarded);
        let actual = (stats.recorded, stats.delivered, stats.failed, stats.discarded);
        let bytes = sums.bytes;
        if actual != expected {
            let text = "recorded, delivered, failed and discarded";
            world.violate(format!("{text} are {actual:?} instead of {expected:?}"));
        }
        if stats.pending != waiting {
            world.violate(format!("{} calls wait instead of {waiting}", stats.pending));
        }
        if stats.pending_bytes != bytes {
            world.violate(format!("{} bytes are held instead of {bytes}", stats.pending_bytes));
        }
        if stats.open_executions != self.open.len() {
            world.violate(format!("{} executions are open", stats.open_executions));
        }
        drop(world);
        self.check_tallies();
    }

    /// Checks that the tally of each execution is that of its deliveries.
    fn check_tallies(&self) {
        for execution in self.engine().shared.journal.log().known(|_| true) {
            let (counted, open) = tally(&execution);
            let state = execution.state();
            let (told, total) = (state.tally(), state.total());
            drop(state);
            let id = &execution.info.execution_id;
            if told != counted {
                locked(&self.world)
                    .violate(format!("the tally of {id} is {told:?} instead of {counted:?}"));
            }
            if total != counted.total() + open {
                locked(&self.world).violate(format!("{id} has {total} calls"));
            }
        }
    }
}

/// Counts the calls of an execution by the deliveries of each, and those that are not terminal.
fn tally(execution: &ExecutionLog) -> (Tally, usize) {
    let state = execution.state();
    let mut tally = Tally::default();
    let mut open = 0;
    let mut calls: Vec<Uuid> = state.entries.iter().map(Entry::call).collect();
    calls.sort_unstable();
    calls.dedup();
    for call in calls {
        let chain: Vec<_> = state.entries.iter().filter(|entry| entry.call() == call).collect();
        let is_dismissed = |state: &CallState| state.dismissed_at.is_some();
        let last = chain[chain.len() - 1];
        if chain.iter().any(|entry| entry.status == Status::Delivered) {
            tally.delivered += 1;
        } else if !last.status.is_terminal() {
            open += 1;
        } else if last.status == Status::Discarded {
            tally.discarded += 1;
        } else if last.call_state.as_deref().is_some_and(is_dismissed) {
            tally.dismissed += 1;
        } else {
            tally.failed += 1;
        }
    }
    (tally, open)
}
