//! Work that is done in JavaScript: a job goes to a thread as JSON, and its answer comes back as
//! JSON.

mod channel;

pub use channel::JobChannel;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::delivery::Kind;

/// A thread of JavaScript that does jobs.
pub trait Thread: Send + Sync {
    /// Hands over a job, as JSON. It must not block.
    fn call(&self, job: &str);
}

/// The jobs that no thread has answered yet, with the destination that they are for.
#[derive(Debug, Default)]
pub struct Jobs {
    waiting: Mutex<HashMap<u64, (Kind, oneshot::Sender<String>)>>,
    next: AtomicU64,
}

/// A pending job. Dropping it cancels the wait.
#[derive(Debug)]
pub struct Job<'a> {
    jobs: &'a Jobs,
    kind: Kind,
    /// The number that its reply names.
    number: u64,
    answer: oneshot::Receiver<String>,
}

/// A job on its way.
#[derive(Serialize)]
struct Order<'a, Work> {
    job: u64,
    destination: &'static str,
    #[serde(flatten)]
    work: &'a Work,
}

impl Jobs {
    /// Creates a job. It ends without a reply when its thread is removed.
    pub fn begin(&self, kind: Kind) -> Job<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(number, (kind, sender));
        Job { jobs: self, kind, number, answer }
    }

    /// Completes a job with its reply. An unknown number is ignored.
    pub fn answer(&self, number: u64, answer: String) {
        if let Some((_, waiting)) = self.waiting().remove(&number) {
            // Who waited may have run out of time this very moment.
            let _ = waiting.send(answer);
        }
    }

    /// Gives up the jobs for these destinations: their thread is gone.
    pub fn forget(&self, kinds: &[Kind]) {
        self.waiting().retain(|_, (kind, _)| !kinds.contains(kind));
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, (Kind, oneshot::Sender<String>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job<'_> {
    /// Has a thread do it: `work`, an object, with its number and its destination.
    pub fn hand_to(&self, thread: &dyn Thread, work: &impl Serialize) {
        let order = Order { job: self.number, destination: self.kind.name(), work };
        thread.call(&serde_json::to_string(&order).unwrap_or_default());
    }

    /// Waits for the reply; `None`: the thread is gone.
    pub async fn answered(&mut self) -> Option<String> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.jobs.waiting().remove(&self.number);
    }
}
