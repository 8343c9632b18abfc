//! The ground of one engine: the parts that all its rooms share. It knows none of the rooms.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::alerts::Alerts;
use super::closed;
use super::forward::Forwards;
use super::intake::Budget;
use super::lanes::{Pauses, Services};
use crate::config::Config;
use crate::destinations::DestinationRegistry;
use crate::error::Result;
use crate::journal::Journal;
use crate::observability::changes::Changes;
use crate::observability::events::{Events, Topic, Warning};
use crate::observability::metrics::Counters;

/// What every room of an engine works with. Its only actions are those of `settlement.rs`.
#[derive(Debug)]
pub(crate) struct SharedParts {
    pub(crate) config: Config,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) destinations: Arc<DestinationRegistry>,
    pub(crate) services: Services,
    pub(crate) pauses: Pauses,
    pub(crate) observers: Observers,
    pub(crate) budget: Budget,
    pub(crate) pending: Pending,
    pub(crate) stage: Stage,
    pub(crate) tasks: Tasks,
    pub(crate) alerts: Alerts,
    /// The way to the destination of dead letters, if there is one.
    pub(crate) forwards: Option<Forwards>,
    /// The version of the registrations that were read from a fleet's journal. Held while they change, or
    /// are read.
    pub(crate) registrations: tokio::sync::Mutex<u64>,
}

impl SharedParts {
    /// Returns the number of deliveries that are not terminal, those on disk alone included.
    pub(crate) fn pending_deliveries(&self) -> usize {
        let backlog = self.journal.backlog();
        // While there is a backlog, the work of bringing it in counts as one.
        self.pending.count().saturating_sub(usize::from(backlog > 0)) + backlog
    }

    /// Returns the number of calls that only a change by the operator lets be attempted: those that
    /// wait for their service or are paused.
    pub(crate) fn resting(&self) -> usize {
        self.services.waiting() + self.pauses.waiting(|lane| self.journal.waiting(lane))
    }

    /// Counts work that is over, and wakes those who wait for the last of it.
    pub(crate) fn end(&self, work: usize) {
        let left = self.pending.count.fetch_sub(work, Ordering::AcqRel) - work;
        // A replay that waits for memory counts as work itself.
        let resting = self.services.waiting() + self.budget.producers();
        if left <= resting || self.pauses.any() {
            self.pending.idle.notify_waiters();
        }
    }

    /// Counts work until the returned guard is dropped.
    pub(crate) fn begin_work(self: &Arc<Self>) -> PendingGuard {
        self.pending.begin(1);
        PendingGuard(Arc::clone(self))
    }
}

/// Those who are told of what happens, and the figures of it.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    pub(crate) events: Arc<Events>,
    /// The changes of the log, for those who show it.
    pub(crate) changes: Arc<Changes>,
    pub(crate) counters: Counters,
}

impl Observers {
    /// Publishes a warning.
    pub(crate) fn warn(&self, code: &'static str, message: &str, execution_id: Option<&str>) {
        self.events.emit(Topic::Warning, || Warning { code, message, execution_id });
    }
}

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

    /// Counts work that [`SharedParts::end`] ends.
    pub(crate) fn begin(&self, work: usize) {
        self.count.fetch_add(work, Ordering::AcqRel);
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

/// Work that the engine waits for, from its beginning to wherever this is dropped.
pub(crate) struct PendingGuard(Arc<SharedParts>);

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.0.end(1);
    }
}

/// How far an engine is on the way to its end.
#[derive(Debug)]
pub(crate) struct Stage {
    closed: AtomicBool,
    /// The closing deadline has passed: what is still committed is interrupted.
    cut_off: AtomicBool,
    /// `true` once everything that belongs to the engine is closed.
    ended: watch::Sender<bool>,
}

impl Default for Stage {
    fn default() -> Self {
        let (closed, cut_off) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { closed, cut_off, ended: watch::Sender::new(false) }
    }
}

impl Stage {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses work once the engine takes no more.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Acquire)
    }

    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until everything is closed.
    pub(crate) async fn ended(&self) {
        // The sender is in `self`: it cannot go away meanwhile.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// The tasks of an engine. They are aborted when its time is over.
#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) runtime: Handle,
    running: Mutex<JoinSet<()>>,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, running: Mutex::default() }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running();
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &self.runtime);
    }

    /// Stops every task where it is, and waits until it has stopped.
    pub(crate) async fn abort(&self) {
        let mut running = std::mem::take(&mut *self.running());
        running.shutdown().await;
    }

    fn running(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
