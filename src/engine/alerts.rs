//! Alerts of an engine: what is watched, and who is told.
//!
//! [`Episode`] decides; here are the values. Failures are noted as they happen, the others are looked at
//! every few seconds. **Invariant:** what an alert's own delivery does raises no alert.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::intake::commit_call;
use super::lanes::Lanes;
use super::shared::SharedParts;
use crate::config::alerts::AlertLimits;
use crate::delivery::{BreakerPolicy, Failure, Kind, Phase};
use crate::destinations::{self, FollowUpCall};
use crate::execution::{Entry, ExecutionInfo, delivery_json};
use crate::journal::{Lane, Record};
use crate::observability::alerts::{AlertKind, AlertStats, Episode, Window};
use crate::observability::events::Topic;
use crate::time::Timestamp;

/// The workflow of the calls that deliver alerts, in the log.
const WORKFLOW: &str = "$alerts";
/// The longest time between two looks at the values.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// The shortest one.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);
/// Looks in the shortest time that an option names.
const LOOKS: u32 = 4;

/// The values that are watched in one engine.
#[derive(Debug)]
pub(super) struct Alerts {
    limits: AlertLimits,
    state: Mutex<AlertState>,
    /// `true` if a host fails: the only look of most attempts.
    is_troubled: AtomicBool,
    raised: [AtomicU64; AlertKind::ALL.len()],
    sender: UnboundedSender<String>,
}

#[derive(Debug, Default)]
struct AlertState {
    /// One episode for each percentage.
    breakers: HashMap<Lane, Vec<Episode>>,
    dead: Window,
    dead_letters: Episode,
    oldest: Episode,
    journal: Episode,
}

/// An alert, as listeners and the webhook get it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    id: Uuid,
    kind: AlertKind,
    message: String,
    value: u64,
    limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AlertError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Box<RawValue>>,
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct AlertError<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
}

impl Alert<'_> {
    fn new(kind: AlertKind, value: u64, limit: u64, message: String) -> Self {
        Self {
            id: Uuid::now_v7(),
            kind,
            message,
            value,
            limit,
            percent: None,
            destination: None,
            lane: None,
            error: None,
            delivery: None,
            at: Timestamp::now(),
        }
    }
}

/// The alerts that are to be delivered.
#[derive(Debug)]
pub(super) struct AlertOutbox(UnboundedReceiver<String>);

impl Alerts {
    pub(super) fn new(limits: AlertLimits) -> (Self, AlertOutbox) {
        let (sender, receiver) = unbounded_channel();
        let alerts = Self {
            limits,
            state: Mutex::default(),
            is_troubled: AtomicBool::new(false),
            raised: Default::default(),
            sender,
        };
        (alerts, AlertOutbox(receiver))
    }

    /// Returns `true` for a delivery of an alert.
    pub(super) fn is_own(info: &ExecutionInfo) -> bool {
        &*info.workflow_id == WORKFLOW
    }

    /// Notes consecutive failures of a lane. Returns the highest percentage that they reach anew, with
    /// the number of failures that it means.
    fn note_failures(
        &self,
        lane: &Lane,
        failures: u32,
        policy: BreakerPolicy,
        now: Timestamp,
    ) -> Option<(u32, u64)> {
        if self.limits.breaker.is_empty() || policy.failures == 0 {
            return None;
        }
        let mut state = self.state();
        let count = self.limits.breaker.len();
        let episodes =
            state.breakers.entry(lane.clone()).or_insert_with(|| vec![Episode::default(); count]);
        let mut reached = None;
        for (episode, percent) in episodes.iter_mut().zip(&self.limits.breaker) {
            let limit = u64::from(policy.failures) * u64::from(*percent);
            let limit = limit.div_ceil(100).max(1);
            if episode.note(u64::from(failures), limit, self.limits.calm, now) {
                reached = Some((*percent, limit));
            }
        }
        self.is_troubled.store(true, Ordering::Release);
        reached
    }

