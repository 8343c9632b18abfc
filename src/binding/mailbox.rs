//! The mailbox of a handle: the completion hooks that waited for a durable journal, and the events of
//! its listeners. One weak callback wakes the JavaScript thread for both.
//!
//! A promise of Node-API costs a handle of the event loop, which is more than all else that
//! completing an execution takes on the JavaScript thread. Here JavaScript makes the promise and
//! numbers it with a ticket; when hooks are done, one call returns all their results.

use std::future::Future;
use std::sync::Arc;

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use tokio::runtime::Handle;

use super::completions::Completions;
use crate::engine::Receipt;
use crate::error::{Error, Result};
use crate::jobs::JobChannel;
use crate::observability::events::Subscriber;

/// The results and events that wait for the JavaScript of one handle.
pub(super) struct HandleMailbox {
    completions: Completions,
    events: Arc<Subscriber>,
    jobs: JobChannel,
    wake: Wake,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

impl HandleMailbox {
    /// A mailbox that calls `wake` on the JavaScript thread when something waits. The callback is
    /// weak: it never keeps the process alive.
    pub(super) fn new(wake: &Function<'_, (), ()>) -> napi::Result<Arc<Self>> {
        let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
        let wake: Wake = Arc::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let also = || {
            let wake = Arc::clone(&wake);
            Box::new(move || wake())
        };
        let (events, jobs) = (Subscriber::new(also()), JobChannel::new(also()));
        Ok(Arc::new(Self { completions: Completions::default(), events, jobs, wake }))
    }

    /// The jobs that wait.
    pub(super) const fn jobs(&self) -> &JobChannel {
        &self.jobs
    }

    /// Takes the next part of the jobs or else of the events that wait, as a JSON array of pairs.
    /// Each of the two wakes JavaScript for itself, so that one never hides the other.
    pub(super) fn take_events(&self) -> Option<String> {
        self.jobs.take().or_else(|| self.events.take())
    }

    /// Returns the subscriber to events.
    pub(super) const fn events(&self) -> &Arc<Subscriber> {
        &self.events
    }

    /// Stores the result of a hand-over under this ticket when it is known.
    pub(super) fn report(
        self: &Arc<Self>,
        runtime: &Handle,
        ticket: u32,
        handed: impl Future<Output = Result<Receipt>> + Send + 'static,
    ) {
        let mailbox = Arc::clone(self);
        runtime.spawn(async move {
            let result = handed.await;
            if mailbox.completions.put(ticket, result) {
                (mailbox.wake)();
            }
        });
    }

    /// Takes the hooks that are done, see [`Completions::take`].
    pub(super) fn take(&self) -> Vec<f64> {
        self.completions.take()
    }

    /// Takes the refusal of the hook with this ticket.
    pub(super) fn refusal(&self, ticket: u32) -> Option<Error> {
        self.completions.refusal(ticket)
    }
}
