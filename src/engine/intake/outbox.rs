//! The commits of one execution on their way to the journal, in order.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Execution;
use super::commit::CountedCalls;
use crate::engine::closed;
use crate::error::{Error, Result};
use crate::journal::Completion;
use crate::recording::Calls;

/// The commits that wait, and whose turn it is to append one. They are queued while the recording is locked,
/// so that a refusal finds all that were taken from it.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Outgoing>>,
    turn: tokio::sync::Mutex<()>,
}

/// A commit on its way to the journal.
#[derive(Debug)]
struct Outgoing {
    calls: Calls,
    completion: Completion,
    counted: CountedCalls,
    done: oneshot::Sender<Result<()>>,
}

impl Outbox {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Outgoing>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses all commits that wait, because the one before them was. Returns what they have, in order.
    pub(super) fn refuse_all(&self, error: &Error) -> Vec<(Calls, Completion)> {
        let refuse = |outgoing| {
            let Outgoing { calls, completion, counted, done } = outgoing;
            drop(counted);
            let message = format!("the calls before these could not be handed over: {error}");
            // Its owner waits, unless it was dropped with its engine.
            let _ = done.send(Err(Error::new(error.kind(), message)));
            (calls, completion)
        };
        self.waiting().drain(..).map(refuse).collect()
    }
}

impl Execution {
    /// Queues a commit behind those before it. Resolves when the journal has it. Each one appends the
    /// oldest that waits, so that a flush is never overtaken by the completion after it.
    pub(super) fn enqueue_commit(
        self: &Arc<Self>,
        calls: Calls,
        completion: Completion,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        let counted = CountedCalls::new(self.shared(), calls.len(), &completion);
        let outgoing = Outgoing { calls, completion, counted, done };
        self.outbox.waiting().push_back(outgoing);
        let execution = Arc::clone(self);
        async move {
            let turn = execution.outbox.turn.lock().await;
            let next = execution.outbox.waiting().pop_front();
            if let Some(Outgoing { calls, completion, counted, done }) = next {
                // Its owner waits below, unless it was dropped with its engine.
                let _ = done.send(execution.commit(calls, completion, counted).await);
            }
            drop(turn);
            outcome.await.unwrap_or_else(|_| Err(closed()))
        }
    }
}
