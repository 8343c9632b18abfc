//! The retention of the log and the checkpoints: what each process may remove, and what it has removed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::super::dice::Dice;
use super::super::world::now;
use super::disk::Row;
use super::ledger::{Ledger, Promise};
use crate::execution::Retention;
use crate::journal::{StoredExecution, StoredRows};
use crate::time::Timestamp;

/// The age of the newest execution from which on a new process does not believe its clock at once, and the
/// time after which it does.
const RECENT: u64 = 24 * 3_600_000;
const PROOF: u64 = 3_600_000;
/// The longest time that upkeep takes once it is due.
const UPKEEP: Duration = Duration::from_secs(20);
/// No limit.
const MANY: usize = 100_000;

/// The retention of a simulation.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// `true` if the processes make checkpoints and upkeep.
    pub(super) is_on: bool,
    limits: Retention,
    /// The times at which the present process began, and its newest execution before that.
    began_at: u64,
    newest_before: Option<u64>,
    /// The executions in the order of their beginning, by their numbers.
    begun: Vec<usize>,
    /// The calls whose executions were removed.
    pub(super) removed: BTreeSet<usize>,
    /// The ends of deliveries.
    ends: BTreeMap<Uuid, u64>,
    /// `true` if the present process dismissed calls.
    has_dismissed: bool,
    /// Calls that were dismissed.
    dismissed: BTreeSet<usize>,
    /// Failed deliveries that a replay did not find.
    missed: BTreeSet<Uuid>,
    /// The deliveries by the numbers of their settlements.
    settlements: BTreeMap<u64, Uuid>,
}

impl Retained {
    /// Returns the retention that a seed decides for the next process.
    pub(super) fn begin_life(&mut self, dice: &mut Dice, time: u64) -> Retention {
        let mut limits = Retention { max_executions_per_workflow: MANY, ..Retention::default() };
        if self.is_on && dice.percent(60) {
            limits.max_executions_per_workflow = dice.below(8);
        }
        if self.is_on && dice.percent(60) {
            let longest = [1_000, 60_000, 600_000][dice.below(3)];
            limits.max_age = dice.millis(0..=longest);
        }
        (self.limits, self.began_at) = (limits, time);
        limits
    }

    /// Returns the time until the next process.
    pub(super) fn absence(&self, dice: &mut Dice) -> u64 {
        let longest = if self.is_on { [0, 3_600_000, 3 * RECENT][dice.below(3)] } else { 0 };
        dice.within(0..=longest)
    }

    pub(super) fn note_execution(&mut self, number: usize) {
        self.begun.push(number);
    }

    pub(super) fn note_dismissal(&mut self) {
        self.has_dismissed = true;
    }

    /// Takes note of the end of a delivery.
    pub(super) fn note_end(&mut self, id: Uuid, at: &str) {
        self.ends.insert(id, Timestamp::parse(at).unwrap().as_millis());
    }

    /// Forgets what replays did not find in a file that the process left as it was before.
    pub(super) fn forget_missed(&mut self) {
        self.missed.clear();
    }

    /// Returns `true` if the present process may believe its clock, by which executions become too old.
    fn may_believe_clock(&self) -> bool {
        let is_recent = |newest: u64| self.began_at <= newest + RECENT;
        self.newest_before.is_none_or(is_recent) || now() >= self.began_at + PROOF
    }

    /// Returns the time after which everything is removed that may be.
    pub(super) fn patience(&self) -> Duration {
        let proof = Duration::from_millis(self.began_at + PROOF)
            .saturating_sub(Duration::from_millis(now()));
        if self.may_believe_clock() { UPKEEP } else { proof + UPKEEP }
    }
}

impl Ledger {
    /// Learns from the rows of a file which executions were removed, and checks that they might be.
    pub(super) fn check_removed(&mut self, rows: &[Row], stored: &StoredRows) {
        let there: BTreeSet<usize> = rows.iter().map(Row::call).collect();
        let executions: BTreeSet<&str> =
            stored.executions.iter().map(|execution| &*execution.execution_id).collect();
        for number in self.retained.begun.clone() {
            let is_of = |place: &usize| self.calls[*place].execution == number;
            let calls: Vec<_> = (0..self.calls.len()).filter(is_of).collect();
            let is_there = executions.contains(&*format!("e{number}"));
            let was_stored = calls.iter().any(|call| self.was_stored(*call));
            if calls.iter().any(|call| self.retained.removed.contains(call)) {
                if is_there {
                    self.violate(format!("the removed execution of {calls:?} is there again"));
                }
            } else if was_stored && !is_there && !calls.iter().any(|call| there.contains(call)) {
                self.remove(number, &calls);
            }
        }
        for row in rows.iter().filter(|row| row.dismissed_at.is_some()) {
            self.retained.dismissed.insert(row.call());
        }
        self.check_rows(stored);
    }

    /// Returns `true` if a call is known to be stored: it was promised, or sent.
    fn was_stored(&self, call: usize) -> bool {
        let Some(commit) = self.calls[call].commit else { return false };
        let is_known = |id: &Uuid| self.deliveries.contains_key(id) || self.has_end(*id);
        self.commits[commit].promise == Promise::Kept
            || self.commits[commit].promise == Promise::Open
                && self.calls[call].id.as_ref().is_some_and(is_known)
    }

    fn has_end(&self, id: Uuid) -> bool {
        self.ended.contains_key(&id) || self.settled.contains_key(&id)
    }

    /// Returns `true` if a delivery is known to be delivered, or to have failed.
    fn end_of(&self, id: Uuid) -> Option<bool> {
        self.ended.get(&id).or_else(|| self.settled.get(&id)).copied()
    }

