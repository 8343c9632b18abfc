//! Compares the file that a process left with the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::Row;
use super::ledger::{Ledger, Promise};
use crate::journal::StoredRows;

impl Ledger {
    /// Checks what a process left: nothing that was promised is missing, nothing is there that was not
    /// committed, and what had ended has the same end. Learns which commits were stored.
    pub(super) fn check_stored(&mut self, rows: &[Row], others: &StoredRows, is_closed: bool) {
        self.check_removed(rows, others);
        let mut stored: BTreeMap<usize, &Row> = BTreeMap::new();
        self.check_replays(rows);
        let is_discarded = |row: &&Row| row.status == "discarded";
        for row in rows.iter().filter(|row| row.replay_of.is_none() && !is_discarded(row)) {
            if stored.insert(row.call(), row).is_some() {
                self.violate(format!("call {} is stored twice", row.call()));
            }
        }
        self.check_commits(&stored, is_closed);
        for (number, row) in &stored {
            if *self.calls[*number].id.get_or_insert(row.id) != row.id {
                self.violate(format!("call {number} is stored with another id"));
            }
        }
        self.check_sent(rows);
        for row in rows {
            self.check_row(row);
        }
        if is_closed {
            self.check_settled();
        }
        for id in self.ended.keys().copied().collect::<Vec<_>>() {
            if !rows.iter().any(|row| row.id == id) && !self.is_removed(id) {
                self.violate(format!("the end of {id} is not stored any more"));
            }
        }
    }

    fn check_commits(&mut self, stored: &BTreeMap<usize, &Row>, is_closed: bool) {
        for place in 0..self.commits.len() {
            let commit = &self.commits[place];
            let promise = commit.promise;
            // Those that were refused may be in another commit.
            let is_in = |call: &&usize| {
                self.calls[**call].commit == Some(place) && !self.retained.removed.contains(call)
            };
            let calls: Vec<_> = commit.calls.iter().filter(is_in).collect();
            let there = calls.iter().filter(|call| stored.contains_key(call)).count();
            let (all, calls) = (calls.len(), format!("{calls:?}"));
            match promise {
                Promise::Kept if there < all => {
                    self.violate(format!("of the commit of {calls} {there} are stored"));
                }
                Promise::Lost if there > 0 => {
                    self.violate(format!("of the lost commit of {calls} {there} are stored"));
                }
                Promise::Open | Promise::Refused
                    if there < all && self.keep_refused(place, stored) => {}
                Promise::Open | Promise::Refused if there > 0 && there < all => {
                    self.violate(format!("a part of the commit of {calls} is stored: {there}"));
                }
                Promise::Refused if is_closed && there > 0 => {
                    self.violate(format!("of the refused commit of {calls} {there} are stored"));
                }
                Promise::Open | Promise::Refused => {
                    let is_stored = there > 0;
                    self.commits[place].promise =
                        if is_stored { Promise::Kept } else { Promise::Lost };
                    self.note(&format!("the commit of {calls} is stored: {is_stored}"));
                }
                Promise::Kept | Promise::Lost => {}
            }
        }
    }

    /// Learns that the file has a commit that was refused, whose calls were then handed over with others: a
    /// sync may have failed after it was written. Returns `false` if it has none.
    fn keep_refused(&mut self, place: usize, stored: &BTreeMap<usize, &Row>) -> bool {
        let is_there = |call: &&usize| stored.contains_key(call);
        let there: Vec<_> = self.commits[place].calls.iter().filter(is_there).copied().collect();
        let is_it = |before: &usize| self.commits[*before].calls == there;
        let Some(before) = (0..place).rev().find(is_it).filter(|_| !there.is_empty()) else {
            return false;
        };
        if !self.counts.is_disk_broken {
            return false;
        }
        self.note(&format!("the refused commit of {there:?} is stored"));
        self.commits[before].promise = Promise::Kept;
        self.commits[place].promise = Promise::Lost;
        for call in there {
            self.calls[call].commit = Some(before);
        }
        true
    }

    fn check_sent(&mut self, rows: &[Row]) {
        let stored: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
        let mut sent = self.deliveries.iter();
        if let Some((_, delivery)) =
            sent.find(|(id, _)| !stored.contains(id) && !self.is_removed(**id))
        {
            let call = delivery.call;
            self.violate(format!("call {call} was sent, and is not stored"));
        }
    }

    fn check_row(&mut self, row: &Row) {
        let number = row.call();
        let promise = self.calls[number].commit.map(|commit| self.commits[commit].promise);
        if (promise == Some(Promise::Kept)) == (row.status == "discarded") {
            self.violate(format!("call {number} is stored as {}", row.status));
        }
        let is_delivered = match &*row.status {
            "delivered" => true,
            "failed" => false,
            _ if self.ended.contains_key(&row.id) => {
                return self.violate(format!("the end of call {number} is lost"));
            }
            _ => return,
        };
        if self.settled.get(&row.id).is_some_and(|settled| *settled != is_delivered) {
            self.violate(format!("call {number} is stored with another end"));
        }
        self.retained.note_end(row.id, row.settled_at.as_deref().unwrap());
        if self.ended.insert(row.id, is_delivered).is_some_and(|before| before != is_delivered) {
            self.violate(format!("the end of call {number} has changed"));
        }
    }

    /// Checks that a process that closed has stored each end.
    fn check_settled(&mut self) {
        let lost = self.settled.keys().find(|id| !self.ended.contains_key(id)).copied();
        if let Some(id) = lost {
            self.violate(format!("the end of {id} was published, and is not stored"));
        }
    }
}
