//! One leased record: the attempt, and what follows from it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::Engine;
use super::publish::not_handed_over;
use super::retry::{Decision, Progress, decide, later, may_mend};
use crate::destinations::{Attempt, Failure, Outcome, RetryPolicy, Verdict};
use crate::error::ErrorKind;
use crate::journal::{Finished, Journal, Lane, Record};
use crate::observability::events::Topic;
use crate::observability::log::{DeliveryView, RequestLog, Settlement};
use crate::observability::time::Timestamp;

/// A leased record. **Invariant:** it is settled or put back, also when its worker panics or is
/// aborted.
struct Lease<'a> {
    engine: &'a Engine,
    record: Option<Record>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.engine.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        let Some(record) = self.record.take() else { return };
        if self.engine.journal.is_durable() {
            self.engine.leave(&record);
            return;
        }
        let message = "the engine closed while the attempt was under way: its outcome is unknown";
        let failure = Failure::new(ErrorKind::Interrupted, message);
        self.engine.settle(&record, self.engine.unsent(&record, failure));
    }
}

/// What an attempt came to.
enum Attempted {
    /// The record is terminal.
    Settled(Settlement),
    /// There is another attempt then, for the reason in the note.
    Postponed(Timestamp, String),
    /// There was none: it is made then, because of what this names.
    PutOff(Timestamp, String),
}

impl Engine {
    /// Makes one attempt and sees to what follows from it.
    pub(super) async fn take_on(self: &Arc<Self>, lane: &Lane, record: Record) {
        self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut lease = Lease { engine: self, record: Some(record) };
        let Some(record) = &lease.record else { return };
        let attempted = self.attempt(lane, record).await;
        let Some(mut record) = lease.record.take() else { return };
        match attempted {
            Attempted::Settled(settlement) => self.settle(&record, settlement),
            Attempted::PutOff(until, reason) => {
                record.attempts = record.attempts.saturating_sub(1);
                let note = format!("it waits until {until}, because of {reason}");
                self.journal.postpone(lane, record, until, note);
                self.set_alarm();
            }
            Attempted::Postponed(until, note) => {
                self.journal.postpone(lane, record, until, note);
                self.set_alarm();
            }
        }
    }

    async fn attempt(self: &Arc<Self>, lane: &Lane, record: &Record) -> Attempted {
        if let Some(failure) = record.refused.clone() {
            return Attempted::Settled(self.unsent(record, *failure));
        }
        if let Some(failure) = self.too_old_to_probe(lane, record) {
            return Attempted::Settled(self.unsent(record, failure));
        }
        let attempt = Attempt {
            id: record.id,
            workflow_id: &record.execution.info.workflow_id,
            emit_depth: record.execution.info.emit_depth,
            trace: record.execution.info.trace.as_deref(),
            recorded_at: record.recorded_at,
            recovered: record.recovered,
        };
        let delivery = self.destinations.deliver(record.kind, &record.payload, &attempt);
        let Outcome { verdict, exchange, calls } =
            caught(delivery).await.unwrap_or_else(Outcome::rejected);
        let verdict = match self.hand_over_calls(calls, &record.execution.info).await {
            Ok(()) => verdict,
            Err(error) => Verdict::Rejected(not_handed_over(&error)),
        };
        let failure = match self.decide(lane, record, verdict) {
            Decision::Done => None,
            Decision::Dead(failure) => Some(failure),
            Decision::Later(until, reason) => return Attempted::PutOff(until, reason),
            Decision::RetryAt(until, failure) => {
                let note =
                    format!("attempt {} failed: {failure}; again at {until}", record.attempts);
                return Attempted::Postponed(until, note);
            }
        };
        let request = exchange.request.unwrap_or_else(|| self.describe(record));
        let (response, warnings) = (exchange.response, exchange.warnings);
        Attempted::Settled(Settlement { failure, request: Some(request), response, warnings })
    }

    fn decide(self: &Arc<Self>, lane: &Lane, record: &Record, verdict: Verdict) -> Decision {
        if matches!(verdict, Verdict::Delivered) {
            self.note_success(lane);
            return Decision::Done;
        }
        let policy = self.destinations.retry_policy(record.kind, &record.payload);
        let now = Timestamp::now();
        self.count_for_breaker(lane, &verdict, policy.as_ref(), now);
        let Record { attempts, recorded_at, .. } = *record;
        decide(verdict, policy.as_ref(), Progress { attempts, recorded_at, now }, chance())
    }

    fn count_for_breaker(
        self: &Arc<Self>,
        lane: &Lane,
        verdict: &Verdict,
        policy: Option<&RetryPolicy>,
        now: Timestamp,
    ) {
        let (Verdict::Retry { failure, .. } | Verdict::Rejected(failure)) = verdict else { return };
        if failure.is_local {
            return;
        }
        match policy {
            Some(policy) if may_mend(failure, policy) => {
                if let Some(breaker) = policy.breaker {
                    self.lanes.failed(lane, breaker, now);
                    self.set_alarm();
                }
            }
            // The host answered, or was never asked.
            _ => self.note_success(lane),
        }
    }

    fn note_success(self: &Arc<Self>, lane: &Lane) {
        if self.lanes.succeeded(lane) {
            // It was served by one worker, and may have more again.
            self.wake(vec![lane.clone()]);
        }
    }

    /// While a host is probed, what is past its age is not sent to it any more.
    fn too_old_to_probe(&self, lane: &Lane, record: &Record) -> Option<Failure> {
        if !self.lanes.is_probed(lane) {
            return None;
        }
        let policy = self.destinations.retry_policy(record.kind, &record.payload)?;
        if Timestamp::now() <= later(record.recorded_at, policy.max_age) {
            return None;
        }
        let message = "the host kept failing until this delivery was too old to be attempted";
        Some(Failure::new(ErrorKind::Timeout, message))
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
        self.settle_sized(record, record.payload.len(), settlement);
    }

    /// The same for a record whose payload, of so many bytes, is elsewhere already.
    pub(super) fn settle_sized(&self, record: &Record, bytes: usize, settlement: Settlement) {
        let counter = match settlement.failure {
            None => &self.counters.delivered,
            Some(_) => &self.counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let finished = self.journal.settle(record, settlement);
        self.release(bytes);
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
pub(super) async fn caught<T>(attempt: impl Future<Output = T>) -> Result<T, Failure> {
    let mut attempt = pin!(attempt);
    let poll = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(panicked())),
        }
    });
    poll.await
}

/// The same for what is done at once.
pub(super) fn caught_now<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Failure {
    let message = "a defect of dollar-send: the attempt panicked. Please report it";
    Failure::new(ErrorKind::Internal, message)
}

/// A number from 0 to 1 that nobody foresees.
pub(super) fn chance() -> f64 {
    let random = uuid::Uuid::now_v7().as_u64_pair().1;
    #[expect(clippy::cast_precision_loss, reason = "32 bits are exact")]
    let share = (random & 0xffff_ffff) as f64 / f64::from(u32::MAX);
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failed_delivery() {
        let failure = caught(async { panic!("a defect") }).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Internal); // reaches ERR_SEND_INTERNAL
        let failure = caught_now::<()>(|| panic!("a defect")).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Internal);
    }
}