    /// Notes that a host was reached.
    pub(super) fn note_success(&self, lane: &Lane) {
        if self.is_troubled.load(Ordering::Acquire) {
            self.note_success_at(lane, Timestamp::steady());
        }
    }

    fn note_success_at(&self, lane: &Lane, now: Timestamp) {
        let mut state = self.state();
        let Some(episodes) = state.breakers.get_mut(lane) else { return };
        for episode in episodes.iter_mut() {
            episode.note(0, 1, self.limits.calm, now);
        }
        self.forget_calm(&mut state, now);
    }

    /// Forgets hosts without an episode.
    fn forget_calm(&self, state: &mut AlertState, now: Timestamp) {
        state.breakers.retain(|_, episodes| {
            for episode in episodes.iter_mut() {
                episode.end_if_calm(self.limits.calm, now);
            }
            episodes.iter().any(Episode::goes_on)
        });
        self.is_troubled.store(!state.breakers.is_empty(), Ordering::Release);
    }

    /// Notes a dead letter. Returns the number of them in the period if that raises an alert.
    fn note_dead_letter(&self, now: Timestamp) -> Option<u64> {
        let rate = self.limits.dead_letters?;
        let limit = rate.count as usize;
        let mut state = self.state();
        state.dead.add(limit, now);
        let count = state.dead.count(rate.period, now) as u64;
        let is_raised =
            state.dead_letters.note(count, u64::from(rate.count), self.limits.calm, now);
        is_raised.then_some(count)
    }

    /// Returns the alerts of each kind.
    pub(super) fn stats(&self) -> Vec<AlertStats> {
        let state = self.state();
        let active = |kind| match kind {
            AlertKind::Breaker => {
                let lanes = state.breakers.values();
                lanes.filter(|episodes| episodes.iter().any(Episode::goes_on)).count()
            }
            AlertKind::OldestWaiting => usize::from(state.oldest.goes_on()),
            AlertKind::DeadLetters => usize::from(state.dead_letters.goes_on()),
            AlertKind::JournalSize => usize::from(state.journal.goes_on()),
        };
        let views = AlertKind::ALL.into_iter().zip(&self.raised).map(|(kind, raised)| AlertStats {
            kind,
            raised: raised.load(Ordering::Relaxed),
            active: active(kind),
        });
        views.collect()
    }

    /// Returns the time between two looks: a part of the shortest time that the options name.
    fn look(&self) -> Duration {
        let times = [self.limits.oldest, Some(self.limits.calm)];
        let shortest = times.into_iter().flatten().min().unwrap_or(LONGEST_LOOK);
        (shortest / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK)
    }

