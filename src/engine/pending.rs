//! The count of the work that is not over, and those who wait for its end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// The work that is not over: commits in progress, and deliveries that are not terminal.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: AtomicUsize,
    /// `true` while calls of an earlier process wait for room in the lanes. To bring them in is work, which
    /// ends no sooner than calls that are in the lanes.
    waits_for_room: AtomicBool,
    /// Notified when little of it is left, or when what is left may be resting.
    pub(crate) idle: Notify,
}

impl Pending {
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns the work that waits for room in the lanes.
    pub(crate) fn waiting_for_room(&self) -> usize {
        usize::from(self.waits_for_room.load(Ordering::SeqCst))
    }

    /// Waits for room in the lanes.
    pub(crate) async fn wait_for_room(&self, room: impl Future<Output = ()>) {
        let mut room = pin!(room);
        if poll_fn(|context| Poll::Ready(room.as_mut().poll(context).is_ready())).await {
            return;
        }
        self.waits_for_room.store(true, Ordering::SeqCst);
        self.idle.notify_waiters();
        room.await;
        self.waits_for_room.store(false, Ordering::SeqCst);
    }

    /// Counts work, which [`Self::end`] ends.
    pub(crate) fn begin(&self, work: usize) {
        self.count.fetch_add(work, Ordering::AcqRel);
    }

    /// Counts work that is over, and wakes those who wait if no more is left than `spared` and what waits
    /// for room.
    pub(crate) fn end(&self, work: usize, spared: impl FnOnce() -> usize) {
        let left = self.count.fetch_sub(work, Ordering::SeqCst) - work;
        if left <= spared().saturating_add(self.waiting_for_room()) {
            self.idle.notify_waiters();
        }
    }

    /// Waits until no more work than this is left.
    pub(crate) async fn drained(&self, spared: impl Fn() -> usize) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            #[cfg(test)]
            crate::engine::tests::yields::here();
            if self.count() <= spared() {
                return;
            }
            idle.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn the_last_delivery_beside_what_waits_for_room_ends_the_wait() {
        let work = Pending::default();
        work.begin(2);
        let (mut recovery, mut drained) =
            (pin!(work.wait_for_room(pending())), pin!(work.drained(|| work.waiting_for_room())));
        let mut context = Context::from_waker(Waker::noop());
        assert!(recovery.as_mut().poll(&mut context).is_pending());
        assert!(drained.as_mut().poll(&mut context).is_pending());
        work.end(1, || 0);
        assert!(drained.as_mut().poll(&mut context).is_ready());
    }
}
