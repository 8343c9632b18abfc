//! The shards that this node owns, and the records of them that are under way.
//!
//! **Invariant:** a record is handed out only while the lease is valid, and a record that was handed
//! out under an ownership that ended changes nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crate::execution::{ExecutionLog, Status};
use crate::journal::{Lane, Record};

/// The calls of a part that are not terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenPart {
    pub shard: u16,
    /// The number behind its last call.
    pub end: u64,
    pub left: usize,
    pub has_failed: bool,
    /// `true` if this node did not record it.
    pub was_brought: bool,
}

impl OpenPart {
    /// Returns a part of so many calls, of which none is terminal.
    pub(super) const fn new(shard: u16, first_seq: u64, calls: usize) -> Self {
        let end = first_seq + calls as u64;
        Self { shard, end, left: calls, has_failed: false, was_brought: false }
    }
}

/// The shards of one node.
#[derive(Debug)]
pub(super) struct Ownership {
    /// This node, as the database knows it.
    pub node: i64,
    /// The epoch of each shard that it owns.
    pub held: HashMap<u16, i64>,
    /// Shards that another node waits for: nothing of them is handed out.
    pub draining: HashSet<u16>,
    /// The time at which its lease was renewed.
    pub renewed_at: Instant,
    /// The time until which no other node takes a shard.
    pub valid_until: Instant,
    /// Parts with calls that are not terminal, by the number of their first call.
    pub open: BTreeMap<u64, OpenPart>,
    /// Parts that are on their way into the database: what is read of them is not the whole truth.
    pub appending: HashSet<u64>,
    /// Parts that ended, each with whether that is written: until then they look open.
    closing: HashMap<u64, bool>,
    /// `true` while parts are read, which may have ended meanwhile.
    is_reading: bool,
    /// Records that are handed out, by their numbers.
    in_flight: HashMap<u64, HandedOut>,
    /// Records of each shard that were handed out lately.
    load: HashMap<u16, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HandedOut {
    shard: u16,
    execution: usize,
    place: usize,
}

/// The end of a part whose last call became terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    pub first_seq: u64,
    pub keep: bool,
}

