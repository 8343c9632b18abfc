//! The queue in front of the thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::op::Op;

/// The longest delay of an operation that has no waiting caller.
pub(super) const MAX_DELAY: Duration = Duration::from_millis(3);
/// Starts a transaction early once this many are queued.
pub(super) const MIN_BATCH: usize = 256;
/// The smallest part that one transaction takes; half of the queue if that is more.
const MIN_PART: usize = 24;
/// The most deferred operations in one transaction: commits wait for the transaction in progress.
const MAX_TRANSACTION_OPS: usize = 2048;
/// The queue, and the signal that there is something in it.
#[derive(Debug, Default)]
pub(super) struct SharedQueue {
    pub(super) queue: Mutex<WriteQueue>,
    pub(super) ready: Condvar,
    /// The same signal for the writer of a simulation, which is a task.
    #[cfg(test)]
    pub(super) simulated: tokio::sync::Notify,
}

/// The operations that are not written yet.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    /// Operations with a waiting caller.
    pub(super) awaited: Vec<Op>,
    /// Operations without one, in their order. Only a commit may overtake them.
    pub(super) deferred: VecDeque<Op>,
    /// The time at which the first of them was queued.
    pub(super) since: Option<Instant>,
    /// Everything is to be written, in its order.
    pub(super) write_all: bool,
    pub(super) stopping: bool,
}

impl WriteQueue {
    pub(super) fn defer(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.deferred.extend(ops);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Returns the time that the next transaction may wait; `None`: there is nothing to write.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if self.stopping || !self.awaited.is_empty() || self.deferred.len() >= MIN_BATCH {
            return Some(Duration::ZERO);
        }
        self.since.map(|since| MAX_DELAY.saturating_sub(now - since))
    }

    /// Takes the operations of the next transaction.
    pub(super) fn take(&mut self, now: Instant, batch: &mut Vec<Op>) {
        let all = self.deferred.len();
        let due = self.since.is_some_and(|since| now - since >= MAX_DELAY) || all >= MIN_BATCH;
        let part = match (self.write_all || self.stopping, due) {
            (true, _) => all,
            (false, true) => MIN_PART.max(all / 2).min(MAX_TRANSACTION_OPS).min(all),
            (false, false) => 0,
        };
        batch.extend(self.deferred.drain(..part));
        batch.append(&mut self.awaited);
        self.write_all = false;
        if self.deferred.is_empty() {
            self.since = None;
        }
    }
}

impl SharedQueue {
    /// Wakes the writer.
    pub(super) fn wake(&self) {
        self.ready.notify_one();
        #[cfg(test)]
        self.simulated.notify_one();
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, WriteQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if a caller waits for an operation.
    pub(super) fn is_busy(&self) -> bool {
        !self.queue().awaited.is_empty()
    }

    /// Waits for operations. Returns `false` when there will be no more.
    pub(super) fn next(&self, batch: &mut Vec<Op>, at_most: Duration) -> bool {
        let mut queue = self.queue();
        let until = Instant::now() + at_most;
        loop {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let wait = queue.patience(now).map_or(left, |patience| patience.min(left));
            if wait.is_zero() {
                queue.take(now, batch);
                return !queue.stopping || !batch.is_empty();
            }
            let woken = self.ready.wait_timeout(queue, wait);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