    fn count(&self, kind: AlertKind) {
        let place = AlertKind::ALL.iter().position(|known| *known == kind);
        if let Some(raised) = place.and_then(|place| self.raised.get(place)) {
            raised.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, AlertState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the values, and delivers alerts, until the engine is gone.
pub(super) fn begin_alerts(lanes: &Arc<Lanes>, outbox: AlertOutbox) {
    let shared = &lanes.shared;
    shared.tasks.runtime.spawn(watch(Arc::downgrade(lanes), outbox.0, shared.alerts.look()));
}

impl SharedParts {
    /// Notes that a host failed so many times in a row.
    pub(super) fn alert_of_failures(
        &self,
        lane: &Lane,
        record: &Record,
        failure: &Failure,
        (failures, policy): (u32, BreakerPolicy),
        now: Timestamp,
    ) {
        if Alerts::is_own(&record.execution.info) {
            return;
        }
        let Some((percent, limit)) = self.alerts.note_failures(lane, failures, policy, now) else {
            return;
        };
        let message = format!(
            "{failures} attempts in a row failed at {}: {percent} % of its circuit breaker, which \
             opens at {}",
            lane.key, policy.failures
        );
        let mut alert = Alert::new(AlertKind::Breaker, u64::from(failures), limit, message);
        alert.percent = Some(percent);
        alert.destination = Some(lane.kind.name());
        alert.lane = Some(&lane.key);
        alert.error = Some(AlertError {
            code: failure.kind.code(),
            message: &failure.message,
            phase: failure.phase.map(Phase::as_str),
        });
        self.raise(alert, || self.delivery_of(record));
    }

    /// Notes a delivery that failed for good.
    pub(super) fn alert_of_dead_letter(&self, record: &Record) {
        if Alerts::is_own(&record.execution.info) {
            return;
        }
        let Some(count) = self.alerts.note_dead_letter(Timestamp::steady()) else { return };
        let Some(rate) = self.config.alerts.dead_letters else { return };
        let message = format!("{count} deliveries failed within {} ms", rate.period.as_millis());
        let mut alert = Alert::new(AlertKind::DeadLetters, count, u64::from(rate.count), message);
        alert.destination = Some(record.kind.name());
        self.raise(alert, || self.delivery_of(record));
    }

    /// Looks at the age of the oldest call and at the size of the journal.
    fn look_at_values(&self) {
        let now = Timestamp::steady();
        self.look_at_oldest(now);
        self.look_at_journal(now);
        let mut state = self.alerts.state();
        if let Some(rate) = self.config.alerts.dead_letters {
            let count = state.dead.count(rate.period, now) as u64;
            // Only a dead letter raises it.
            let below = count.min(u64::from(rate.count).saturating_sub(1));
            state.dead_letters.note(below, u64::from(rate.count), self.config.alerts.calm, now);
        }
        self.alerts.forget_calm(&mut state, now);
    }

    fn look_at_oldest(&self, now: Timestamp) {
        let Some(limit) = self.config.alerts.oldest else { return };
        let oldest =
            if self.pending_deliveries() == 0 { None } else { self.journal.log().oldest_waiting() };
        let age = oldest.map_or(Duration::ZERO, Timestamp::age);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (value, most) = (millis(age), millis(limit));
        let mut state = self.alerts.state();
        let is_raised = state.oldest.note(value, most, self.config.alerts.calm, now);
        drop(state);
        if !is_raised {
            return;
        }
        let message = format!("a call has waited for {} s", age.as_secs());
        let alert = Alert::new(AlertKind::OldestWaiting, value, most, message);
        self.raise(alert, || {
            let (info, entry) = self.journal.log().oldest_waiting_entry()?;
            Some(self.rendered(&info, &entry))
        });
    }

    fn look_at_journal(&self, now: Timestamp) {
        let Some(limit) = self.config.alerts.journal_bytes else { return };
        let bytes = self.journal.bytes();
        let mut state = self.alerts.state();
        let is_raised = state.journal.note(bytes, limit, self.config.alerts.calm, now);
        drop(state);
        if is_raised {
            let message = format!("the journal has {bytes} bytes");
            self.raise(Alert::new(AlertKind::JournalSize, bytes, limit, message), || None);
        }
    }

    fn raise(&self, mut alert: Alert<'_>, delivery: impl FnOnce() -> Option<Box<RawValue>>) {
        self.alerts.count(alert.kind);
        alert.delivery = delivery();
        self.observers.events.emit(Topic::Alert, || &alert);
        if self.config.alerts.webhook.is_some() {
            // Without a receiver the engine is gone.
            let _ = self.alerts.sender.send(serde_json::to_string(&alert).unwrap_or_default());
        }
    }

    fn delivery_of(&self, record: &Record) -> Option<Box<RawValue>> {
        let state = record.execution.state();
        let entry = state.entries.get(record.place)?;
        Some(self.rendered(&record.execution.info, entry))
    }

    /// Returns a delivery as the log shows it: redacted.
    fn rendered(&self, info: &ExecutionInfo, entry: &Entry) -> Box<RawValue> {
        let render = |kind, payload: &_| self.destinations.of(kind).describe(payload);
        RawValue::from_string(delivery_json(info, entry, &render)).unwrap_or_default()
    }
}

/// Commits the request that delivers an alert.
async fn deliver_alert(lanes: &Arc<Lanes>, text: String) {
    let shared = &lanes.shared;
    let Some(webhook) = &shared.config.alerts.webhook else { return };
    let id = format!("msg_{}", Uuid::now_v7().simple());
    let cause = ExecutionInfo {
        execution_id: id.as_str().into(),
        workflow_id: WORKFLOW.into(),
        attempt: 1,
        started_at: Timestamp::now(),
        emit_depth: 0,
        trace: None,
        trigger: None,
    };
    let call = FollowUpCall {
        workflow_id: WORKFLOW.to_owned(),
        step: "alert".to_owned(),
        kind: Kind::Http,
        payload: destinations::alert(&webhook.url, &webhook.secret, &id, text),
    };
    if let Err(error) = commit_call(lanes, call, &cause, None).await {
        let message = format!("an alert is not delivered to alerts.url: {error}");
        shared.observers.warn("ALERT_NOT_DELIVERED", &message, None);
    }
}

/// Looks at the values of an engine at intervals, and delivers its alerts.
async fn watch(lanes: Weak<Lanes>, mut outbox: UnboundedReceiver<String>, every: Duration) {
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.reset();
    loop {
        let next = tokio::select! {
            _ = looks.tick() => None,
            text = outbox.recv() => match text {
                Some(text) => Some(text),
                None => return,
            },
        };
        let Some(lanes) = lanes.upgrade() else { return };
        match next {
            Some(text) => deliver_alert(&lanes, text).await,
            None if lanes.shared.stage.is_closed() => {}
            None => lanes.shared.look_at_values(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy { failures: 10, cooldown: Duration::from_secs(30) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn each_percentage_of_a_breaker_alerts_once() {
        let (alerts, _outbox) = Alerts::new(AlertLimits::default());
        let lane = Lane { kind: Kind::Http, key: "http://a:80".into() };
        let note = |failures, second| {
            let reached = alerts.note_failures(&lane, failures, POLICY, at(second));
            reached.map(|(percent, _)| percent)
        };
        let series: Vec<_> = (1..=10).map(|failures| note(failures, 1)).collect();
        let expected =
            [None, None, None, None, Some(50), None, Some(70), None, Some(90), Some(100)];
        assert_eq!(series, expected);
        alerts.note_success_at(&lane, at(2));
        assert_eq!(note(5, 10), None, "it was not calm for long enough");
        alerts.note_success_at(&lane, at(11));
        assert_eq!(note(10, 100), Some(100), "the highest one that is reached");
        assert_eq!(alerts.stats()[0].active, 1);
        alerts.note_success_at(&lane, at(101));
        alerts.note_success_at(&lane, at(200));
        assert!(!alerts.is_troubled.load(Ordering::Relaxed));
        assert_eq!(alerts.stats()[0].active, 0);
    }

    #[test]
    fn dead_letters_alert_by_their_rate() {
        let (alerts, _outbox) = Alerts::new(AlertLimits::default());
        let raised: Vec<_> =
            (0..30).filter(|n| alerts.note_dead_letter(at(*n)).is_some()).collect();
        assert_eq!(raised, [9]);
        let slow: Vec<_> =
            (1..30).filter(|n| alerts.note_dead_letter(at(1000 + n * 10)).is_some()).collect();
        assert!(slow.is_empty());
    }

    #[test]
    fn looks_are_a_part_of_the_shortest_time() {
        let (alerts, _outbox) = Alerts::new(AlertLimits::default());
        assert_eq!(alerts.look(), LONGEST_LOOK);
        let limits = AlertLimits { oldest: Some(Duration::from_secs(1)), ..AlertLimits::default() };
        assert_eq!(Alerts::new(limits).0.look(), Duration::from_millis(250));
    }
}
