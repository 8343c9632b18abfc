//! The events of an engine and their subscribers: one topic per kind of event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::time::Timestamp;

/// A topic of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A delivery became terminal: its log entry.
    Delivery,
    /// An execution is over and all its deliveries are terminal: its row.
    Execution,
    /// A batch was closed.
    Batch,
    /// Calls of a replay were handed over.
    Replay,
    /// A value is too high.
    Alert,
    /// Something that the operator should know.
    Warning,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] =
        [Self::Delivery, Self::Execution, Self::Batch, Self::Replay, Self::Alert, Self::Warning];

    /// The name in `engine.on(name, listener)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Execution => "execution",
            Self::Batch => "batch",
            Self::Replay => "replay",
            Self::Alert => "alert",
            Self::Warning => "warning",
        }
    }

    /// The topic of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Returns `true` if its events wait for the first listener: what opening an engine shows is worth
    /// as much as what it shows later.
    const fn waits(self) -> bool {
        matches!(self, Self::Alert | Self::Warning)
    }
}

/// A warning event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning<'a> {
    /// The subject.
    pub code: &'static str,
    /// A sentence for people.
    pub message: &'a str,
    /// The execution concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<&'a str>,
}

/// The progress of a replay.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ReplayProgress<'a> {
    /// The id of the replay.
    pub id: &'a str,
    /// Calls that are handed over.
    pub replayed: usize,
    /// All calls of the replay.
    pub total: usize,
}

/// The state of a batch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchEvent<'a> {
    /// The destination.
    pub destination: &'static str,
    /// The name under which it is stored.
    pub name: &'a str,
    /// `sealed`, `delayed`, `stored` or `failed`.
    pub status: &'static str,
    /// The reason why it was closed.
    pub reason: &'a str,
    /// The number of records.
    pub records: usize,
    /// The encoded size in bytes.
    pub bytes: usize,
    /// The time at which it was closed.
    pub sealed_at: Timestamp,
    /// Attempts to store it.
    pub attempts: u32,
    /// The reason why it is delayed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// The events of one subscriber that it has not taken yet.
pub struct Subscriber {
    topics: AtomicU8,
    queue: Mutex<EventQueue>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct EventQueue {
    events: VecDeque<String>,
    /// Bytes of the events.
    bytes: usize,
    dropped: usize,
    awake: bool,
}

impl EventQueue {
    /// Returns `true` if the queue accepts the event. An empty queue accepts any event.
    fn has_room(&self, event: &str) -> bool {
        self.events.is_empty()
            || self.events.len() < MAX_WAITING && self.bytes + event.len() <= MAX_WAITING_BYTES
    }

    /// Takes what JavaScript handles in one turn of its loop.
    fn take_part(&mut self) -> Vec<String> {
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES {
            let Some(event) = self.events.pop_front() else { break };
            self.bytes -= event.len();
            bytes += event.len();
            part.push(event);
        }
        part
    }
}

/// The name of an emitted event for a listener.
pub const EMITTED: &str = "emitted";

/// The most events that wait for a subscriber. Later ones are dropped, counted and reported.
const MAX_WAITING: usize = 100_000;
/// The most bytes that these events have.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// About the bytes that a subscriber takes at once: a text that JavaScript parses in milliseconds.
const PART_BYTES: usize = 1 << 20;

impl Subscriber {
    /// A subscriber that is woken by `wake` when there is something to take. `wake` is called on
    /// a background thread and must not block.
    #[must_use]
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { topics: AtomicU8::new(0), queue: Mutex::default(), wake })
    }

    /// Adds a topic.
    pub fn listen(&self, topic: Topic) {
        self.topics.fetch_or(topic.bit(), Ordering::Relaxed);
    }

    fn listens_to(&self, topic: Topic) -> bool {
        self.topics.load(Ordering::Relaxed) & topic.bit() != 0
    }

    /// Removes a topic.
    pub fn ignore(&self, topic: Topic) {
        self.topics.fetch_and(!topic.bit(), Ordering::Relaxed);
    }

    /// Takes the next part of what waits, as a JSON array of `[topic, event]` pairs; `None`: nothing
    /// does. The subscriber is woken again for the rest.
    #[must_use]
    pub fn take(&self) -> Option<String> {
        let mut queue = self.queue();
        let mut part = queue.take_part();
        let dropped = std::mem::take(&mut queue.dropped);
        queue.awake = !queue.events.is_empty();
        let again = queue.awake;
        drop(queue);
        if again {
            (self.wake)();
        }
        if dropped > 0 {
            let message = format!("{dropped} events were dropped: the listeners are too slow");
            let warning = Warning { code: "EVENTS_DROPPED", message: &message, execution_id: None };
            part.push(to_pair(Topic::Warning, &warning));
        }
        (!part.is_empty()).then(|| format!("[{}]", part.join(",")))
    }

    /// Publishes an event of no topic, under a name.
    pub fn publish(&self, name: &str, event: &impl Serialize) {
        self.push(serde_json::to_string(&(name, event)).unwrap_or_else(|_| "[]".to_owned()));
    }

    fn push(&self, event: String) {
        let mut queue = self.queue();
        if !queue.has_room(&event) {
            queue.dropped += 1;
            return;
        }
        queue.bytes += event.len();
        queue.events.push_back(event);
        let wake = !std::mem::replace(&mut queue.awake, true);
        drop(queue);
        if wake {
            (self.wake)();
        }
    }

    fn queue(&self) -> MutexGuard<'_, EventQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// The subscribers of one engine.
