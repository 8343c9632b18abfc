//! The completion hooks that are done and that JavaScript has not taken yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::Receipt;
use crate::error::{Error, Result};

/// The results of hooks by their tickets.
#[derive(Default)]
pub(super) struct Completions(Mutex<DoneHooks>);

#[derive(Default)]
struct DoneHooks {
    done: Vec<(u32, Result<Receipt>)>,
    /// The refusals of hooks, until JavaScript takes them.
    refusals: HashMap<u32, Error>,
}

impl Completions {
    /// Adds a result. Returns `true` for the first that waits: JavaScript is to be woken.
    pub(super) fn put(&self, ticket: u32, result: Result<Receipt>) -> bool {
        let mut waiting = self.waiting();
        waiting.done.push((ticket, result));
        waiting.done.len() == 1
    }

    /// Takes the hooks that are done: for each its ticket, the calls that it handed over, and 1 if
    /// they survive the process or else 0. The calls of a refused one are -1.
    pub(super) fn take(&self) -> Vec<f64> {
        let mut waiting = self.waiting();
        let done = std::mem::take(&mut waiting.done);
        let mut taken = Vec::with_capacity(3 * done.len());
        for (ticket, result) in done {
            let (recorded, durable) = match result {
                Ok(receipt) => (count(receipt.recorded), f64::from(u8::from(receipt.durable))),
                Err(refusal) => {
                    waiting.refusals.insert(ticket, refusal);
                    (-1.0, 0.0)
                }
            };
            taken.extend([f64::from(ticket), recorded, durable]);
        }
        taken
    }

    /// Takes the refusal of the hook with this ticket.
    pub(super) fn refusal(&self, ticket: u32) -> Option<Error> {
        self.waiting().refusals.remove(&ticket)
    }

    fn waiting(&self) -> MutexGuard<'_, DoneHooks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no execution has 2^53 calls")]
const fn count(calls: usize) -> f64 {
    calls as f64
}
