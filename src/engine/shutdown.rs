//! How an engine waits for its work, and how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Engine;
use crate::destinations::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Journal, Record};
use crate::observability::stats::Stats;

/// What `close()` answers.
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
    /// Closes every batch, and waits until nothing is handed over that is not terminal. `Err`: the time ran out.
    pub async fn flush(&self, timeout: Option<Duration>) -> Result<Stats> {
        let _hurry = self.batches.hurry();
        let Some(limit) = timeout else {
            self.drained().await;
            return Ok(self.stats());
        };
        if tokio::time::timeout(limit, self.drained()).await.is_ok() {
            return Ok(self.stats());
        }
        let pending = self.pending.load(Ordering::Acquire);
        Err(Error::new(
            ErrorKind::Timeout,
            format!("after {} ms {pending} deliveries are not terminal", limit.as_millis()),
        ))
    }

    /// Ends one handle. The last one closes the engine: it takes no more work, drains until the
    /// deadline, and what is left then is interrupted and logged as such.
    pub async fn close(self: &Arc<Self>, timeout: Duration) -> Drained {
        let last = self.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.closed.store(true, Ordering::Release);
        }
        let drained = self.drain(timeout).await;
        if last && drained.pending > 0 {
            self.interrupt().await;
        }
        if last {
            self.detach().await;
            self.destinations.close();
            self.journal.close().await;
        }
        drained
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

    /// A handle went away without being closed. Its work goes on; nobody can add to it.
    pub fn abandon(&self) {
        self.handles.fetch_sub(1, Ordering::AcqRel);
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
