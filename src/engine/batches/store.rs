//! Storing: a task for each closed batch, which ends with the ends of its records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::records::{BatchRecords, FailedAttempt, interrupted};
use super::result::BatchResult;
use super::{BatchLanes, ClosedBatch, TURN, no_batches};
use crate::delivery::{Delays, Failure, Kind, Verdict};
use crate::destinations::{BatchCheckpoint, Batching, Encoded, StoreOutcome};
use crate::engine::lanes::{caught, chance};
use crate::engine::shared::SharedParts;
use crate::journal::{Journal, Lane};
use crate::observability::events::{BatchEvent, Topic};
use crate::observability::metrics::DelayedBatch;
use crate::time::Timestamp;

/// The waits between attempts to store a batch: it is kept until it is stored or refused.
const UNTIL_STORED: Delays = Delays::Exponential {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(60),
    jitter: 0.5,
    attempts: u32::MAX,
};

/// The checkpoint of storing one batch, in the journal.
struct JournalCheckpoint<'a> {
    journal: &'a dyn Journal,
    batch: u64,
    last: Mutex<Option<String>>,
}

impl BatchCheckpoint for JournalCheckpoint<'_> {
    fn write<'a>(&'a self, note: Option<&'a str>) -> BoxFuture<'a, ()> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = note.map(str::to_owned);
        Box::pin(async move {
            // Without its note an upload is abandoned, or an item is repeated: nothing is lost.
            let _ = self.journal.note_batch(self.batch, note).await;
        })
    }
}

impl ClosedBatch {
    /// Keeps the ends that are known, for a close that cuts off the attempts to come.
    fn note_ends(&mut self, attempts: u32, failed: &FailedAttempt) {
        let result =
            BatchResult::new(&self.sealed, Some(interrupted()), None, Vec::new(), attempts)
                .with_exceptions(failed.ends.clone());
        self.records.result = Some(Arc::new(result));
    }
}

impl BatchLanes {
    /// Stores a sealed batch, however often it takes.
    pub(super) async fn store(self: Arc<Self>, mut closed: ClosedBatch) {
        let SharedParts { journal, services, pauses, pending, .. } = &*self.shared;
        let lane = closed.sealed.lane.clone();
        let kind = lane.kind;
        self.publish(&closed, "sealed", 0, None);
        let last = Mutex::new(closed.checkpoint.take());
        let checkpoint = JournalCheckpoint { journal: &**journal, batch: closed.sealed.id, last };
        let mut flushes = self.flushes.begun();
        let mut attempts = 0;
        // An end counts whatever becomes of later attempts.
        let mut ends = BTreeMap::new();
        loop {
            attempts += 1;
            let waits = || pending.idle.notify_waiters();
            pauses.resumed(&lane, closed.records.all.len(), waits).await;
            let StoreOutcome { verdict, response, warnings, exceptions, retries } =
                self.attempt(&lane, &closed.encoded, &checkpoint).await;
            ends.extend(exceptions);
            let failure = match verdict {
                Verdict::Delivered => None,
                Verdict::Rejected(failure) => Some(failure),
                Verdict::Retry { failure, after } => {
                    if let Some(delay) = self.delay_after(kind, attempts) {
                        let delay = delay.max(after.unwrap_or_default());
                        let failed = FailedAttempt { failure, retries, ends };
                        closed.note_ends(attempts, &failed);
                        self.wait_for_retry(&closed, attempts, &failed, delay, &mut flushes).await;
                        ends = failed.ends;
                        continue;
                    }
                    ends.extend(retries.into_iter().map(|(place, why)| (place, Some(why))));
                    Some(failure)
                }
                Verdict::Later { after, .. } => {
                    // It was no attempt.
                    attempts -= 1;
                    tokio::time::sleep(after).await;
                    continue;
                }
            };
            if failure.is_none() {
                services.warn_of_files(kind);
            }
            let status = if failure.is_none() { "stored" } else { "failed" };
            self.publish(&closed, status, attempts, failure.as_ref());
            let ClosedBatch { sealed, encoded, records, .. } = closed;
            drop(encoded);
            let result =
                BatchResult::new(&sealed, failure, response.as_deref(), warnings, attempts)
                    .with_exceptions(ends);
            return self.conclude(sealed.id, result, records).await;
        }
    }

