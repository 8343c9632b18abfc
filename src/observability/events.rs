//! What happens, told to whoever listens: one topic per kind of event.

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
    events: Vec<String>,
    dropped: usize,
    awake: bool,
}

/// The name of a job for a destination that is written in JavaScript.
pub const JOB: &str = "job";
/// The name of an emitted event that a listener asked for.
pub const EMITTED: &str = "emitted";

/// Events that wait for a subscriber at most; what comes after is counted and told of.
const MAX_WAITING: usize = 100_000;

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

    /// Everything that waits, as one JSON array of `[topic, event]` pairs; `None`: nothing does.
    #[must_use]
    pub fn take(&self) -> Option<String> {
        let mut queue = self.queue();
        queue.awake = false;
        let mut events = std::mem::take(&mut queue.events);
        let dropped = std::mem::take(&mut queue.dropped);
        drop(queue);
        if dropped > 0 {
            let message = format!("{dropped} events were dropped: the listeners are too slow");
            let warning = Warning { code: "EVENTS_DROPPED", message: &message, execution_id: None };
            events.push(to_pair(Topic::Warning, &warning));
        }
        (!events.is_empty()).then(|| format!("[{}]", events.join(",")))
    }

    /// Gives it an event of no topic, under a name.
    pub fn tell(&self, name: &str, event: &impl Serialize) {
        self.push(serde_json::to_string(&(name, event)).unwrap_or_else(|_| "[]".to_owned()));
    }

    /// Gives it JSON under a name, however many events wait: somebody waits for the answer, so there
    /// are never many.
    pub fn ask(&self, name: &str, question: &str) {
        self.enqueue(self.queue(), format!("[\"{name}\",{question}]"));
    }

    fn push(&self, event: String) {
        let mut queue = self.queue();
        if queue.events.len() >= MAX_WAITING {
            queue.dropped += 1;
            return;
        }
        self.enqueue(queue, event);
    }

    fn enqueue(&self, mut queue: MutexGuard<'_, Queue>, event: String) {
        queue.events.push(event);
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
