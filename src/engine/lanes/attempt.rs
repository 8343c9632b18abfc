//! One leased record: the attempt, and what follows from it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Lanes;
use super::breaker::Breaker;
use super::held::{HELD, HoldReason};
use super::panics::caught;
use super::retry::{Decision, RetryProgress, asked_pause, chance, decide, may_mend};
use super::services::waiting_note;
use super::webhooks::{Barred, not_kept, payload_of};
use crate::delivery::{Failure, RetryPolicy, Verdict};
use crate::destinations::{Attempt, Exchange, Outcome};
use crate::engine::intake::{commit_calls, not_committed};
use crate::engine::shared::SharedParts;
use crate::error::{Error, ErrorKind};
use crate::execution::{MadeAttempt, Settlement, Status};
use crate::journal::{Lane, Record};
use crate::streams::Webhook;
use crate::time::Timestamp;

/// The wait before an attempt that needs a fleet's journal, which is away.
const AWAY_DELAY: Duration = Duration::from_secs(1);

/// A leased record. **Invariant:** it is settled or postponed, also when its worker panics or is
/// aborted.
struct Lease<'a> {
    shared: &'a SharedParts,
    record: Option<Record>,
}

impl<'a> Lease<'a> {
    fn new(shared: &'a SharedParts, record: Record) -> Self {
        shared.observers.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { shared, record: Some(record) }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.shared.observers.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        let Some(record) = self.record.take() else { return };
        let message = "the engine closed while the attempt was under way: its outcome is unknown";
        self.shared.interrupt(&record, message);
    }
}

/// The result of an attempt.
enum Attempted {
    /// The record is terminal.
    Settled(Settlement),
    /// There is another attempt then, for the reason in the note.
    RetryScheduled(Timestamp, String, Failure),
    /// Not attempted: deferred until then, for the reason in the note.
    Deferred(Timestamp, String, Option<HoldReason>),
}

impl Lanes {
    /// Makes one attempt and sees to what follows from it.
    pub(super) async fn run_attempt(self: &Arc<Self>, lane: &Lane, record: Record) {
        let mut lease = Lease::new(&self.shared, record);
        let Some(record) = &lease.record else { return };
        self.shared.note_status(record, Status::InFlight);
        let attempted = self.attempt(lane, record).await;
        let Some(mut record) = lease.record.take() else { return };
        match attempted {
            Attempted::Settled(settlement) => self.shared.settle(&record, settlement),
            Attempted::Deferred(until, note, reason) => {
                record.attempts = record.attempts.saturating_sub(1);
                if let Some(HoldReason::Service(missing)) = &reason {
                    record.last_error = Some(Arc::clone(missing));
                }
                self.postpone(lane, record, until, note);
                if let Some(reason) = reason {
                    self.recheck_hold(&reason);
                }
            }
            Attempted::RetryScheduled(until, note, failure) => {
                record.last_error = Some(Arc::new(failure));
                self.postpone(lane, record, until, note);
            }
        }
    }

    fn postpone(self: &Arc<Self>, lane: &Lane, record: Record, until: Timestamp, note: String) {
        let (id, execution) = (record.id, Arc::clone(&record.execution));
        self.shared.journal.postpone(lane, record, until, note);
        let (changes, status) = (&self.shared.observers.changes, Status::Pending.as_str());
        changes.note_delivery(id, &execution.info.execution_id, status);
        self.set_timer();
    }

    /// Decides whether a record may be attempted now. Returns the webhook that it is for, if it is for
    /// one.
    fn admit(
        &self,
        lane: &Lane,
        record: &Record,
    ) -> std::result::Result<Option<Arc<Webhook>>, Attempted> {
        let SharedParts { services, pauses, budget, .. } = &*self.shared;
        let unsent = |failure| Attempted::Settled(self.shared.unsent(record, failure));
        let held = |note, reason| Attempted::Deferred(HELD, note, Some(reason));
        if let Some(failure) = record.refused.clone() {
            return Err(unsent(*failure));
        }
        if let Some(failure) = services.missing(record.kind) {
            let note = waiting_note(&failure);
            return Err(held(note, HoldReason::Service(Arc::new(failure))));
        }
        if let Some(note) = pauses.note(record) {
            let workflow = Arc::clone(&record.execution.info.workflow_id);
            return Err(held(note, HoldReason::Workflow(workflow)));
        }
        if let Some(failure) = self.too_old_to_probe(lane, record) {
            return Err(unsent(failure));
        }
        self.webhooks.recipient(record, budget).map_err(|barred| match barred {
            Barred::Held(note) => {
                let webhook = record.payload.webhook().unwrap_or_default().into();
                held(note, HoldReason::Webhook(webhook))
            }
            Barred::Over(failure) => {
                let made = record.attempts.saturating_sub(1);
                record.execution.count_attempts(record.place, made);
                unsent(failure)
            }
        })
    }

    /// Decides the same, once the webhook of another node is known.
    async fn admit_known(
        &self,
        lane: &Lane,
        record: &Record,
    ) -> std::result::Result<Option<Arc<Webhook>>, Attempted> {
        match self.learn_webhook(record).await {
            Ok(()) => self.admit(lane, record),
            Err(error) => Err(deferred("its webhook cannot be read", &error)),
        }
    }

