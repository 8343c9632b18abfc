//! The operations in front of the writer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::error::closed;
use super::op::{Op, Waiter};
use crate::error::{Error, Result};

/// The longest delay of an operation that has no waiting caller.
const MAX_DELAY: Duration = Duration::from_millis(3);
/// Starts a transaction early once this many are queued.
const MIN_BATCH: usize = 512;
/// The most operations in one transaction.
const MAX_TRANSACTION_OPS: usize = 4096;

/// The queue of the writer.
#[derive(Debug, Default)]
pub(super) struct OpQueue {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    ops: VecDeque<Op>,
    /// The time at which the first of them was queued.
    since: Option<Instant>,
    /// Operations among them whose callers wait.
    awaited: usize,
    /// Operations that were taken so far, or answered without that.
    taken: u64,
    is_closed: bool,
}

impl OpQueue {
    /// Queues operations without a waiting caller.
    pub(super) fn push_all(&self, ops: impl IntoIterator<Item = Op>) {
        let mut state = self.state();
        let before = state.ops.len();
        state.ops.extend(ops);
        state.since.get_or_insert_with(Instant::now);
        if before == 0 || (before < MIN_BATCH && state.ops.len() >= MIN_BATCH) {
            self.ready.notify_one();
        }
    }

    /// Queues an operation at once. The result waits until it is written.
    pub(super) fn wait<T: Send, F: FnOnce(Waiter<T>) -> Op>(
        &self,
        op: F,
    ) -> impl Future<Output = Result<T>> + Send + use<T, F> {
        let (answer, written) = oneshot::channel();
        let mut state = self.state();
        // What is closed drops the waiter.
        if !state.is_closed {
            let since = Instant::now();
            state.ops.push_back(op(Waiter { answer, since }));
            state.since.get_or_insert(since);
            state.awaited += 1;
            self.ready.notify_one();
        }
        drop(state);
        async { written.await.unwrap_or_else(|_| Err(closed())) }
    }

    /// Queues operations again that were taken, with their callers.
    pub(super) fn put_back(&self, ops: Vec<Op>) {
        let mut state = self.state();
        state.awaited += ops.iter().filter(|op| op.waits_since().is_some()).count();
        state.ops.extend(ops);
        state.since.get_or_insert_with(Instant::now);
        self.ready.notify_one();
    }

    /// Accepts no more waiting callers.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.ready.notify_one();
    }

    /// Returns `true` once it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Returns how many operations were queued so far, and how many of them were taken.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.taken + state.ops.len() as u64, state.taken)
    }

    /// Returns `true` if nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.state().ops.is_empty()
    }

    /// Waits until a transaction is due, or the queue is closed.
    pub(super) async fn due(&self) {
        loop {
            let ready = self.ready.notified();
            let wait = {
                let state = self.state();
                if state.is_closed || state.awaited > 0 || state.ops.len() >= MIN_BATCH {
                    return;
                }
                let since = state.since.filter(|_| !state.ops.is_empty());
                since.map(|since| MAX_DELAY.saturating_sub(since.elapsed()))
            };
            match wait {
                Some(Duration::ZERO) => return,
                Some(wait) => drop(tokio::time::timeout(wait, ready).await),
                None => ready.await,
            }
        }
    }

    /// Takes the operations of the next transaction.
    pub(super) fn take(&self) -> Vec<Op> {
        let mut state = self.state();
        let count = state.ops.len().min(MAX_TRANSACTION_OPS);
        let batch: Vec<Op> = state.ops.drain(..count).collect();
        state.taken += count as u64;
        state.awaited -= batch.iter().filter(|op| op.waits_since().is_some()).count();
        if state.ops.is_empty() {
            state.since = None;
        }
        batch
    }

    /// Answers the callers that have waited longer than `patience`.
    pub(super) fn expire(&self, patience: Duration, error: impl Fn() -> Error) {
        let mut state = self.state();
        if state.awaited == 0 {
            return;
        }
        let ops = std::mem::take(&mut state.ops);
        let is_late = |op: &Op| op.is_late(patience);
        let (late, rest): (Vec<Op>, Vec<Op>) = ops.into_iter().partition(is_late);
        state.ops = rest.into();
        state.taken += late.len() as u64;
        state.awaited -= late.len();
        drop(state);
        for op in late {
            op.answer(Err(error()));
        }
    }

    /// Removes the operations that only the owner of a shard may write.
    pub(super) fn drop_owners(&self) {
        let mut state = self.state();
        let ops = std::mem::take(&mut state.ops);
        let (dropped, rest): (Vec<Op>, Vec<Op>) = ops.into_iter().partition(Op::is_owners);
        state.ops = rest.into();
        state.taken += dropped.len() as u64;
        state.awaited -= dropped.iter().filter(|op| op.waits_since().is_some()).count();
        drop(state);
        for op in dropped {
            op.answer(Err(super::error::replaced()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_due_while_nothing_waits() {
        let queue = OpQueue::default();
        queue.push_all([]);
        let due = tokio::time::timeout(4 * MAX_DELAY, queue.due()).await;
        assert!(due.is_err(), "the thread would spin");
        queue.push_all([Op::Forget { batch: 1 }]);
        queue.due().await;
        assert_eq!(queue.take().len(), 1);
    }
}
