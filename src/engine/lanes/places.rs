//! The workers, the places of the lanes that they serve, and the places that wait for one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::delivery::Kind;
use crate::journal::Lane;

/// Attempts that go on without a worker at a time.
const MAX_BEGUN: usize = 256;

/// The workers of one engine, and the places that they serve.
#[derive(Debug)]
pub(super) struct Workers {
    /// Places of each lane, those that wait for a worker included.
    active: Mutex<HashMap<Lane, usize>>,
    turns: Mutex<Turns>,
    /// Places of attempts that have begun and that no worker waits for.
    pub(super) begun: Arc<Semaphore>,
}

/// The workers that may still begin, and the places that wait for one.
#[derive(Debug)]
struct Turns {
    free: usize,
    kinds: Vec<KindTurns>,
    /// The number of the place that waits next.
    ticket: u64,
}

/// The workers at the places of one destination.
#[derive(Debug)]
struct KindTurns {
    kind: Kind,
    limit: usize,
    working: usize,
    /// Places in the order of their tickets.
    waiting: VecDeque<(u64, Lane)>,
}

impl Turns {
    fn of(&mut self, kind: Kind) -> &mut KindTurns {
        let found = self.kinds.iter().position(|turns| turns.kind == kind);
        let index = found.unwrap_or(self.kinds.len());
        if found.is_none() {
            let (limit, working, waiting) = (usize::MAX, 0, VecDeque::new());
            self.kinds.push(KindTurns { kind, limit, working, waiting });
        }
        &mut self.kinds[index]
    }

    fn wait(&mut self, lane: Lane) {
        let ticket = self.ticket;
        self.ticket += 1;
        self.of(lane.kind).waiting.push_back((ticket, lane));
    }

    /// Takes the place that has waited longest, of those whose destination may have another worker.
    fn take(&mut self) -> Option<Lane> {
        let able = self.kinds.iter_mut().filter(|turns| turns.working < turns.limit);
        let first = able.min_by_key(|turns| turns.waiting.front().map_or(u64::MAX, |(t, _)| *t))?;
        let (_, lane) = first.waiting.pop_front()?;
        first.working += 1;
        Some(lane)
    }
}

/// The right to be a worker, now at a place of this kind.
pub(super) struct Slot<'a>(&'a Workers, Kind);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut turns = self.0.turns();
        turns.free += 1;
        turns.of(self.1).working -= 1;
    }
}

impl Workers {
    /// No workers yet, and at most `concurrency`.
    pub(super) fn new(concurrency: usize) -> Self {
        let turns = Turns { free: concurrency.max(1), kinds: Vec::new(), ticket: 0 };
        let begun = Arc::new(Semaphore::new(MAX_BEGUN));
        Self { active: Mutex::default(), turns: Mutex::new(turns), begun }
    }

    /// Forgets all places: their workers are gone.
    pub(super) fn clear(&self) {
        self.active().clear();
        self.turns().kinds.iter_mut().for_each(|turns| turns.waiting.clear());
    }

    /// Takes the right to begin a worker for this place, or has the place wait. `limit` is the number
    /// of workers that its destination may have.
    pub(super) fn begin(&self, lane: &Lane, limit: usize) -> bool {
        let mut turns = self.turns();
        let is_free = turns.free > 0;
        let of_kind = turns.of(lane.kind);
        of_kind.limit = limit.max(1);
        if is_free && of_kind.working < of_kind.limit {
            of_kind.working += 1;
            turns.free -= 1;
            return true;
        }
        turns.wait(lane.clone());
        false
    }