    /// Returns the delay until the next attempt of a destination; `None`: there is none.
    fn delay_after(&self, kind: Kind, attempts: u32) -> Option<Duration> {
        let destination = self.shared.destinations.of(kind);
        let delays = destination.batching().and_then(Batching::delays);
        delays.as_ref().unwrap_or(&UNTIL_STORED).after(attempts, chance())
    }

    /// Waits until it is time for another attempt. A flush ends the wait.
    async fn wait_for_retry(
        &self,
        closed: &ClosedBatch,
        attempts: u32,
        failed: &FailedAttempt,
        delay: Duration,
        flushes: &mut usize,
    ) {
        let ClosedBatch { sealed, records, .. } = closed;
        let failure = &failed.failure;
        let message = format!("{} could not be stored: {failure}", sealed.name);
        self.shared.observers.warn("BATCH_DELAYED", &message, None);
        self.publish(closed, "delayed", attempts, Some(failure));
        let until = Timestamp::now().after(delay);
        records.delay(attempts, failed, until);
        let delayed = DelayedBatch {
            destination: sealed.lane.kind.name(),
            name: sealed.name.clone(),
            records: records.all.len(),
            attempts,
            next_attempt_at: until,
            error: failure.message.clone(),
        };
        tokio::select! {
            () = self.delayed.wait(sealed.id, delayed, delay) => {}
            () = self.flushes.next(flushes) => {}
        }
    }

    async fn attempt(
        &self,
        lane: &Lane,
        encoded: &Encoded,
        checkpoint: &JournalCheckpoint<'_>,
    ) -> StoreOutcome {
        let kind = lane.kind;
        let destination = self.shared.destinations.of(kind);
        let Some(batching) = destination.batching() else {
            return StoreOutcome::without_response(Verdict::Rejected(no_batches(kind)));
        };
        let place = batching.place(&encoded.name).unwrap_or_else(|| kind.name());
        let place = self.place(place, batching.concurrency());
        // Neither is ever closed.
        let _slots = (place.acquire().await, self.slots.acquire().await);
        if self.shared.pauses.is_paused(lane) {
            // It was paused meanwhile.
            let (after, reason) = (Duration::ZERO, String::new());
            return StoreOutcome::without_response(Verdict::Later { after, reason });
        }
        let last = checkpoint.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut storing = batching.store(encoded, last.as_deref(), checkpoint);
        caught(storing.as_mut())
            .await
            .unwrap_or_else(|failure| StoreOutcome::without_response(Verdict::Rejected(failure)))
    }

    /// Writes down the result of a batch, and then the end of each of its records.
    pub(super) async fn conclude(&self, id: u64, result: BatchResult, mut records: BatchRecords) {
        let journal = &self.shared.journal;
        journal.conclude(id, &result.to_text());
        let result = Arc::new(result);
        records.result = Some(Arc::clone(&result));
        while records.settle_next(|position| result.settlement(position)) {
            if records.all.len().is_multiple_of(TURN) {
                journal.written().await;
                tokio::task::yield_now().await;
            }
        }
        journal.forget_batch(id);
    }

    fn publish(
        &self,
        closed: &ClosedBatch,
        status: &'static str,
        attempts: u32,
        failure: Option<&Failure>,
    ) {
        let ClosedBatch { sealed, encoded, .. } = closed;
        self.shared.observers.events.emit(Topic::Batch, || BatchEvent {
            destination: sealed.lane.kind.name(),
            name: &sealed.name,
            status,
            reason: &sealed.reason,
            records: sealed.records,
            bytes: encoded.len(),
            sealed_at: sealed.sealed_at,
            attempts,
            error: failure.map(|failure| failure.message.as_str()),
        });
    }
}
