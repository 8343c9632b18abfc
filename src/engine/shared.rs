//! The ground of one engine: the parts that all its rooms share. It knows none of the rooms.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::alerts::Alerts;
use super::forward::Forwards;
use super::intake::Budget;
use super::lanes::{Pauses, Services};
use super::pending::Pending;
use super::stage::Stage;
use crate::config::Config;
use crate::destinations::DestinationRegistry;
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
        // A replay that waits for memory counts as work itself.
        let resting = || self.services.waiting() + self.budget.producers();
        self.pending.end(work, || if self.pauses.any() { usize::MAX } else { resting() });
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

/// Work that the engine waits for, from its beginning to wherever this is dropped.
pub(crate) struct PendingGuard(Arc<SharedParts>);

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.0.end(1);
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
