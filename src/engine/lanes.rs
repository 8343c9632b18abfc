//! The workers: each lane has as many as it may have attempts under way and has work for.
//!
//! A worker leases a record, makes one attempt, settles it, and goes on until its lane is empty.
//! There is no loop that watches all lanes, so a lane that is slow or dead delays no other.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Engine;
use super::retry::{Decision, decide};
use crate::destinations::{Failure, Outcome};
use crate::error::ErrorKind;
use crate::journal::{Finished, Journal, Lane, Record};
use crate::observability::events::Topic;
use crate::observability::log::{DeliveryView, RequestLog, Settlement};
use crate::observability::stats::LaneStats;
use crate::recording::Item;

/// The workers of one engine.
#[derive(Debug)]
pub(super) struct Lanes {
    active: Mutex<HashMap<Lane, usize>>,
    workers: Mutex<JoinSet<()>>,
    slots: Semaphore,
}

impl Lanes {
    /// No workers yet, and at most `concurrency` attempts at once over all lanes.
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            active: Mutex::default(),
            workers: Mutex::default(),
            slots: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    pub(super) fn stats(&self, waiting: impl Fn(&Lane) -> usize) -> Vec<LaneStats> {
        let mut lanes: Vec<_> = self
            .active()
            .iter()
            .map(|(lane, active)| LaneStats {
                destination: lane.kind.name(),
                lane: lane.key.to_string(),
                in_flight: *active,
                waiting: waiting(lane),
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

    fn active(&self) -> MutexGuard<'_, HashMap<Lane, usize>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A leased record. **Invariant:** it is settled, also when its worker panics or is aborted.
struct Lease<'a> {
    engine: &'a Engine,
    record: Record,
    settled: bool,
}

impl Lease<'_> {
    fn settle(mut self, settlement: Settlement) {
        self.settled = true;
        self.engine.settle(&self.record, settlement);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.engine.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.settled && self.engine.journal.is_durable() {
            self.engine.leave(&self.record);
        } else if !self.settled {
            let message =
                "the engine closed while the attempt was under way: its outcome is unknown";
            let failure = Failure::new(ErrorKind::Interrupted, message);
            self.engine.settle(&self.record, self.engine.unsent(&self.record, failure));
        }
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

    async fn work(self: Arc<Self>, lane: Lane) {
        let limit = self.destinations.lane_concurrency(lane.kind);
        loop {
            self.serve(&lane).await;
            self.lanes.leave(&lane);
            // A record that came between the last look and leaving would wait for nobody.
            if self.journal.waiting(&lane) == 0 || !self.lanes.enter(&lane, limit) {
                return;
            }
        }
    }

    async fn serve(&self, lane: &Lane) {
        loop {
            let Ok(_slot) = self.lanes.slots.acquire().await else { return };
            let Some(record) = self.journal.lease(lane).await else { return };
            self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
            let lease = Lease { engine: self, record, settled: false };
            let settlement = self.attempt(&lease.record).await;
            lease.settle(settlement);
        }
    }

    async fn attempt(&self, record: &Record) -> Settlement {
        if let Some(failure) = record.refused.clone() {
            return self.unsent(record, *failure);
        }
        let outcome = caught(self.destinations.deliver(record.kind, &record.payload)).await;
        let failure = match decide(outcome.verdict) {
            Decision::Done => None,
            Decision::Dead(failure) => Some(failure),
        };
        let exchange = outcome.exchange;
        let request = exchange.request.unwrap_or_else(|| self.describe(record));
        let (response, warnings) = (exchange.response, exchange.warnings);
        Settlement { failure, request: Some(request), response, warnings }
    }

    /// The end of a record of which nothing was sent, or nobody knows what was.
    pub(super) fn unsent(&self, record: &Record, failure: Failure) -> Settlement {
        let request = Some(self.describe(record));
        Settlement { failure: Some(failure), request, response: None, warnings: Vec::new() }
    }

    fn describe(&self, record: &Record) -> RequestLog {
        self.destinations.describe(record.kind, &record.payload)
    }

    /// Writes the end of a record and tells of it.
    pub(super) fn settle(&self, record: &Record, settlement: Settlement) {
        let counter = match settlement.failure {
            None => &self.counters.delivered,
            Some(_) => &self.counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let finished = self.journal.settle(record, settlement);
        self.release(record.payload.len());
        self.tell(record);
        if let Finished::Execution(execution) = finished {
            self.tell_if_finished(&execution);
        }
        self.end(1);
    }

    fn tell(&self, record: &Record) {
        self.events.emit(Topic::Delivery, || {
            let state = record.execution.state();
            let render = |kind, payload: &_| self.destinations.describe(kind, payload);
            let view =
                DeliveryView::new(&record.execution.info, &state.entries[record.place], &render);
            serde_json::value::to_raw_value(&view).unwrap_or_default()
        });
    }
}

/// Runs an attempt; a panic in it becomes a failed delivery instead of a lost one.
async fn caught(attempt: impl Future<Output = Outcome>) -> Outcome {
    let mut attempt = pin!(attempt);
    let poll = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Outcome::rejected(Failure::new(
                ErrorKind::Internal,
                "a defect of dollar-send: the attempt panicked. Please report it",
            ))),
        }
    });
    poll.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Verdict;

    #[tokio::test]
    async fn a_panic_is_a_failed_delivery() {
        let outcome = caught(async { panic!("a defect") }).await;
        let Verdict::Rejected(failure) = outcome.verdict else { panic!("it is final") };
        assert_eq!(failure.kind, ErrorKind::Internal); // reaches ERR_SEND_INTERNAL
    }
}
