//! Waits until an engine has no work, and ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Handle;
use crate::engine::{Engine, closed};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::metrics::Stats;

/// The time for which an engine whose last handle was lost drains before its journal keeps the rest.
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
    /// Calls of executions that were neither completed nor discarded: they were not handed over.
    pub open: usize,
}

impl Drained {
    /// Counts what was delivered when the end cut the rest off: an item of a batch that other items
    /// held up.
    fn after_end(self, engine: &Engine) -> Self {
        let delivered = engine.shared.observers.counters.delivered.load(Ordering::Relaxed);
        let late = usize::try_from(delivered - self.delivered).unwrap_or(usize::MAX);
        Self { delivered, pending: self.pending.saturating_sub(late), ..self }
    }
}

/// An execution that did not end, with calls that were not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExecution {
    /// The execution.
    pub execution_id: String,
    /// Its workflow.
    pub workflow_id: String,
    /// The number of calls.
    pub calls: usize,
}

/// Closes every batch, and waits until every delivery that was committed is terminal.
///
/// # Errors
/// `Timeout`, and `Closed` when the engine closes with work left.
pub(crate) async fn flush(engine: &Engine, timeout: Option<Duration>) -> Result<Stats> {
    let shared = &engine.shared;
    let _flushing = engine.lanes.batches.flush();
    let drained = async {
        tokio::select! {
            () = shared.pending.drained(|| 0) => {}
            () = shared.stage.ended() => {}
        }
        // What the closing engine gave up is not terminal, though nothing is counted any more.
        if shared.stage.is_cut_off() { Err(closed()) } else { Ok(engine.stats()) }
    };
    let Some(limit) = timeout else { return drained.await };
    tokio::time::timeout(limit, drained).await.unwrap_or_else(|_| {
        let (millis, pending) = (limit.as_millis(), shared.pending.count());
        let message = format!("after {millis} ms {pending} deliveries are not terminal");
        Err(Error::new(ErrorKind::Timeout, message))
    })
}

/// Closes every batch, waits until nothing is pending or the time is over, and counts.
async fn drain(engine: &Engine, timeout: Duration) -> Drained {
    let shared = &engine.shared;
    let _flushing = engine.lanes.batches.flush();
    let timeout = if shared.config.deliver { timeout } else { Duration::ZERO };
    let pending = &shared.pending;
    let drained = pending.drained(|| shared.resting() + pending.waiting_for_room());
    let in_time = tokio::time::timeout(timeout, drained).await.is_ok();
    let in_time = in_time && shared.resting() == 0;
    let counters = &shared.observers.counters;
    Drained {
        delivered: counters.delivered.load(Ordering::Relaxed),
        failed: counters.failed.load(Ordering::Relaxed),
        pending: if in_time { 0 } else { shared.pending_deliveries() },
        open: 0,
    }
}

/// Returns the executions that have recorded calls and did not end.
pub(crate) fn open_executions(engine: &Engine) -> Vec<OpenExecution> {
    let open = engine.intake.open_executions();
    let open = open.iter().map(|execution| OpenExecution {
        execution_id: execution.log().info.execution_id.to_string(),
        workflow_id: execution.log().info.workflow_id.to_string(),
        calls: execution.recorded_count(),
    });
    open.filter(|execution| execution.calls > 0).collect()
}

/// Warns of each execution whose calls were not committed. Returns the number of the calls.
fn warn_of_open_executions(engine: &Engine) -> usize {
    let open = open_executions(engine);
    for OpenExecution { execution_id, workflow_id, calls } in &open {
        let message = format!(
            "execution {execution_id} of workflow {workflow_id} was neither completed nor \
             discarded; calls that are not sent: {calls}. Call execution.complete()"
        );
        engine.shared.observers.warn("EXECUTION_OPEN", &message, Some(execution_id));
    }
    open.iter().map(|execution| execution.calls).sum()
}

/// Interrupts what is not done, and closes everything that belongs to the engine.
async fn end(engine: &Engine, drained: Drained) {
    let shared = &engine.shared;
    if drained.pending > 0 {
        shared.stage.cut_off();
        engine.lanes.abort().await;
        shared.interrupt_waiting();
    }
    close_server(engine).await;
    shared.destinations.close();
    shared.journal.close().await;
    shared.stage.end();
}

/// Lets followers of streams take what was published, and closes the server.
async fn close_server(engine: &Engine) {
    engine.streams.end();
    if let Some(server) = engine.lifecycle.server() {
        server.close().await;
    }
}

impl Handle {
    /// Drains until the deadline. The last handle closes the engine: it takes no more work, and
    /// interrupts what is left at the deadline.
    pub(super) async fn close_now(&self, timeout: Duration) -> Drained {
        let engine = self.engine();
        if !self.is_last() {
            return drain(engine, timeout).await;
        }
        let open = warn_of_open_executions(engine);
        let drained = Drained { open, ..drain(engine, timeout).await };
        end(engine, drained).await;
        drained.after_end(engine)
    }

    /// Returns the counts of a handle that was given back before.
    pub(super) async fn counts(&self) -> Drained {
        drain(self.engine(), Duration::ZERO).await
    }

    /// Gives back the handle in the background. The last one closes the server at once, everything
    /// else when the work is done. A durable journal keeps what is not done within
    /// [`UNATTENDED_DRAIN`]; without one there is no limit, because it would be lost.
    pub(super) fn abandon(&self) {
        if !self.is_last() {
            return;
        }
        let engine = Arc::clone(self.engine());
        self.engine().runtime().spawn(async move {
            close_server(&engine).await;
            let limit = if engine.is_durable() { UNATTENDED_DRAIN } else { Duration::MAX };
            let drained = drain(&engine, limit).await;
            end(&engine, drained).await;
        });
    }
}
