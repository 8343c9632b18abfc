//! The queues of deliveries, one for each lane, and the workers that serve them.
//!
//! A lane has as many places for attempts as it may have and has work for. A place is served by a
//! worker, or waits in a queue until one is free. A worker leases a record, makes one attempt, settles
//! it, and goes on with the place that has waited longest. There is no loop that watches all lanes, so
//! a lane that is slow or dead delays no other, and one that only waits costs no worker.

mod absent;
mod attempt;
mod breaker;
mod held;
mod panics;
mod pause;
mod places;
mod retry;
mod retry_now;
mod services;
mod timer;
mod webhooks;
mod worker;

pub use pause::PauseTarget;
pub use retry_now::RetryFilter;

pub(crate) use held::HELD;
pub(crate) use panics::{caught, caught_now};
pub(crate) use pause::{Pauses, is_pause};
pub(crate) use retry::chance;
pub(crate) use services::{Services, is_service, waiting_note};
pub(crate) use webhooks::Webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::batches::BatchLanes;
use crate::engine::shared::SharedParts;
use crate::journal::Lane;
use crate::observability::metrics::LaneStats;
use breaker::{Breaker, Breakers};
use places::Workers;
use timer::Timer;

/// The lanes of one engine: work in them is delivered.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) shared: Arc<SharedParts>,
    pub(crate) batches: Arc<BatchLanes>,
    pub(crate) webhooks: Webhooks,
    workers: Workers,
    breakers: Breakers,
    timer: Timer,
}

impl Lanes {
    /// Lanes without work. At most `concurrency` attempts are made at once over all of them.
    pub(crate) fn new(
        shared: Arc<SharedParts>,
        batches: Arc<BatchLanes>,
        webhooks: Webhooks,
        concurrency: usize,
    ) -> Self {
        Self {
            shared,
            batches,
            webhooks,
            workers: Workers::new(concurrency),
            breakers: Breakers::default(),
            timer: Timer::default(),
        }
    }

    /// Sees to it that lanes with work are served.
    pub(crate) fn wake(self: &Arc<Self>, lanes: Vec<Lane>) {
        let SharedParts { config, destinations, journal, services, pauses, pending, .. } =
            &*self.shared;
        if !config.deliver {
            return;
        }
        for lane in lanes {
            if !services.is_missing(lane.kind) && destinations.is_batched(lane.kind) {
                if !pauses.holds(&lane) {
                    self.batches.gather_from(lane, self);
                }
                continue;
            }
            let limit = destinations.of(lane.kind).lane_rules().lane_concurrency;
            if limit == 0 {
                self.watch_absent(&lane);
            }
            for _ in 0..journal.waiting(&lane).min(limit) {
                if !self.enter(&lane, limit) {
                    break;
                }
                self.serve(lane.clone());
            }
        }
        if pauses.any() {
            pending.idle.notify_waiters();
        }
    }

    /// Returns the lanes that have work, fail or are paused, busiest first.
    pub(crate) fn stats(&self, postponed: &HashMap<Lane, usize>) -> Vec<LaneStats> {
        let SharedParts { journal, pauses, .. } = &*self.shared;
        let mut all: HashMap<Lane, (usize, Breaker)> = HashMap::new();
        for (lane, active) in &*self.workers.active() {
            all.entry(lane.clone()).or_default().0 = *active;
        }
        for (lane, breaker) in &*self.breakers.lanes() {
            all.entry(lane.clone()).or_default().1 = *breaker;
        }
        for lane in pauses.lanes().into_iter().chain(postponed.keys().cloned()) {
            all.entry(lane).or_default();
        }
        let mut lanes: Vec<_> = all
            .into_iter()
            .map(|(lane, (in_flight, breaker))| LaneStats {
                destination: lane.kind.name(),
                lane: lane.key.to_string(),
                in_flight,
                waiting: journal.waiting(&lane) + postponed.get(&lane).copied().unwrap_or_default(),
                breaker: breaker.as_str(),
                paused: pauses.is_paused(&lane),
            })
            .collect();
        lanes.sort_by_key(|lane| std::cmp::Reverse(lane.in_flight + lane.waiting));
        lanes
    }

    /// Stops every attempt and every batch where it is.
    pub(crate) async fn abort(&self) {
        self.shared.tasks.abort().await;
        self.workers.clear();
        self.batches.clear();
    }
}
