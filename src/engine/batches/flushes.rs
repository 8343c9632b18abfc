//! Flushes: while one is under way, open batches are closed and delayed ones are stored at once.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The flushes of one engine.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    under_way: AtomicUsize,
    begun: AtomicUsize,
    /// Notified when one begins.
    beginning: Notify,
}

/// A flush that is under way until this is dropped.
pub(crate) struct FlushGuard<'a>(&'a Flushes);

impl Flushes {
    /// Begins a flush.
    pub(super) fn begin(&self) -> FlushGuard<'_> {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.beginning.notify_waiters();
        FlushGuard(self)
    }

    /// Returns `true` while a flush is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire) > 0
    }

    /// Returns the number of flushes that have begun.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits until more than `seen` have begun, and notes their number there.
    pub(super) async fn next(&self, seen: &mut usize) {
        loop {
            let mut beginning = pin!(self.beginning.notified());
            beginning.as_mut().enable();
            let begun = self.begun();
            if begun != *seen {
                *seen = begun;
                return;
            }
            beginning.await;
        }
    }
}

impl Drop for FlushGuard<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
