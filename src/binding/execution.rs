//! `Execution`: the buffer of one run, as JavaScript holds it.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::completions::answer_later;
use super::error::{rejected, thrown};
use super::promise::{parsed, promise};
use super::recorder::Registration;
use super::types::TimeoutOptions;
use crate::engine::{self, Handover};
use crate::error::ErrorKind;

/// One run of one workflow: its steps record calls, and its completion hook hands them over.
/// Made by `engine.execution()`.
#[napi]
#[derive(Debug)]
pub struct Execution {
    inner: Arc<engine::Execution>,
    registration: Registration,
}

impl Execution {
    pub(super) fn new(inner: Arc<engine::Execution>) -> Self {
        let registration = Registration::new(&inner);
        Self { inner, registration }
    }
}

#[napi]
impl Execution {
    /// The id of this run.
    #[napi(getter, catch_unwind)]
    #[must_use]
    pub fn execution_id(&self) -> &str {
        &self.inner.log().info.execution_id
    }

    /// The id of its workflow.
    #[napi(getter, catch_unwind)]
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        &self.inner.log().info.workflow_id
    }

    /// The completion hook: hands over what was recorded, then the background delivers it. Nothing
    /// can be recorded from the moment of the call. Resolves when the calls are as durable as
    /// configured; never waits for the network.
    ///
    /// Rejects with `ERR_SEND_EXECUTION_COMPLETED`, `ERR_SEND_CLOSED`; and with
    /// `ERR_SEND_JOURNAL_FULL` or `ERR_SEND_JOURNAL` when the data directory cannot take the calls.
    /// Then none of them is handed over, and the execution is open as before: it can be completed
    /// again.
    #[napi(
        catch_unwind,
        writable = true,
        configurable = true,
        ts_args_type = "options?: CompleteOptions",
        ts_return_type = "Promise<CompletionReceipt>"
    )]
    pub fn complete(
        &self,
        env: &Env,
        error: Option<String>,
        ticket: u32,
    ) -> napi::Result<Option<u32>> {
        let handed = self.inner.complete(error).map_err(|error| rejected(*env, &error))?;
        Ok(self.answer(ticket, handed))
    }

    /// Hands over what is recorded so far, for a run that suspends or delays; the execution goes
    /// on. Otherwise as `complete()`.
    #[napi(
        catch_unwind,
        writable = true,
        configurable = true,
        ts_args_type = "",
        ts_return_type = "Promise<CompletionReceipt>"
    )]
    pub fn flush(&self, env: &Env, ticket: u32) -> napi::Result<Option<u32>> {
        let handed = self.inner.flush().map_err(|error| rejected(*env, &error))?;
        Ok(self.answer(ticket, handed))
    }

    /// Drops what is recorded and not handed over; the log keeps it as `discarded`. The answer is
    /// the number of calls. An execution that is garbage-collected before its end does the same
    /// and emits a `warning`.
    ///
    /// Throws `ERR_SEND_EXECUTION_COMPLETED`.
    #[napi(catch_unwind)]
    pub fn discard(&self) -> Result<u32, napi::Error<ErrorKind>> {
        let count = self.inner.discard().map_err(|error| thrown(&error))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Resolves when the execution is over and every delivery is terminal: all deliveries in call
    /// order.
    ///
    /// Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs`; without it, waits as long as it takes.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Delivery>>")]
    pub fn settled<'env>(
        &self,
        env: &'env Env,
        options: Option<TimeoutOptions>,
    ) -> napi::Result<Object<'env>> {
        let inner = Arc::clone(&self.inner);
        let timeout = options.and_then(|options| options.duration());
        let settled = async move { inner.settled(timeout).await };
        promise(env, self.inner.engine().runtime(), settled, parsed)
    }

    /// Begins a step; the answer is what `_record` knows it by.
    #[napi(js_name = "_step", catch_unwind, skip_typescript)]
    pub fn step(&self, name: String) -> Result<f64, napi::Error<ErrorKind>> {
        let step = self.inner.step(&name).map_err(|error| thrown(&error))?;
        Ok(self.registration.step(step))
    }

    /// Bytes that one call may have.
    #[napi(getter, js_name = "_maxPayloadBytes", catch_unwind, skip_typescript)]
    #[must_use]
    pub fn max_payload_bytes(&self) -> f64 {
        to_f64(self.inner.engine().config().max_payload_bytes)
    }

    /// Brings the body of a call that could only be read asynchronously.
    #[napi(js_name = "_fill", catch_unwind, skip_typescript)]
    pub fn fill(&self, index: u32, bytes: Option<Buffer>, reason: Option<String>) {
        let body = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes));
        self.inner.fill(index, body.ok_or_else(|| reason.unwrap_or_default()));
    }

    /// The number of calls of a hand-over that is done; nothing of one that will be: JavaScript
    /// learns of it by its ticket.
    fn answer(&self, ticket: u32, handed: Handover) -> Option<u32> {
        match handed {
            Handover::Done(recorded) => Some(u32::try_from(recorded).unwrap_or(u32::MAX)),
            Handover::Awaiting(handed) => {
                answer_later(self.inner.engine().runtime(), ticket, handed);
                None
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
const fn to_f64(limit: usize) -> f64 {
    limit as f64
}

impl Drop for Execution {
    /// JavaScript's handle is gone, and with it whoever could read a body.
    fn drop(&mut self) {
        self.inner.give_up_bodies();
    }
}

/// A time limit from JavaScript's milliseconds: absent and infinite ones are none, and what is not
/// above 0 is over at once.
pub(super) fn limit(millis: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(millis?.max(0.0) / 1000.0).ok()
}