/// Returns the shard of a lane. It is the same in every process and version (FNV-1a).
pub(super) fn shard_of(lane: &Lane, shards: u16) -> u16 {
    let bytes = lane.kind.name().bytes().chain([0]).chain(lane.key.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of this hash are weak for texts that differ at their ends.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u16::try_from(mixed % u64::from(shards.max(1))).unwrap_or_default()
}

impl Ownership {
    /// Returns the ownership of a node that has no shard.
    pub(super) fn new(node: i64) -> Self {
        Self {
            node,
            held: HashMap::new(),
            draining: HashSet::new(),
            renewed_at: Instant::now(),
            valid_until: Instant::now(),
            open: BTreeMap::new(),
            appending: HashSet::new(),
            closing: HashMap::new(),
            is_reading: false,
            in_flight: HashMap::new(),
            load: HashMap::new(),
        }
    }

    /// Returns `true` if records of the shard are handed out.
    pub(super) fn serves(&self, shard: u16) -> bool {
        self.held.contains_key(&shard) && !self.draining.contains(&shard)
    }

    /// Returns `true` if records of the shard are handed out, and it was not let go since.
    pub(super) fn serves_under(&self, shard: u16, tenures: &HashMap<u16, i64>) -> bool {
        self.serves(shard) && self.held.get(&shard) == tenures.get(&shard)
    }

    /// Returns `true` if no other node can have taken a shard yet.
    pub(super) fn is_valid(&self) -> bool {
        Instant::now() < self.valid_until
    }

    /// Notes that a record is handed out.
    pub(super) fn hand_out(&mut self, shard: u16, record: &Record) {
        self.in_flight.insert(record.seq, handed_out(shard, record));
        *self.load.entry(shard).or_default() += 1;
    }

    /// Returns `count` of the shards that are served, with as much of the load as that many have on
    /// average.
    pub(super) fn part_of_load(&self, count: usize) -> HashSet<u16> {
        let load = |shard: &u16| self.load.get(shard).copied().unwrap_or_default();
        let mut served: Vec<u16> =
            self.held.keys().copied().filter(|shard| self.serves(*shard)).collect();
        served.sort_unstable_by_key(|shard| (Reverse(load(shard)), *shard));
        let all = served.len();
        let is_given = |place: usize| (place + 1) * count / all > place * count / all;
        let places = served.into_iter().enumerate();
        places.filter(|(place, _)| is_given(*place)).map(|(_, shard)| shard).collect()
    }

    /// Has older load count half as much: a lease was renewed.
    pub(super) fn age_load(&mut self) {
        self.load.values_mut().for_each(|records| *records /= 2);
    }

    /// Takes a record back. Returns `false` if its ownership ended meanwhile.
    pub(super) fn take_back(&mut self, record: &Record) -> bool {
        let Some(known) = self.in_flight.get(&record.seq) else { return false };
        let is_same = *known == handed_out(known.shard, record);
        if is_same {
            self.in_flight.remove(&record.seq);
        }
        is_same
    }

    /// Returns `true` if the call with this number is of a part with calls that are not terminal.
    pub(super) fn is_open(&self, seq: u64) -> bool {
        self.open.range(..=seq).next_back().is_some_and(|(_, part)| seq < part.end)
    }

    /// Returns `true` if the record with this number is handed out.
    pub(super) fn is_handed_out(&self, seq: u64) -> bool {
        self.in_flight.contains_key(&seq)
    }

    /// Returns `true` if a record of the shard is handed out.
    pub(super) fn is_busy(&self, shard: u16) -> bool {
        self.in_flight.values().any(|record| record.shard == shard)
    }

    /// Counts a terminal call. Returns its part, and the end of that if it was the last call.
    pub(super) fn count_down(&mut self, seq: u64, status: Status) -> (OpenPart, Option<Closed>) {
        let near = self.open.range_mut(..=seq).next_back();
        let Some((&first_seq, part)) = near.filter(|(_, part)| seq < part.end) else {
            return (OpenPart::new(0, 0, 0), None);
        };
        part.left = part.left.saturating_sub(1);
        part.has_failed |= status == Status::Failed;
        let part = *part;
        if part.left > 0 {
            return (part, None);
        }
        self.open.remove(&first_seq);
        self.closing.insert(first_seq, false);
        (part, Some(Closed { first_seq, keep: part.has_failed }))
    }

    /// Notes that the end of a part is written.
    pub(super) fn closed(&mut self, first_seq: u64) {
        if self.is_reading {
            self.closing.entry(first_seq).and_modify(|written| *written = true);
        } else {
            self.closing.remove(&first_seq);
        }
    }

    /// Notes that parts are read from here on, or not any more.
    pub(super) fn set_reading(&mut self, is_reading: bool) {
        self.is_reading = is_reading;
        self.closing.retain(|_, written| !*written);
    }

    /// Returns `true` if a part that was read is, or was, in the lanes of this node.
    pub(super) fn has_had(&self, first_seq: u64) -> bool {
        self.open.contains_key(&first_seq) || self.closing.contains_key(&first_seq)
    }

    /// Forgets everything about these shards.
    pub(super) fn let_go(&mut self, shards: &HashSet<u16>) {
        self.held.retain(|shard, _| !shards.contains(shard));
        self.draining.retain(|shard| !shards.contains(shard));
        self.open.retain(|_, part| !shards.contains(&part.shard));
        self.in_flight.retain(|_, record| !shards.contains(&record.shard));
        self.load.retain(|shard, _| !shards.contains(shard));
        if self.held.is_empty() {
            self.closing.clear();
        }
    }
}

fn handed_out(shard: u16, record: &Record) -> HandedOut {
    // The record keeps its execution alive, so no other one has this address meanwhile.
    let execution = Arc::as_ptr(&record.execution).cast::<ExecutionLog>() as usize;
    HandedOut { shard, execution, place: record.place }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::delivery::Kind;

    #[test]
    fn a_node_gives_its_part_of_the_load_away() {
        let mut ownership = Ownership::new(1);
        ownership.held = (0..64).map(|shard| (shard, 1)).collect();
        assert_eq!(ownership.part_of_load(32).len(), 32);
        assert!(ownership.part_of_load(0).is_empty());
        assert_eq!(ownership.part_of_load(64).len(), 64);
        // A third of the shards have all the load.
        ownership.load = (0..21).map(|shard| (shard, 100)).collect();
        for count in [8, 16, 32, 43] {
            let given = ownership.part_of_load(count);
            assert_eq!(given.len(), count);
            let busy = given.iter().filter(|shard| **shard < 21).count();
            assert!(busy.abs_diff(21 * count / 64) <= 1, "{busy} of {count}");
        }
        ownership.draining = ownership.part_of_load(16);
        let more = ownership.part_of_load(16);
        assert_eq!(more.len(), 16);
        assert!(more.is_disjoint(&ownership.draining));
    }

    #[test]
    fn lanes_spread_over_shards_and_stay_there() {
        let lane = |key: String| Lane { kind: Kind::Http, key: key.into() };
        let shards: HashSet<u16> =
            (0..1000).map(|n| shard_of(&lane(format!("http://host-{n}:80")), 64)).collect();
        assert_eq!(shards.len(), 64);
        assert!(shards.iter().all(|shard| *shard < 64));
        // A released number: another one would put the calls of a host into two shards at an upgrade.
        assert_eq!(shard_of(&lane("http://example.com".to_owned()), 64), 51);
        assert_eq!(shard_of(&lane("x".to_owned()), 1), 0);
    }
}
