//! What happens, told to whoever listens: one topic per kind of event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::time::Timestamp;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A delivery became terminal: its log entry.
    Delivery,
    /// An execution is over and all its deliveries are terminal: its row.
    Execution,
    /// A batch was closed.
    Batch,
    /// Something that the operator should know.
    Warning,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 4] = [Self::Delivery, Self::Execution, Self::Batch, Self::Warning];

    /// The name in `engine.on(name, listener)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Execution => "execution",
            Self::Batch => "batch",
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
}

/// A warning event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning<'a> {
    /// What it is about.
    pub code: &'static str,
    /// A sentence for people.
    pub message: &'a str,
    /// The execution concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<&'a str>,
}

/// What happens to a batch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchEvent<'a> {
    /// The destination.
    pub destination: &'static str,
    /// Where it is stored.
    pub name: &'a str,
    /// `sealed`, `delayed`, `stored` or `failed`.
    pub status: &'static str,
    /// Why it was closed.
    pub reason: &'a str,
    /// How many records it has.
    pub records: usize,
    /// How many bytes it has, encoded.
    pub bytes: usize,
    /// When it was closed.
    pub sealed_at: Timestamp,
    /// Attempts to store it.
    pub attempts: u32,
    /// Why it is delayed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

/// The events of one subscriber that it has not taken yet.
pub struct Subscription {
    topics: AtomicU8,
    queue: Mutex<Queue>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    /// Work that JavaScript is waited for: it goes before events, and is never dropped.
    jobs: VecDeque<String>,
    events: VecDeque<String>,
    /// Bytes of the events.
    bytes: usize,
    dropped: usize,
    awake: bool,
}

impl Queue {
    /// Whether there is room for an event. The first one always has it.
    fn has_room(&self, event: &str) -> bool {
        self.events.is_empty()
            || self.events.len() < MAX_WAITING && self.bytes + event.len() <= MAX_WAITING_BYTES
    }

    /// Takes what JavaScript handles in one turn of its loop.
    fn take_part(&mut self) -> Vec<String> {
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES {
            let next = self.jobs.pop_front().or_else(|| {
                let event = self.events.pop_front()?;
                self.bytes -= event.len();
                Some(event)
            });
            let Some(next) = next else { break };
            bytes += next.len();
            part.push(next);
        }
        part
    }
}

/// The name of a job for a destination that is written in JavaScript.
pub const JOB: &str = "job";
/// The name of an emitted event that a listener asked for.
pub const EMITTED: &str = "emitted";

/// The most events that wait for a subscriber. Later ones are dropped, counted and reported.
const MAX_WAITING: usize = 100_000;
/// The most bytes that these events have.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// About the bytes that a subscriber takes at once: a text that JavaScript parses in milliseconds.
const PART_BYTES: usize = 1 << 20;

impl Subscription {
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
        queue.awake = !(queue.jobs.is_empty() && queue.events.is_empty());
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

    /// Gives it an event of no topic, under a name.
    pub fn tell(&self, name: &str, event: &impl Serialize) {
        self.push(serde_json::to_string(&(name, event)).unwrap_or_else(|_| "[]".to_owned()));
    }

    /// Gives it a job, as JSON under a name, however many events wait.
    pub fn ask(&self, name: &str, question: &str) {
        let mut queue = self.queue();
        queue.jobs.push_back(format!("[\"{name}\",{question}]"));
        self.wake_for(queue);
    }

    fn push(&self, event: String) {
        let mut queue = self.queue();
        if !queue.has_room(&event) {
            queue.dropped += 1;
            return;
        }
        queue.bytes += event.len();
        queue.events.push_back(event);
        self.wake_for(queue);
    }

    fn wake_for(&self, mut queue: MutexGuard<'_, Queue>) {
        let wake = !std::mem::replace(&mut queue.awake, true);
        drop(queue);
        if wake {
            (self.wake)();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// The subscribers of one engine.
#[derive(Debug, Default)]
pub struct Events {
    /// Whether there is anybody at all: events are many and subscribers few.
    listening: AtomicBool,
    subscriptions: Mutex<Vec<Arc<Subscription>>>,
}

impl Events {
    /// Adds a subscriber, once.
    pub fn subscribe(&self, subscription: &Arc<Subscription>) {
        let mut subscriptions = self.subscriptions();
        if !subscriptions.iter().any(|known| Arc::ptr_eq(known, subscription)) {
            subscriptions.push(Arc::clone(subscription));
        }
        self.listening.store(true, Ordering::Release);
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        let mut subscriptions = self.subscriptions();
        subscriptions.retain(|other| !Arc::ptr_eq(other, subscription));
        self.listening.store(!subscriptions.is_empty(), Ordering::Release);
    }

    /// Tells an event to those who listen to its topic; `event` is made only if somebody does.
    pub fn emit<T: Serialize>(&self, topic: Topic, event: impl FnOnce() -> T) {
        if !self.listening.load(Ordering::Acquire) {
            return;
        }
        let listening: Vec<_> = self
            .subscriptions()
            .iter()
            .filter(|subscription| subscription.topics.load(Ordering::Relaxed) & topic.bit() != 0)
            .cloned()
            .collect();
        if listening.is_empty() {
            return;
        }
        let pair = to_pair(topic, &event());
        for subscription in listening {
            subscription.push(pair.clone());
        }
    }

    fn subscriptions(&self) -> MutexGuard<'_, Vec<Arc<Subscription>>> {
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

    use super::{JOB, MAX_WAITING_BYTES, PART_BYTES, Subscription};

    fn counted() -> (Arc<Subscription>, Arc<AtomicUsize>) {
        let wakes = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&wakes);
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        (Subscription::new(Box::new(wake)), wakes)
    }

    fn parts(subscription: &Subscription) -> Vec<Vec<(String, serde_json::Value)>> {
        let texts = std::iter::from_fn(|| subscription.take());
        texts.map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    #[test]
    fn large_events_are_taken_in_parts_and_wake_again() {
        let (subscription, wakes) = counted();
        let body = "x".repeat(PART_BYTES / 2);
        for _ in 0..6 {
            subscription.tell("emitted", &body);
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let parts = parts(&subscription);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(wakes.load(Ordering::Relaxed), 3);
        subscription.tell("emitted", &1);
        assert_eq!(wakes.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn events_past_the_bound_are_counted_and_jobs_are_never_lost() {
        let (subscription, _) = counted();
        let body = "x".repeat(1 << 20);
        let room = MAX_WAITING_BYTES / (body.len() + 14);
        for _ in 0..room + 5 {
            subscription.tell("emitted", &body);
        }
        subscription.ask(JOB, "{\"job\":1}");
        let all: Vec<_> = parts(&subscription).into_iter().flatten().collect();
        assert_eq!(all[0].0, JOB);
        assert_eq!(all.iter().filter(|(topic, _)| topic == "emitted").count(), room);
        let warning = all.iter().find(|(topic, _)| topic == "warning").unwrap();
        assert_eq!(warning.1["code"], "EVENTS_DROPPED");
        assert!(warning.1["message"].as_str().unwrap().starts_with("5 events"));
    }

    #[test]
    fn an_event_that_is_larger_than_the_bound_arrives_alone() {
        let (subscription, _) = counted();
        subscription.tell("emitted", &"x".repeat(MAX_WAITING_BYTES + 1));
        subscription.tell("emitted", &1);
        let all: Vec<_> = parts(&subscription).into_iter().flatten().collect();
        assert_eq!(all.len(), 2, "one event and the warning");
    }
}