#[derive(Debug, Default)]
pub struct Events {
    /// `true` if there are subscribers: events are many and subscribers few.
    listening: AtomicBool,
    subscriptions: Mutex<Vec<Arc<Subscriber>>>,
    /// Events that wait for the first listener of their topic.
    early: Mutex<Vec<(Topic, String)>>,
    /// The time of the last warning about the journal.
    last_trouble: Mutex<Option<Instant>>,
}

/// The most events of a topic that wait for its first listener.
const MAX_EARLY: usize = 16;
/// The shortest time between two warnings about the journal, because each failing write causes one.
const TROUBLE_EVERY: Duration = Duration::from_secs(1);

impl Events {
    /// Emits a warning about the journal, unless there was one a moment ago.
    pub fn journal_trouble(&self, message: &str) {
        if self.admits_trouble(Instant::now()) {
            let code = "JOURNAL_TROUBLE";
            self.emit(Topic::Warning, || Warning { code, message, execution_id: None });
        }
    }

    /// Emits a warning that calls are lost for a replay.
    pub fn dead_letters_removed(&self, count: u64, max_age: Duration) {
        let code = "DEAD_LETTERS_REMOVED";
        let days = max_age.as_secs() / 86_400;
        let calls =
            if count == 1 { "1 failed call".into() } else { format!("{count} failed calls") };
        let message = &format!(
            "{calls} of the log can no longer be replayed: log.maxAgeDays ({days}) removed what was \
             neither replayed nor dismissed"
        );
        self.emit(Topic::Warning, || Warning { code, message, execution_id: None });
    }

    /// Emits a warning that the clock of this machine is so many milliseconds ahead of the database's.
    pub fn clock_differs(&self, ahead: i64) {
        let code = "CLOCK_DIFFERS";
        let seconds = ahead.unsigned_abs() / 1000;
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let message = &format!(
            "the clock of this machine is {seconds} s {side} that of the journal's database, by which \
             this process goes"
        );
        self.emit(Topic::Warning, || Warning { code, message, execution_id: None });
    }

