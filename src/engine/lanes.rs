//! The workers: each lane has as many as it may have attempts under way and has work for.
//!
//! A worker leases a record, makes one attempt, settles it, and goes on until its lane is empty.
//! There is no loop that watches all lanes, so a lane that is slow or dead delays no other.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Engine;
use super::breaker::Breaker;
use crate::destinations::BreakerPolicy;
use crate::journal::{Journal, Lane};
use crate::observability::stats::LaneStats;
use crate::observability::time::Timestamp;
use crate::recording::Item;

/// The workers of one engine.
#[derive(Debug)]
pub(super) struct Lanes {
    active: Mutex<HashMap<Lane, usize>>,
    workers: Mutex<JoinSet<()>>,
    slots: Semaphore,
    /// The lanes whose last attempts failed, where retries are wanted.
    breakers: Mutex<HashMap<Lane, Breaker>>,
    troubled: AtomicUsize,
}

impl Lanes {
    /// No workers yet, and at most `concurrency` attempts at once over all lanes.
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            active: Mutex::default(),
            workers: Mutex::default(),
            slots: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            breakers: Mutex::default(),
            troubled: AtomicUsize::new(0),
        }
    }

    pub(super) fn stats(&self, waiting: impl Fn(&Lane) -> usize) -> Vec<LaneStats> {
        let mut all: HashMap<Lane, (usize, Breaker)> = HashMap::new();
        for (lane, active) in &*self.active() {
            all.entry(lane.clone()).or_default().0 = *active;
        }
        for (lane, breaker) in &*self.breakers() {
            all.entry(lane.clone()).or_default().1 = *breaker;
        }
        let mut lanes: Vec<_> = all
            .into_iter()
            .map(|(lane, (in_flight, breaker))| LaneStats {
                destination: lane.kind.name(),
                lane: lane.key.to_string(),
                in_flight,
                waiting: waiting(&lane),
                breaker: breaker.as_str(),
            })
            .collect();
        lanes.sort_by_key(|lane| std::cmp::Reverse(lane.in_flight + lane.waiting));
        lanes
    }

    /// Stops every worker where it is.
    pub(super) fn abort(&self) {
        self.workers().abort_all();
    }

    /// Waits until every worker has stopped.
    pub(super) async fn join(&self) {
        let mut workers = std::mem::take(&mut *self.workers());
        while workers.join_next().await.is_some() {}
        self.active().clear();
    }

    /// Claims a place for a worker in the lane.
    fn enter(&self, lane: &Lane, limit: usize) -> bool {
        let limit = self.breaker(lane).admits(limit);
        if limit == 0 {
            return false;
        }
        let mut active = self.active();
        if let Some(workers) = active.get_mut(lane) {
            let admitted = *workers < limit;
            *workers += usize::from(admitted);
            return admitted;
        }
        active.insert(lane.clone(), 1);
        true
    }

    fn leave(&self, lane: &Lane) {
        let mut active = self.active();
        if let Some(workers) = active.get_mut(lane) {
            *workers -= 1;
            if *workers == 0 {
                active.remove(lane);
            }
        }
    }

    /// Whether attempts may be made in the lane now.
    fn is_served(&self, lane: &Lane) -> bool {
        self.breaker(lane).admits(1) > 0
    }

    /// Whether the lane's next attempt decides over the others.
    pub(super) fn is_probed(&self, lane: &Lane) -> bool {
        self.breaker(lane) == Breaker::HalfOpen
    }

    fn breaker(&self, lane: &Lane) -> Breaker {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Breaker::default();
        }
        self.breakers().get(lane).copied().unwrap_or_default()
    }

    /// Takes note of an attempt that reached the host; the answer is whether that closes a breaker.
    pub(super) fn succeeded(&self, lane: &Lane) -> bool {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut breakers = self.breakers();
        let before = breakers.remove(lane).unwrap_or_default();
        self.troubled.store(breakers.len(), Ordering::Release);
        before.admits(2) < 2
    }

    /// Takes note of an attempt that failed as others may not.
    pub(super) fn failed(&self, lane: &Lane, policy: BreakerPolicy, now: Timestamp) {
        let mut breakers = self.breakers();
        let breaker = breakers.entry(lane.clone()).or_default();
        *breaker = breaker.after_failure(policy, now);
        self.troubled.store(breakers.len(), Ordering::Release);
    }

    /// Lets probes through where it is time for one; answers those lanes, and when there are more.
    fn reopen(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        let (mut reopened, mut next) = (Vec::new(), None);
        for (lane, breaker) in &mut *self.breakers() {
            let before = *breaker;
            *breaker = breaker.at(now);
            match *breaker {
                Breaker::Open(until) => next = next.min(Some(until)).or(Some(until)),
                Breaker::HalfOpen if before != Breaker::HalfOpen => reopened.push(lane.clone()),
                _ => {}
            }
        }
        (reopened, next)
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<Lane, Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn active(&self) -> MutexGuard<'_, HashMap<Lane, usize>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// The lane that a call waits in; calls in a row often share it.
    pub(super) fn lane_of(&self, item: &Item, before: Option<&Lane>) -> Lane {
        let key = self.destinations.lane(item.kind, &item.payload);
        match before {
            Some(lane) if lane.kind == item.kind && *lane.key == *key => lane.clone(),
            _ => Lane { kind: item.kind, key: key.into() },
        }
    }

    /// Sees to it that lanes with work have workers.
    pub(super) fn wake(self: &Arc<Self>, lanes: Vec<Lane>) {
        for lane in lanes {
            if self.destinations.batch_limits(lane.kind).is_some() {
                self.gather_from(lane);
                continue;
            }
            let limit = self.destinations.lane_concurrency(lane.kind);
            for _ in 0..self.journal.waiting(&lane).min(limit) {
                if !self.lanes.enter(&lane, limit) {
                    break;
                }
                self.spawn_worker(lane.clone());
            }
        }
    }

    fn spawn_worker(self: &Arc<Self>, lane: Lane) {
        self.spawn(Arc::clone(self).work(lane));
    }

    /// Runs a task that is aborted when the engine's time is over.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut workers = self.lanes.workers();
        while workers.try_join_next().is_some() {}
        workers.spawn_on(task, &self.runtime);
    }

    /// Sees to it that somebody wakes when a record or a lane is due.
    pub(super) fn set_alarm(self: &Arc<Self>) {
        if self.alarm_set.swap(true, Ordering::AcqRel) {
            self.alarm.notify_one();
        } else {
            self.spawn(Arc::clone(self).keep_time());
        }
    }

    async fn keep_time(self: Arc<Self>) {
        loop {
            if let Some(next) = self.wake_due() {
                let wait = next.as_millis().saturating_sub(Timestamp::now().as_millis()).max(1);
                let wait = Duration::from_millis(wait);
                // Whichever comes first, there is something to look at.
                let _ = tokio::time::timeout(wait, self.alarm.notified()).await;
                continue;
            }
            self.alarm_set.store(false, Ordering::Release);
            // What was put off since the last look would wait for nobody.
            if self.wake_due().is_none() || self.alarm_set.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    /// Wakes what is due; the answer is when there is more.
    fn wake_due(self: &Arc<Self>) -> Option<Timestamp> {
        let now = Timestamp::now();
        let (mut lanes, due) = self.journal.wake_due(now);
        let (reopened, opening) = self.lanes.reopen(now);
        lanes.extend(reopened);
        self.wake(lanes);
        due.into_iter().chain(opening).min()
    }

    async fn work(self: Arc<Self>, lane: Lane) {
        let limit = self.destinations.lane_concurrency(lane.kind);
        loop {
            while self.lanes.is_served(&lane) {
                let Ok(_slot) = self.lanes.slots.acquire().await else { return };
                let Some(record) = self.journal.lease(&lane).await else {
                    // It may have been put off because its beginning could not be written.
                    if self.journal.is_durable() && self.journal.postponed() > 0 {
                        self.set_alarm();
                    }
                    break;
                };
                self.take_on(&lane, record).await;
            }
            self.lanes.leave(&lane);
            // A record that came between the last look and leaving would wait for nobody.
            if self.journal.waiting(&lane) == 0 || !self.lanes.enter(&lane, limit) {
                return;
            }
        }
    }
}
