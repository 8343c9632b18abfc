//! How an engine waits for its work, and how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::{Engine, closed};
use crate::destinations::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Journal, Record};
use crate::observability::stats::Stats;

/// How long an engine whose last handle was lost drains before its journal keeps the rest.
const UNATTENDED_DRAIN: Duration = Duration::from_secs(10);

/// The counts that `close()` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// Deliveries that reached their destination since the engine was opened.
    pub delivered: u64,
    /// Deliveries that failed since the engine was opened.
    pub failed: u64,
    /// Deliveries that were not terminal at the deadline.
    pub pending: usize,
}

impl Engine {
    /// Closes every batch, and waits until every delivery that was handed over is terminal.
    ///
    /// # Errors
    /// `Timeout`, and `Closed` when the engine closes with work left.
    pub async fn flush(&self, timeout: Option<Duration>) -> Result<Stats> {
        let _hurry = self.batches.hurry();
        let drained = async {
            tokio::select! {
                () = self.drained() => {}
                () = self.ended() => {}
            }
            // What the closing engine gave up is not terminal, though nothing is counted any more.
            if self.cut_off.load(Ordering::Acquire) { Err(closed()) } else { Ok(self.stats()) }
        };
        let Some(limit) = timeout else { return drained.await };
        tokio::time::timeout(limit, drained).await.unwrap_or_else(|_| {
            let pending = self.pending.load(Ordering::Acquire);
            let message =
                format!("after {} ms {pending} deliveries are not terminal", limit.as_millis());
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }

    /// Gives back one handle, and drains until the deadline. The last handle closes the engine: it
    /// takes no more work, and interrupts what is left at the deadline.
    pub(super) async fn close_handle(self: &Arc<Self>, timeout: Duration) -> Drained {
        if !self.give_back() {
            return self.drain(timeout).await;
        }
        let drained = self.drain(timeout).await;
        self.end_with(drained).await;
        drained
    }

    /// Gives back a handle that was not closed. The last one closes the engine in the background:
    /// the server at once, everything else when the work is done. A durable journal keeps what is
    /// not done within [`UNATTENDED_DRAIN`]; without one there is no limit, because it would be lost.
    pub(super) fn abandon(self: &Arc<Self>) {
        if !self.give_back() {
            return;
        }
        let engine = Arc::clone(self);
        self.runtime.spawn(async move {
            engine.detach().await;
            let limit = if engine.is_durable() { UNATTENDED_DRAIN } else { Duration::MAX };
            let drained = engine.drain(limit).await;
            engine.end_with(drained).await;
        });
    }

    /// Counts one handle less. Returns whether it was the last one: the engine takes no more work.
    fn give_back(&self) -> bool {
        let last = self.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.closed.store(true, Ordering::Release);
        }
        last
    }

    async fn end_with(self: &Arc<Self>, drained: Drained) {
        if drained.pending > 0 {
            self.interrupt().await;
        }
        self.detach().await;
        self.destinations.close();
        self.journal.close().await;
        self.ended.send_replace(true);
    }

    /// Waits until the engine is closed and has given back its files and sockets.
    pub async fn ended(&self) {
        // The sender is in `self`: it cannot go away meanwhile.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Closes every batch, waits until nothing is open or the time is over, and counts.
    pub async fn drain(&self, timeout: Duration) -> Drained {
        let _hurry = self.batches.hurry();
        let in_time = tokio::time::timeout(timeout, self.drained()).await.is_ok();
        Drained {
            delivered: self.counters.delivered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
            pending: if in_time { 0 } else { self.pending_deliveries() },
        }
    }

    /// Adds a handle, unless the last one is closed.
    pub(super) fn share(&self) -> bool {
        let grow = |handles| (handles > 0).then_some(handles + 1);
        self.handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow).is_ok()
            && !self.closed.load(Ordering::Acquire)
    }

    async fn interrupt(&self) {
        self.cut_off.store(true, Ordering::Release);
        self.lanes.abort();
        self.lanes.join().await;
        self.batches.clear();
        self.give_up_waiting();
    }

    /// Gives up everything that waits in the lanes: a durable journal keeps it for the next
    /// opening, and without one it ends as interrupted.
    pub(super) fn give_up_waiting(&self) {
        for record in self.journal.lease_rest() {
            if self.journal.is_durable() {
                self.leave(&record);
                continue;
            }
            let message = "the engine closed before the delivery was attempted";
            let failure = Failure::new(ErrorKind::Interrupted, message);
            self.settle(&record, self.unsent(&record, failure));
        }
    }

    /// Leaves a record in the journal: this engine does nothing more about it.
    pub(super) fn leave(&self, record: &Record) {
        self.leave_sized(record.payload.len());
    }

    /// The same for a record whose payload, of so many bytes, is elsewhere already.
    pub(super) fn leave_sized(&self, bytes: usize) {
        self.release(bytes);
        self.end(1);
    }

    async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.pending.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}
