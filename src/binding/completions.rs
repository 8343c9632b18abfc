//! Completion hooks that a durable journal makes wait, answered many at a time.
//!
//! A promise of Node-API costs a handle of the event loop, which is more than all else that
//! completing an execution takes on the JavaScript thread. Here JavaScript makes the promise and
//! names it by a ticket; when hooks are done, one call says so for all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::Env;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use tokio::runtime::Handle;

use super::error::rejected;
use crate::engine::Receipt;
use crate::error::{Error, Result};

thread_local! {
    /// The hooks of this JavaScript thread.
    static HOOKS: RefCell<Hooks> = RefCell::default();
}

#[derive(Default)]
struct Hooks {
    mailbox: Option<Arc<Mailbox>>,
    /// Why hooks were refused, until JavaScript asks.
    refusals: HashMap<u32, Error>,
}

/// The hooks of one JavaScript thread that are done and that it does not know of yet.
struct Mailbox {
    done: Mutex<Vec<(u32, Result<Receipt>)>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Mailbox {
    fn put(&self, ticket: u32, result: Result<Receipt>) {
        let mut done = self.done();
        done.push((ticket, result));
        let first = done.len() == 1;
        drop(done);
        if first {
            (self.wake)();
        }
    }

    fn done(&self) -> MutexGuard<'_, Vec<(u32, Result<Receipt>)>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that JavaScript learns under this ticket what becomes of a hand-over.
pub(super) fn answer_later(
    runtime: &Handle,
    ticket: u32,
    handed: impl Future<Output = Result<Receipt>> + Send + 'static,
) {
    let mailbox = HOOKS.with_borrow(|hooks| hooks.mailbox.clone());
    runtime.spawn(async move {
        let result = handed.await;
        if let Some(mailbox) = mailbox {
            mailbox.put(ticket, result);
        }
    });
}

/// Says what to call on this thread when hooks are done.
#[napi(js_name = "_completions", catch_unwind, skip_typescript)]
pub fn completions(wake: Function<'_, (), ()>) -> napi::Result<()> {
    // Weak: JavaScript keeps the process alive as long as it waits.
    let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
    let mailbox = Arc::new(Mailbox {
        done: Mutex::default(),
        wake: Box::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }),
    });
    HOOKS.with_borrow_mut(|hooks| hooks.mailbox = Some(mailbox));
    Ok(())
}

/// The hooks that are done: for each its ticket, the calls that it handed over, and 1 if they
/// survive the process or else 0. Of one that was refused the calls are -1.
#[napi(js_name = "_takeCompletions", catch_unwind, skip_typescript)]
#[must_use]
pub fn take_completions() -> Vec<f64> {
    HOOKS.with_borrow_mut(|hooks| {
        let Some(mailbox) = &hooks.mailbox else { return Vec::new() };
        let done = std::mem::take(&mut *mailbox.done());
        let mut answers = Vec::with_capacity(3 * done.len());
        for (ticket, result) in done {
            let (recorded, durable) = match result {
                Ok(receipt) => (count(receipt.recorded), f64::from(u8::from(receipt.durable))),
                Err(refusal) => {
                    hooks.refusals.insert(ticket, refusal);
                    (-1.0, 0.0)
                }
            };
            answers.extend([f64::from(ticket), recorded, durable]);
        }
        answers
    })
}

#[expect(clippy::cast_precision_loss, reason = "no execution has 2^53 calls")]
const fn count(calls: usize) -> f64 {
    calls as f64
}

/// Throws why the hook with this ticket was refused.
#[napi(js_name = "_throwRefusal", catch_unwind, skip_typescript)]
pub fn throw_refusal(env: &Env, ticket: u32) -> napi::Result<()> {
    let refusal = HOOKS.with_borrow_mut(|hooks| hooks.refusals.remove(&ticket));
    refusal.map_or(Ok(()), |refusal| Err(rejected(*env, &refusal)))
}