    /// Takes note that an execution was removed, and checks that it might be.
    fn remove(&mut self, number: usize, calls: &[usize]) {
        self.note(&format!("the execution of {calls:?} was removed"));
        let kept: Vec<_> = calls.iter().copied().filter(|call| self.was_stored(*call)).collect();
        let ids: Vec<_> = kept.iter().flat_map(|call| self.deliveries_of(*call)).collect();
        if let Some(id) = ids.iter().find(|id| !self.has_end(**id)) {
            self.violate(format!("the execution of {calls:?} was removed before {id} had ended"));
        }
        let has_no_id = |call: &&usize| self.calls[**call].id.is_none();
        if let Some(call) = kept.iter().find(has_no_id) {
            self.violate(format!("the execution of call {call} was removed before it had ended"));
        }
        let ends = ids.iter().filter_map(|id| self.retained.ends.get(id)).max();
        let age = u64::try_from(self.retained.limits.max_age.as_millis()).unwrap();
        let is_old = ends.is_none_or(|end| end + age < now());
        let is_dead = kept.iter().any(|call| self.is_dead_letter(*call));
        let may_be_old = is_old && self.retained.may_believe_clock();
        let may_be_excess = !is_dead && self.has_newer(number);
        if !may_be_old && !may_be_excess {
            self.violate(format!(
                "the execution of {calls:?} was removed: old {is_old}, dead letter {is_dead}"
            ));
        }
        self.retained.removed.extend(calls);
        for call in kept {
            let commit = self.calls[call].commit.unwrap();
            self.commits[commit].promise = Promise::Kept;
        }
        for id in ids {
            if let Some(is_delivered) = self.end_of(id) {
                self.ended.insert(id, is_delivered);
            }
        }
    }

    /// Returns `true` if the delivery is of a removed execution.
    pub(super) fn is_removed(&self, id: Uuid) -> bool {
        self.call_of(id).is_some_and(|call| self.retained.removed.contains(&call))
    }

    /// Returns the known deliveries of a call.
    fn deliveries_of(&self, call: usize) -> Vec<Uuid> {
        let mut ids = self.replays.of_call(call);
        ids.extend(self.calls[call].id);
        ids
    }

    /// Returns `true` if a call has surely a dead letter.
    fn is_dead_letter(&self, call: usize) -> bool {
        let may_be_dismissed =
            self.retained.has_dismissed || self.retained.dismissed.contains(&call);
        let ids = self.deliveries_of(call);
        let is_known = !may_be_dismissed && !ids.is_empty();
        is_known && ids.iter().all(|id| self.end_of(*id) == Some(false))
    }

    /// Returns `true` if a workflow may have as many executions after this one as are kept.
    fn has_newer(&self, number: usize) -> bool {
        let workflow_of = |number: usize| {
            let of = self.calls.iter().find(|call| call.execution == number);
            of.map(|call| call.workflow)
        };
        let workflow = workflow_of(number);
        let begun = self.retained.begun.iter().rev().take_while(|other| **other != number);
        // Those without calls may be of any workflow.
        let newer =
            begun.filter(|other| workflow_of(**other).is_none_or(|of| Some(of) == workflow));
        newer.count() >= self.retained.limits.max_executions_per_workflow
    }

    fn check_rows(&mut self, stored: &StoredRows) {
        for leftover in &stored.leftovers {
            self.violate(format!("the file has {leftover}"));
        }
        for (number, id) in &stored.settlements {
            let before = self.retained.settlements.insert(*number, *id);
            if before.is_some_and(|before| before != *id) {
                self.violate(format!("settlement {number} is {id}, and was {before:?}"));
            }
        }
        if let Some(id) =
            stored.settlements.iter().map(|(_, id)| id).find(|id| self.retained.missed.contains(id))
        {
            self.violate(format!("{id} is there, and was unknown to a replay"));
        }
        self.retained.missed.clear();
        self.retained.has_dismissed = false;
        self.retained.newest_before = stored.executions.last().map(|newest| newest.started_at);
    }

    /// Checks that everything is removed that is over the limits.
    pub(super) fn check_kept(&mut self, stored: &StoredRows) {
        let Retained { limits, is_on, .. } = self.retained;
        if !is_on {
            return;
        }
        if stored.unfinished > 0 {
            self.violate(format!("{} executions are not finished", stored.unfinished));
        }
        let age = u64::try_from((limits.max_age + UPKEEP).as_millis()).unwrap();
        let is_old = |kept: &&StoredExecution| kept.finished_at.is_some_and(|at| at + age < now());
        if let Some(old) = stored.executions.iter().find(is_old) {
            self.violate(format!("an old execution is kept: {old:?}"));
        }
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        let finished = stored.executions.iter().filter(|kept| kept.finished_at.is_some());
        for execution in finished.filter(|kept| kept.failed == 0) {
            *kept.entry(&execution.workflow_id).or_default() += 1;
        }
        for (workflow, count) in kept {
            if count > limits.max_executions_per_workflow {
                self.violate(format!("{count} executions of {workflow} are kept: {limits:?}"));
            }
        }
    }

    /// Takes note that a replay did not find a delivery. If it had failed before the replay began, it must
    /// have been removed.
    pub(super) fn miss(&mut self, id: Uuid, began_at: u64) {
        let had_ended = self.retained.ends.get(&id).is_some_and(|end| *end < began_at);
        if had_ended && self.end_of(id) == Some(false) {
            self.retained.missed.insert(id);
        }
    }
}
