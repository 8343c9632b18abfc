//! The mailbox of a handle: completion hooks that a durable journal made wait, and the events that
//! its listeners want. One weak callback wakes the JavaScript thread for both.
//!
//! A promise of Node-API costs a handle of the event loop, which is more than all else that
//! completing an execution takes on the JavaScript thread. Here JavaScript makes the promise and
//! names it by a ticket; when hooks are done, one call says so for all of them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use tokio::runtime::Handle;

use crate::engine::Receipt;
use crate::error::{Error, Result};
use crate::observability::events::Subscription;

/// What waits for the JavaScript of one handle.
pub(super) struct Mailbox {
    completions: Mutex<Completions>,
    events: Arc<Subscription>,
    wake: Wake,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Completions {
    done: Vec<(u32, Result<Receipt>)>,
    /// Why hooks were refused, until JavaScript asks.
    refusals: HashMap<u32, Error>,
}

impl Mailbox {
    /// A mailbox that calls `wake` on the JavaScript thread when something waits. The callback is
    /// weak: it never keeps the process alive.
    pub(super) fn new(wake: &Function<'_, (), ()>) -> napi::Result<Arc<Self>> {
        let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
        let wake: Wake = Arc::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let also = Arc::clone(&wake);
        let events = Subscription::new(Box::new(move || also()));
        Ok(Arc::new(Self { completions: Mutex::default(), events, wake }))
    }

    /// The events that wait.
    pub(super) const fn events(&self) -> &Arc<Subscription> {
        &self.events
    }

    /// Reports the result of a hand-over under this ticket when it is there.
    pub(super) fn report(
        self: &Arc<Self>,
        runtime: &Handle,
        ticket: u32,
        handed: impl Future<Output = Result<Receipt>> + Send + 'static,
    ) {
        let mailbox = Arc::clone(self);
        runtime.spawn(async move {
            let result = handed.await;
            mailbox.put(ticket, result);
        });
    }

    fn put(&self, ticket: u32, result: Result<Receipt>) {
        let mut completions = self.completions();
        completions.done.push((ticket, result));
        let first = completions.done.len() == 1;
        drop(completions);
        if first {
            (self.wake)();
        }
    }

    /// Takes the hooks that are done: for each its ticket, the calls that it handed over, and 1 if
    /// they survive the process or else 0. The calls of a refused one are -1.
    pub(super) fn take(&self) -> Vec<f64> {
        let mut completions = self.completions();
        let done = std::mem::take(&mut completions.done);
        let mut taken = Vec::with_capacity(3 * done.len());
        for (ticket, result) in done {
            let (recorded, durable) = match result {
                Ok(receipt) => (count(receipt.recorded), f64::from(u8::from(receipt.durable))),
                Err(refusal) => {
                    completions.refusals.insert(ticket, refusal);
                    (-1.0, 0.0)
                }
            };
            taken.extend([f64::from(ticket), recorded, durable]);
        }
        taken
    }

    /// Takes the reason why the hook with this ticket was refused.
    pub(super) fn refusal(&self, ticket: u32) -> Option<Error> {
        self.completions().refusals.remove(&ticket)
    }

    fn completions(&self) -> MutexGuard<'_, Completions> {
        self.completions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no execution has 2^53 calls")]
const fn count(calls: usize) -> f64 {
    calls as f64
}
