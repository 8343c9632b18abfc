//! The records that wait for a time, by that time and by lane.

use std::collections::{BTreeMap, HashMap};

use crate::journal::{Lane, Record};
use crate::time::Timestamp;

type ByTime = BTreeMap<(Timestamp, u64), (Lane, Record)>;

/// The postponed records.
///
/// **Invariant:** `counts` has the number of records of each lane in `records`, and no lane without any.
#[derive(Debug, Default)]
pub(super) struct Postponed {
    records: ByTime,
    counts: HashMap<Lane, usize>,
}

impl Postponed {
    pub(super) fn insert(&mut self, lane: Lane, record: Record, until: Timestamp) {
        *self.counts.entry(lane.clone()).or_default() += 1;
        if let Some((lane, _)) = self.records.insert((until, record.seq), (lane, record)) {
            self.discount(&lane);
        }
    }

    /// Takes the records that are due, in the order of their times.
    pub(super) fn take_due(&mut self, now: Timestamp) -> ByTime {
        let later = self.records.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.records, later);
        self.discount_all(&due);
        due
    }

    /// Takes the records that `wanted` accepts, in the order of their times.
    pub(super) fn take(&mut self, wanted: impl Fn(Timestamp, &Record) -> bool) -> ByTime {
        let (taken, rest) = std::mem::take(&mut self.records)
            .into_iter()
            .partition(|((due, _), (_, record))| wanted(*due, record));
        self.records = rest;
        self.discount_all(&taken);
        taken
    }

    /// Takes the records of the lanes that `is_taken` accepts.
    pub(super) fn take_lanes(&mut self, is_taken: &dyn Fn(&Lane) -> bool) -> ByTime {
        let (taken, rest) = std::mem::take(&mut self.records)
            .into_iter()
            .partition(|(_, (lane, _))| is_taken(lane));
        self.records = rest;
        self.discount_all(&taken);
        taken
    }

    /// Returns the time of the next one.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.records.keys().next().map(|(until, _)| *until)
    }

    /// Returns the number of those of each lane.
    pub(super) fn counts(&self) -> HashMap<Lane, usize> {
        self.counts.clone()
    }

    fn discount_all(&mut self, taken: &ByTime) {
        for (lane, _) in taken.values() {
            self.discount(lane);
        }
    }

    fn discount(&mut self, lane: &Lane) {
        let Some(count) = self.counts.get_mut(lane) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(lane);
        }
    }
}
