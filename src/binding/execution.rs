//! `Execution`: the buffer of one run, as JavaScript holds it.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Function, Object};
use napi_derive::napi;

use super::error::{rejected, thrown};
use super::promise::{parsed, promise};
use super::recorder::recorder;
use super::types::{CompleteOptions, CompletionReceipt, TimeoutOptions};
use crate::engine::{self, Receipt};
use crate::error::ErrorKind;

/// One run of one workflow: its steps record calls, and its completion hook hands them over.
/// Made by `engine.execution()`.
#[napi]
#[derive(Debug)]
pub struct Execution {
    inner: Arc<engine::Execution>,
}

impl Execution {
    pub(super) const fn new(inner: Arc<engine::Execution>) -> Self {
        Self { inner }
    }
}

#[napi]
impl Execution {
    /// The id of this run.
    #[napi(getter, catch_unwind)]
    pub fn execution_id(&self) -> &str {
        &self.inner.log().info.execution_id
    }

    /// The id of its workflow.
    #[napi(getter, catch_unwind)]
    pub fn workflow_id(&self) -> &str {
        &self.inner.log().info.workflow_id
    }

    /// The completion hook: hands over what was recorded, then the background delivers it. Nothing
    /// can be recorded from the moment of the call. Resolves when the calls are as durable as
    /// configured; never waits for the network.
    ///
    /// Rejects or throws `ERR_SEND_EXECUTION_COMPLETED`, `ERR_SEND_CLOSED`.
    #[napi(catch_unwind, ts_return_type = "Promise<CompletionReceipt>")]
    pub fn complete<'env>(
        &self,
        env: &'env Env,
        options: Option<CompleteOptions<'env>>,
    ) -> napi::Result<Object<'env>> {
        let error = options.and_then(|options| options.error_message());
        let handed = self.inner.complete(error).map_err(|error| rejected(*env, &error))?;
        promise(env, self.inner.engine().runtime(), handed, receipt)
    }

    /// Hands over what is recorded so far, for a run that suspends or delays; the execution goes
    /// on. Otherwise as `complete()`.
    #[napi(catch_unwind, ts_return_type = "Promise<CompletionReceipt>")]
    pub fn flush<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let handed = self.inner.flush().map_err(|error| rejected(*env, &error))?;
        promise(env, self.inner.engine().runtime(), handed, receipt)
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

    /// The function that records the calls of one step.
    #[napi(js_name = "_recorder", catch_unwind, skip_typescript)]
    pub fn recorder<'env>(
        &self,
        env: &'env Env,
        step: String,
    ) -> napi::Result<Function<'env, (), u32>> {
        self.inner.check_open().map_err(|error| rejected(*env, &error))?;
        recorder(env, Arc::clone(&self.inner), &step)
    }

    /// Brings the body of a call that could only be read asynchronously.
    #[napi(js_name = "_fill", catch_unwind, skip_typescript)]
    pub fn fill(&self, index: u32, bytes: Option<Buffer>, reason: Option<String>) {
        let body = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes));
        self.inner.fill(index, body.ok_or_else(|| reason.unwrap_or_default()));
    }

    /// Whether warnings throw.
    #[napi(getter, js_name = "_strict", catch_unwind, skip_typescript)]
    pub fn strict(&self) -> bool {
        self.inner.engine().config().strict
    }

    /// Bytes that one call may have.
    #[napi(getter, js_name = "_maxPayloadBytes", catch_unwind, skip_typescript)]
    pub fn max_payload_bytes(&self) -> f64 {
        to_f64(self.inner.engine().config().max_payload_bytes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
const fn to_f64(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a promise's conversion")]
fn receipt(_env: Env, receipt: Receipt) -> napi::Result<CompletionReceipt> {
    Ok(receipt.into())
}

/// A time limit from JavaScript's milliseconds; absent, infinite and unreasonable ones are none.
pub(super) fn limit(millis: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(millis? / 1000.0).ok()
}