    async fn attempt(self: &Arc<Self>, lane: &Lane, record: &Record) -> Attempted {
        let webhook = match self.admit_known(lane, record).await {
            Ok(webhook) => webhook,
            Err(attempted) => return attempted,
        };
        let attempt = attempt_at(record);
        let payload = payload_of(record, webhook.as_deref());
        let destination = self.shared.destinations.of(record.kind);
        let (started_at, begun) = (Timestamp::now(), Instant::now());
        let mut delivery = destination.deliver(&payload, &attempt);
        let Outcome { verdict, exchange, calls, retry } =
            caught(delivery.as_mut()).await.unwrap_or_else(Outcome::rejected);
        self.disable_if_gone(webhook.as_deref(), &verdict).await;
        let verdict = match commit_calls(self, calls, &record.execution.info).await {
            Ok(()) => verdict,
            // The event is published once: another attempt finds it.
            Err(error) if self.is_away(&error) => {
                return deferred("its webhooks are not told yet", &error);
            }
            Err(error) => Verdict::Rejected(not_committed(&error)),
        };
        let note = |failure: Option<&Failure>, next| {
            let made = MadeAttempt {
                number: record.attempts,
                started_at,
                recorded_at: record.recorded_at,
                duration_ms: millis(begun.elapsed()),
                response: exchange.response.as_deref(),
                timings: exchange.timings.as_deref(),
                failure,
                next,
            };
            record.execution.note_attempt(record.place, &made);
        };
        let failure = match self.decide(lane, record, verdict, retry.as_deref()) {
            Decision::Done => None,
            Decision::Dead(failure) => Some(failure),
            Decision::RetryAt(_, failure)
                if webhook.is_some() && self.shared.budget.is_half_full() =>
            {
                Some(not_kept(failure))
            }
            Decision::Deferred(until, reason) => {
                let again = until.by_system();
                let note = format!("it waits until {again}, because of {reason}");
                return Attempted::Deferred(until, note, None);
            }
            Decision::RetryAt(until, failure) => {
                let (attempts, again) = (record.attempts, until.by_system());
                note(Some(&failure), Some(again));
                let note = format!("attempt {attempts} failed: {failure}; again at {again}");
                return Attempted::RetryScheduled(until, note, failure);
            }
        };
        // The response of an only attempt that succeeded has all that there is.
        if failure.is_some() || record.attempts > 1 {
            note(failure.as_ref(), None);
        }
        Attempted::Settled(self.settlement(record, failure, exchange))
    }

    /// Returns `true` for the error of a fleet's journal that is not reachable.
    fn is_away(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Journal && self.shared.journal.fleet().is_some()
    }

    fn settlement(
        &self,
        record: &Record,
        failure: Option<Failure>,
        exchange: Exchange,
    ) -> Settlement {
        if failure.is_none() {
            self.shared.services.warn_of_files(record.kind);
        }
        let Exchange { request, response, warnings, timings: _ } = exchange;
        let request = Some(request.unwrap_or_else(|| self.shared.describe(record)));
        Settlement { failure, request, response, warnings, is_forwarded: false }
    }

    fn decide(
        self: &Arc<Self>,
        lane: &Lane,
        record: &Record,
        verdict: Verdict,
        policy: Option<&RetryPolicy>,
    ) -> Decision {
        if matches!(verdict, Verdict::Delivered) {
            self.note_success(lane);
            return Decision::Done;
        }
        let now = Timestamp::steady();
        self.count_for_breaker(lane, record, &verdict, policy, now);
        let progress =
            RetryProgress { attempts: record.attempts, age: record.recorded_at.age(), now };
        decide(verdict, policy, progress, chance())
    }

    fn count_for_breaker(
        self: &Arc<Self>,
        lane: &Lane,
        record: &Record,
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
                    let failures = (self.breakers.failed(lane, breaker, now), breaker);
                    self.shared.alert_of_failures(lane, record, failure, failures, now);
                    self.set_timer();
                }
                if let Some(pause) = asked_pause(verdict, policy) {
                    self.breakers.leave_alone(lane, now.after(pause));
                    self.set_timer();
                }
            }
            // The host answered, or was never asked.
            _ => self.note_success(lane),
        }
    }

    fn note_success(self: &Arc<Self>, lane: &Lane) {
        self.shared.alerts.note_success(lane);
        if self.breakers.succeeded(lane) {
            // It was served by one worker, and may have more again.
            self.wake(vec![lane.clone()]);
        }
    }

    /// Returns the failure of a record that is past its age while its host is probed: it is not sent.
    fn too_old_to_probe(&self, lane: &Lane, record: &Record) -> Option<Failure> {
        if self.breakers.of(lane) != Breaker::HalfOpen {
            return None;
        }
        let policy = self.shared.destinations.of(record.kind).retry_policy(&record.payload)?;
        if record.recorded_at.age() <= policy.max_age {
            return None;
        }
        let message = "the host kept failing until this delivery was too old to be attempted";
        Some(Failure::new(ErrorKind::Timeout, message))
    }
}

/// Returns the deferral of an attempt until the journal of a fleet may be there again.
fn deferred(reason: &str, error: &Error) -> Attempted {
    let until = Timestamp::steady().after(AWAY_DELAY);
    let again = until.by_system();
    Attempted::Deferred(until, format!("it waits until {again}, because {reason}: {error}"), None)
}

/// Milliseconds with two decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Describes the attempt to its destination.
fn attempt_at(record: &Record) -> Attempt<'_> {
    let info = &record.execution.info;
    Attempt {
        id: record.id,
        call: record.execution.call_of(record.place),
        workflow_id: &info.workflow_id,
        emit_depth: info.emit_depth,
        trace: info.trace.as_deref(),
        recorded_at: record.recorded_at,
        recovered: record.recovered,
    }
}
