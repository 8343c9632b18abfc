//! The faults of the disk.

use super::ledger::{Call, Ledger, Promise};
use super::operator::{OpenExecution, Operator};
use crate::journal::{DiskFault, DiskFaults, has_disk_faults, set_disk_faults};

impl Operator {
    /// Lets the disk fail soon, once or from then on, or ends its faults.
    pub(super) fn break_disk(&mut self) {
        if !self.model(|ledger| ledger.has_disk_faults) {
            return;
        }
        if has_disk_faults() && self.dice.percent(60) {
            return self.mend_disk();
        }
        let fault = [DiskFault::Write, DiskFault::Full, DiskFault::Sync][self.dice.below(3)];
        let (syncs, writes) = (self.dice.within(0..=6), self.dice.within(0..=1));
        let count = if self.dice.percent(50) { 1 } else { u64::MAX };
        let faults = DiskFaults { fault, syncs, writes, count };
        self.model(|ledger| {
            ledger.note(&format!("the disk will fail: {faults:?}"));
            ledger.counts.is_disk_broken = true;
        });
        set_disk_faults(Some(faults));
    }

    /// Takes back the executions whose commits were refused: their calls are recorded as before.
    pub(super) fn take_returned(&mut self) {
        for returned in self.model(|ledger| std::mem::take(&mut ledger.returned)) {
            let is_known = |open: &&mut OpenExecution| open.number == returned.number;
            if let Some(open) = self.open.iter_mut().find(is_known) {
                open.calls.extend(returned.calls);
                open.calls.sort_unstable();
            } else if !self.discarded.contains(&returned.number) {
                self.open.push(returned);
            }
        }
    }

    pub(super) fn mend_disk(&self) {
        self.model(|ledger| ledger.note("the disk is well"));
        set_disk_faults(None);
    }

    /// Notes the error of an operation, which only a disk may cause.
    pub(super) fn allow_error<T>(&self, result: crate::error::Result<T>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.model(|ledger| {
            ledger.note(&format!("refused: {}", error.kind().code()));
            if !ledger.counts.is_disk_broken {
                ledger.violate(format!("refused by a disk that is well: {error}"));
            }
        });
        None
    }
}

impl Ledger {
    /// Takes note that a commit was refused, which leaves its calls with their execution.
    pub(super) fn refuse(&mut self, commit: usize, returned: OpenExecution) {
        self.commits[commit].promise = Promise::Refused;
        self.returned.push(returned);
        if !self.counts.is_disk_broken && !self.counts.is_closing {
            self.violate("a commit was refused by a disk that is well");
        }
    }

    /// Takes note that a commit was stored: none of its execution that was refused before it may be left.
    pub(super) fn keep(&mut self, commit: usize, execution: usize) {
        self.commits[commit].promise = Promise::Kept;
        let is_left = |call: &Call| {
            let of = call.commit.filter(|of| *of < commit && call.execution == execution);
            of.is_some_and(|of| self.commits[of].promise == Promise::Refused)
        };
        if let Some(call) = self.calls.iter().position(is_left) {
            self.violate(format!("commit {commit} overtook call {call}, which was refused"));
        }
    }
}