    fn admits_trouble(&self, now: Instant) -> bool {
        let mut last = self.last_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_duration_since(last) < TROUBLE_EVERY) {
            return false;
        }
        *last = Some(now);
        true
    }

    /// Adds a subscriber, once. The first one of a topic gets the alerts and warnings from before.
    pub fn subscribe(&self, subscription: &Arc<Subscriber>) {
        let mut subscriptions = self.subscriptions();
        if !subscriptions.iter().any(|known| Arc::ptr_eq(known, subscription)) {
            subscriptions.push(Arc::clone(subscription));
        }
        self.listening.store(true, Ordering::Release);
        drop(subscriptions);
        let mut early = self.early();
        for (_, event) in early.extract_if(.., |(topic, _)| subscription.listens_to(*topic)) {
            subscription.push(event);
        }
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&self, subscription: &Arc<Subscriber>) {
        let mut subscriptions = self.subscriptions();
        subscriptions.retain(|other| !Arc::ptr_eq(other, subscription));
        self.listening.store(!subscriptions.is_empty(), Ordering::Release);
    }

    /// Publishes an event to the subscribers of its topic; `event` is called only if there are any.
    pub fn emit<T: Serialize>(&self, topic: Topic, event: impl FnOnce() -> T) {
        let mut listening = self.listening_to(topic);
        if listening.is_empty() {
            if !topic.waits() {
                return;
            }
            // A subscriber is added before it takes what is early.
            let mut early = self.early();
            listening = self.listening_to(topic);
            if listening.is_empty() {
                if early.iter().filter(|(waiting, _)| *waiting == topic).count() < MAX_EARLY {
                    early.push((topic, to_pair(topic, &event())));
                }
                return;
            }
        }
        let pair = to_pair(topic, &event());
        for subscription in listening {
            subscription.push(pair.clone());
        }
    }

    fn listening_to(&self, topic: Topic) -> Vec<Arc<Subscriber>> {
        if !self.listening.load(Ordering::Acquire) {
            return Vec::new();
        }
        let subscriptions = self.subscriptions();
        subscriptions.iter().filter(|subscriber| subscriber.listens_to(topic)).cloned().collect()
    }

    fn early(&self) -> MutexGuard<'_, Vec<(Topic, String)>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> MutexGuard<'_, Vec<Arc<Subscriber>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_pair(topic: Topic, event: &impl Serialize) -> String {
    serde_json::to_string(&(topic.name(), event)).unwrap_or_else(|_| "[]".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Events, MAX_EARLY, MAX_WAITING_BYTES, PART_BYTES, Subscriber, Topic};

    fn counted() -> (Arc<Subscriber>, Arc<AtomicUsize>) {
        let wakes = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&wakes);
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        (Subscriber::new(Box::new(wake)), wakes)
    }

    fn parts(subscription: &Subscriber) -> Vec<Vec<(String, serde_json::Value)>> {
        let texts = std::iter::from_fn(|| subscription.take());
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    #[test]
    fn large_events_are_taken_in_parts_and_wake_again() {
        let (subscription, wakes) = counted();
        let body = "x".repeat(PART_BYTES / 2);
        for _ in 0..6 {
            subscription.publish("emitted", &body);
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let parts = parts(&subscription);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(wakes.load(Ordering::Relaxed), 3);
        subscription.publish("emitted", &1);
        assert_eq!(wakes.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn events_past_the_bound_are_dropped_and_counted() {
        let (subscription, _) = counted();
        let body = "x".repeat(1 << 20);
        let room = MAX_WAITING_BYTES / (body.len() + 14);
        for _ in 0..room + 5 {
            subscription.publish("emitted", &body);
        }
        let all: Vec<_> = parts(&subscription).into_iter().flatten().collect();
        assert_eq!(all.iter().filter(|(topic, _)| topic == "emitted").count(), room);
        let warning = all.iter().find(|(topic, _)| topic == "warning").unwrap();
        assert_eq!(warning.1["code"], "EVENTS_DROPPED");
        assert!(warning.1["message"].as_str().unwrap().starts_with("5 events"));
    }

    #[test]
    fn the_first_listener_gets_earlier_warnings_and_alerts() {
        let events = Events::default();
        events.journal_trouble("the disk is full");
        events.emit(Topic::Delivery, || 1);
        let ((first, _), (second, _)) = (counted(), counted());
        for subscriber in [&first, &second] {
            subscriber.listen(Topic::Warning);
            events.subscribe(subscriber);
        }
        let got: Vec<_> = parts(&first).into_iter().flatten().collect();
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].1["message"], "the disk is full");
        // Those who listen to something else leave it.
        for n in 0..2 * MAX_EARLY {
            events.emit(Topic::Alert, || n);
        }
        second.listen(Topic::Alert);
        events.subscribe(&second);
        let got: Vec<_> = parts(&second).into_iter().flatten().collect();
        let expected: Vec<_> = (0..MAX_EARLY).map(|n| ("alert".to_owned(), n.into())).collect();
        assert_eq!(got, expected);
        events.emit(Topic::Alert, || 7);
        assert_eq!(parts(&second).len(), 1);
        assert!(parts(&first).is_empty());
    }

    #[test]
    fn an_event_that_is_larger_than_the_bound_arrives_alone() {
        let (subscription, _) = counted();
        subscription.publish("emitted", &"x".repeat(MAX_WAITING_BYTES + 1));
        subscription.publish("emitted", &1);
        let all: Vec<_> = parts(&subscription).into_iter().flatten().collect();
        assert_eq!(all.len(), 2, "one event and the warning");
    }
}
