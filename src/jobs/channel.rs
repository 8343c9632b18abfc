//! The queue of jobs for one JavaScript thread.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The jobs that one JavaScript thread has not taken yet. No job is ever dropped.
pub struct JobChannel {
    queue: Mutex<JobQueue>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct JobQueue {
    jobs: VecDeque<String>,
    awake: bool,
}

/// The approximate size of the texts that are taken at once: JavaScript parses them in milliseconds.
const PART_BYTES: usize = 1 << 20;

impl JobChannel {
    /// Creates a channel that calls `wake` when there are jobs to take. `wake` is called on a
    /// background thread and must not block.
    #[must_use]
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { queue: Mutex::default(), wake }
    }

    /// Adds a job, as JSON.
    pub fn send(&self, job: &str) {
        let mut queue = self.queue();
        queue.jobs.push_back(format!("[\"job\",{job}]"));
        let wake = !std::mem::replace(&mut queue.awake, true);
        drop(queue);
        if wake {
            (self.wake)();
        }
    }

    /// Takes the next jobs, as a JSON array of `["job", job]` pairs, or `None` if there are none.
    /// `wake` is called again for the rest.
    #[must_use]
    pub fn take(&self) -> Option<String> {
        let mut queue = self.queue();
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES {
            let Some(job) = queue.jobs.pop_front() else { break };
            bytes += job.len();
            part.push(job);
        }
        let more = !queue.jobs.is_empty();
        queue.awake = more;
        drop(queue);
        if more {
            (self.wake)();
        }
        (!part.is_empty()).then(|| format!("[{}]", part.join(",")))
    }

    fn queue(&self) -> MutexGuard<'_, JobQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JobChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobChannel").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{JobChannel, PART_BYTES};

    #[test]
    fn jobs_are_taken_in_order_and_in_parts() {
        let wakes = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&wakes);
        let channel = JobChannel::new(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        assert_eq!(channel.take(), None);
        for job in ["1", "2"] {
            channel.send(job);
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert_eq!(channel.take().as_deref(), Some(r#"[["job",1],["job",2]]"#));
        let large = "1".repeat(PART_BYTES);
        channel.send(&large);
        channel.send("3");
        assert_eq!(channel.take(), Some(format!(r#"[["job",{large}]]"#)));
        assert_eq!(wakes.load(Ordering::Relaxed), 3);
        assert_eq!(channel.take().as_deref(), Some(r#"[["job",3]]"#));
    }
}