    /// Returns the right that [`Self::begin`] took, for the worker.
    pub(super) const fn slot(&self, kind: Kind) -> Slot<'_> {
        Slot(self, kind)
    }

    /// Returns the place to serve next, once one more attempt was made at `lane`, which stays if it
    /// has more work. The last worker that has none gives back its right with the look.
    pub(super) fn next<'a>(
        &'a self,
        slot: Slot<'a>,
        lane: Option<Lane>,
    ) -> Option<(Slot<'a>, Lane)> {
        let mut turns = self.turns();
        if turns.kinds.iter().all(|turns| turns.waiting.is_empty())
            && let Some(lane) = lane
        {
            drop(turns);
            return Some((slot, lane));
        }
        turns.of(slot.1).working -= 1;
        if let Some(lane) = lane {
            turns.wait(lane);
        }
        let next = turns.take();
        // What the slot would give back is given back or taken over.
        std::mem::forget(slot);
        if next.is_none() {
            turns.free += 1;
        }
        drop(turns);
        next.map(|lane| (Slot(self, lane.kind), lane))
    }

    /// Claims a place in the lane, of `limit`.
    pub(super) fn enter(&self, lane: &Lane, limit: usize) -> bool {
        let mut active = self.active();
        if let Some(workers) = active.get_mut(lane) {
            let admitted = *workers < limit;
            *workers += usize::from(admitted);
            return admitted;
        }
        active.insert(lane.clone(), 1);
        true
    }

    /// Gives back a place, unless its lane has work again: `is_needed` claims another then. A record that
    /// came between the last look and this would wait for nothing.
    pub(super) fn leave(&self, lane: &Lane, is_needed: impl FnOnce() -> bool) -> bool {
        #[cfg(test)]
        crate::engine::tests::yields::here();
        self.give_back(lane);
        #[cfg(test)]
        crate::engine::tests::yields::here();
        !is_needed()
    }

    fn give_back(&self, lane: &Lane) {
        let mut active = self.active();
        if let Some(workers) = active.get_mut(lane) {
            *workers -= 1;
            if *workers == 0 {
                active.remove(lane);
            }
        }
    }

    pub(super) fn places(&self, lane: &Lane) -> usize {
        self.active().get(lane).copied().unwrap_or_default()
    }

    pub(super) fn active(&self) -> MutexGuard<'_, HashMap<Lane, usize>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(kind: Kind, key: &str) -> Lane {
        Lane { kind, key: key.into() }
    }

    #[test]
    fn the_limit_of_a_destination_leaves_workers_to_the_others() {
        let workers = Workers::new(3);
        let (http, email) = (|key| lane(Kind::Http, key), lane(Kind::Email, "email"));
        assert!(workers.begin(&http("a"), 1));
        assert!(!workers.begin(&http("b"), 1), "its destination has all that it may have");
        assert!(workers.begin(&email, 9));
        let slot = Slot(&workers, Kind::Email);
        assert!(workers.next(slot, None).is_none(), "b waits for a worker of its destination");
        let slot = Slot(&workers, Kind::Http);
        let (slot, next) = workers.next(slot, Some(http("a"))).unwrap();
        assert_eq!(next, http("b"), "the place that has waited longest");
        let (slot, next) = workers.next(slot, None).unwrap();
        assert_eq!(next, http("a"));
        assert!(workers.next(slot, None).is_none());
        let turns = workers.turns();
        assert_eq!(turns.free, 3);
        assert!(turns.kinds.iter().all(|turns| turns.working == 0 && turns.waiting.is_empty()));
    }

    #[test]
    fn places_wait_in_their_order_whatever_their_destination_is() {
        let workers = Workers::new(1);
        let (first, second) = (lane(Kind::Email, "email"), lane(Kind::Http, "a"));
        assert!(workers.begin(&first, 9));
        assert!(!workers.begin(&second, 9) && !workers.begin(&first, 9));
        let (slot, next) = workers.next(Slot(&workers, Kind::Email), None).unwrap();
        assert_eq!(next, second);
        let (slot, next) = workers.next(slot, None).unwrap();
        assert_eq!((slot.1, next), (Kind::Email, first));
        drop(slot);
        assert_eq!(workers.turns().free, 1);
    }
}
