//! The way of calls into the journal: executions, the budget of memory, commits and replays.

mod budget;
mod commit;
mod error_event;
mod execution;
mod follow_up;
mod outbox;
mod replay;
mod replay_runs;

pub use execution::{Execution, Handover, Receipt, Run};
pub use replay::{Replay, ReplayPlan, Replayed, Skipped};
pub use replay_runs::{ReplayRequest, ReplayRun, ReplayView};

pub(crate) use budget::{Budget, ready};
pub(crate) use follow_up::{commit_call, commit_calls, not_committed};
pub(crate) use replay::Replays;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::execution::OpenBuffer;

/// The open executions of one engine.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    executions: Mutex<HashMap<u64, Weak<Execution>>>,
    /// Held (shared) by commits in progress. Queries of the log take it exclusively, so that they see
    /// everything that a resolved completion hook promised.
    committing: Arc<RwLock<()>>,
}

impl Intake {
    fn add(&self, execution: &Arc<Execution>) {
        self.executions().insert(execution.log().serial(), Arc::downgrade(execution));
    }

    fn remove(&self, execution: &Execution) {
        self.executions().remove(&execution.log().serial());
    }

    /// Returns the executions that are neither completed nor discarded.
    pub(crate) fn open_executions(&self) -> Vec<Arc<Execution>> {
        self.executions().values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the calls of open executions, after the commits in progress.
    pub(crate) async fn open_buffers(&self) -> Vec<OpenBuffer> {
        drop(self.committing.write().await);
        let open = self.open_executions();
        open.iter().map(|execution| (Arc::clone(execution.log()), execution.recorded())).collect()
    }

    /// `None`: a query is waiting for the commits before this one.
    fn begin_commit(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.committing).try_read_owned().ok()
    }

    fn executions(&self) -> MutexGuard<'_, HashMap<u64, Weak<Execution>>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
