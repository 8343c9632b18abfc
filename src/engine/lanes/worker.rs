//! The workers: as many as there may be attempts under way, and no more.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::OwnedSemaphorePermit;

use super::Lanes;
use crate::engine::shared::SharedParts;
use crate::journal::{Lane, Record};

impl Lanes {
    /// Claims a place in the lane, unless its breaker or a pause forbids attempts.
    pub(super) fn enter(&self, lane: &Lane, limit: usize) -> bool {
        let limit = self.breakers.of(lane).worker_limit(limit);
        limit > 0 && !self.shared.pauses.holds(lane) && self.workers.enter(lane, limit)
    }

    /// Has a place served, now or when a worker is free.
    pub(super) fn serve(self: &Arc<Self>, lane: Lane) {
        let limit = self.shared.destinations.of(lane.kind).lane_rules().concurrency;
        if self.workers.begin(&lane, limit) {
            self.shared.tasks.spawn(Arc::clone(self).work(lane));
        }
    }

    async fn work(self: Arc<Self>, first: Lane) {
        let mut turn = Some((self.workers.slot(first.kind), first));
        while let Some((slot, lane)) = turn {
            let has_more = self.attempt_next(&lane).await;
            turn = self.workers.next(slot, has_more.then_some(lane));
        }
    }

    /// Makes one attempt in the lane. Returns `true` if the place has more work; otherwise it is given
    /// back.
    async fn attempt_next(self: &Arc<Self>, lane: &Lane) -> bool {
        let SharedParts { journal, destinations, pauses, pending, .. } = &*self.shared;
        if self.is_served(lane) {
            let place = self.place_to_begin(lane).await;
            if let Some(record) = journal.lease(lane).await {
                match place {
                    Some(place) => self.begin_attempt(lane, record, place).await,
                    None => self.run_attempt(lane, record).await,
                }
                if journal.waiting(lane) > 0 {
                    return true;
                }
            } else if journal.is_durable() {
                // It may have been postponed because its beginning could not be written.
                self.set_timer();
            }
        }
        let limit = destinations.of(lane.kind).lane_rules().lane_concurrency;
        let is_needed = || journal.waiting(lane) > 0 && self.enter(lane, limit);
        let is_left = self.workers.leave(lane, is_needed);
        if is_left && pauses.any() {
            pending.idle.notify_waiters();
        }
        !is_left
    }

    /// Returns a place for an attempt that the worker does not wait for; `None`: it waits.
    async fn place_to_begin(&self, lane: &Lane) -> Option<OwnedSemaphorePermit> {
        if !self.shared.destinations.of(lane.kind).lane_rules().begins_in_order {
            return None;
        }
        // It is never closed.
        Arc::clone(&self.workers.begun).acquire_owned().await.ok()
    }

    /// Begins an attempt, which goes on in a task of its own.
    async fn begin_attempt(
        self: &Arc<Self>,
        lane: &Lane,
        record: Record,
        place: OwnedSemaphorePermit,
    ) {
        let (lanes, lane) = (Arc::clone(self), lane.clone());
        let mut attempt = Box::pin(async move {
            lanes.run_attempt(&lane, record).await;
            drop(place);
        });
        let begin = |context: &mut Context<'_>| Poll::Ready(attempt.as_mut().poll(context));
        if poll_fn(begin).await.is_pending() {
            self.shared.tasks.spawn(attempt);
        }
    }

    /// Returns `true` if attempts may be made in the lane now. Places that were claimed before its breaker
    /// opened may be more than it admits since then.
    fn is_served(&self, lane: &Lane) -> bool {
        let limit = self.breakers.of(lane).worker_limit(usize::MAX);
        let is_within = limit == usize::MAX || self.workers.places(lane) <= limit;
        is_within && !self.shared.pauses.is_paused(lane)
    }
}
