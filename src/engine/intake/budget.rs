//! The memory of undelivered calls, and the producers that wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::closed;
use crate::engine::shared::SharedParts;
use crate::error::{Error, ErrorKind, Result};

/// The memory that undelivered calls take, of `maxPendingBytes`.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    bytes: AtomicUsize,
    producers: AtomicUsize,
    released: Notify,
}

/// Memory that is reserved for a call. It is released when this is dropped, unless the call keeps it.
pub(crate) struct Reservation<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Reservation<'_> {
    /// Leaves the memory to the call, whose settlement releases it.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.release(self.bytes);
        }
    }
}

/// A producer that waits. It is counted until this is dropped.
struct Producer<'a>(&'a Budget);

impl<'a> Producer<'a> {
    fn new(budget: &'a Budget) -> Self {
        budget.producers.fetch_add(1, Ordering::SeqCst);
        Self(budget)
    }
}

impl Drop for Producer<'_> {
    fn drop(&mut self) {
        self.0.producers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Budget {
    /// An unused budget.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: AtomicUsize::new(0),
            producers: AtomicUsize::new(0),
            released: Notify::new(),
        }
    }

    /// Returns the bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Returns the number of producers that wait.
    pub(crate) fn producers(&self) -> usize {
        self.producers.load(Ordering::SeqCst)
    }

    /// Returns the limit in bytes.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Reserves memory for a call.
    ///
    /// # Errors
    /// `JournalFull`.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation<'_>> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let reservation = Reservation { budget: self, bytes };
        if before + bytes <= self.limit {
            return Ok(reservation);
        }
        Err(Error::new(
            ErrorKind::JournalFull,
            format!(
                "undelivered calls already take {before} bytes of memory; this one takes {bytes} and \
                 maxPendingBytes is {}. Wait for engine.ready(), or raise the limit",
                self.limit
            ),
        ))
    }

    /// Adds the memory of calls that are there already, whatever the limit is.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Releases memory, and wakes the producers when there is room for more calls.
    pub(crate) fn release(&self, bytes: usize) {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if self.producers.load(Ordering::SeqCst) > 0 && left <= self.limit / 2 {
            self.released.notify_waiters();
        }
    }

    /// Returns `true` if undelivered calls hold more than half of the limit. Deliveries to webhooks
    /// then do not wait for a later attempt: one dead receiver must not stop all steps.
    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes() > self.limit / 2
    }
}

/// The result of waiting for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There may be enough now.
    Some,
    /// Waiting frees none: what takes the memory rests, or it is not delivered here.
    None,
}

/// Waits until there may be memory for a call of this size. The caller's own work counts as one
/// delivery that is not terminal.
pub(super) async fn room_for(shared: &SharedParts, bytes: usize) -> Room {
    let SharedParts { budget, pending, .. } = shared;
    let _producer = Producer::new(budget);
    loop {
        let (released, idle) = (budget.released.notified(), pending.idle.notified());
        tokio::pin!(released, idle);
        released.as_mut().enable();
        idle.as_mut().enable();
        if budget.bytes() + bytes <= budget.limit {
            return Room::Some;
        }
        let others = pending.count().saturating_sub(1);
        if bytes > budget.limit || !shared.config.deliver || others <= shared.resting() {
            return Room::None;
        }
        tokio::select! {
            () = released => {}
            () = idle => {}
            () = shared.stage.ended() => return Room::None,
        }
    }
}

/// Waits until undelivered calls take at most half of `maxPendingBytes`, or nothing that was committed
/// is left: then only calls of open executions take memory, and waiting frees none.
///
/// # Errors
/// `Timeout`, and `Closed` when the engine closes before that.
pub(crate) async fn ready(shared: &SharedParts, timeout: Option<Duration>) -> Result<()> {
    let budget = &shared.budget;
    let _producer = Producer::new(budget);
    let room = async {
        tokio::select! {
            // What a closing engine gives up makes room, but not for more calls.
            () = room(shared) => shared.stage.check_open(),
            () = shared.stage.ended() => Err(closed()),
        }
    };
    let Some(limit) = timeout else { return room.await };
    tokio::time::timeout(limit, room).await.unwrap_or_else(|_| {
        let message = format!(
            "after {} ms undelivered calls take {} bytes of memory, more than half of \
             maxPendingBytes ({})",
            limit.as_millis(),
            budget.bytes(),
            budget.limit,
        );
        Err(Error::new(ErrorKind::Timeout, message))
    })
}

async fn room(shared: &SharedParts) {
    let SharedParts { budget, pending, .. } = shared;
    loop {
        let (released, idle) = (budget.released.notified(), pending.idle.notified());
        tokio::pin!(released, idle);
        released.as_mut().enable();
        idle.as_mut().enable();
        if !budget.is_half_full() || pending.count() == 0 {
            return;
        }
        tokio::select! {
            () = released => {}
            () = idle => {}
        }
    }
}
