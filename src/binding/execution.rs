//! The functions behind `Execution` in JavaScript, which take the number of its buffer.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::engine::Thrown;
use super::error::{to_js_error, to_napi_error};
use super::executions::{step_id, with_execution, with_mailbox};
use super::promise::promise;
use super::types::TimeoutOptions;
use crate::engine::{Execution, Handover};
use crate::error::Result;

/// Returns the id of a run.
#[napi(js_name = "_executionId", catch_unwind, skip_typescript)]
pub fn execution_id(execution: u32) -> std::result::Result<String, Thrown> {
    let id = |execution: &Arc<Execution>| Ok(execution.log().info.execution_id.to_string());
    with_execution(execution, id).map_err(|error| to_napi_error(&error))
}

/// Begins a step. Returns its id for `_recorder`.
#[napi(js_name = "_step", catch_unwind, skip_typescript)]
pub fn step(execution: u32, name: String) -> std::result::Result<f64, Thrown> {
    let step = with_execution(execution, |execution| execution.step(&name));
    step.map(|step| step_id(execution, step)).map_err(|error| to_napi_error(&error))
}

/// Completes the execution. Returns the number of calls handed over, or nothing while the journal has not
/// stored them: `_takeCompletions` returns it later, by the ticket.
#[napi(js_name = "_complete", catch_unwind, skip_typescript)]
pub fn complete(
    env: &Env,
    execution: u32,
    error: Option<String>,
    ticket: u32,
) -> napi::Result<Option<u32>> {
    hand_over(*env, execution, ticket, |execution| execution.complete(error))
}

/// Keeps the details of the error that the execution will be completed with: JSON with `code`,
/// `stack`, `cellId`, `event` and `context`.
#[napi(js_name = "_describeError", catch_unwind, skip_typescript)]
pub fn describe_error(execution: u32, details: String) -> std::result::Result<(), Thrown> {
    let described = with_execution(execution, |execution| {
        execution.describe_error(details);
        Ok(())
    });
    described.map_err(|error| to_napi_error(&error))
}

/// Keeps the text that the execution will be completed with.
#[napi(js_name = "_describeEnd", catch_unwind, skip_typescript)]
pub fn describe_end(execution: u32, message: String) -> std::result::Result<(), Thrown> {
    let described = with_execution(execution, |execution| {
        execution.describe_end(message);
        Ok(())
    });
    described.map_err(|error| to_napi_error(&error))
}

/// Hands over the calls recorded so far. Returns the same as `_complete`.
#[napi(js_name = "_flush", catch_unwind, skip_typescript)]
pub fn flush(env: &Env, execution: u32, ticket: u32) -> napi::Result<Option<u32>> {
    hand_over(*env, execution, ticket, Execution::flush)
}

/// Discards the calls that are not handed over. Returns their number.
#[napi(js_name = "_discard", catch_unwind, skip_typescript)]
pub fn discard(execution: u32) -> std::result::Result<u32, Thrown> {
    let count = with_execution(execution, |execution| execution.discard())
        .map_err(|error| to_napi_error(&error))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Resolves to all deliveries, in call order, when the execution is over and all are terminal.
#[napi(js_name = "_settled", catch_unwind, skip_typescript)]
pub fn settled(
    env: &Env,
    execution: u32,
    options: Option<TimeoutOptions>,
) -> napi::Result<Object<'_>> {
    let execution = with_execution(execution, |execution| Ok(Arc::clone(execution)));
    let execution = execution.map_err(|error| to_js_error(*env, &error))?;
    let timeout = options.and_then(|options| options.duration());
    let runtime = execution.engine().runtime().clone();
    promise(env, &runtime, async move { execution.settled(timeout).await }, |_, text| Ok(text))
}

/// Adds the body of a call that could only be read asynchronously.
#[napi(js_name = "_fill", catch_unwind, skip_typescript)]
pub fn fill(
    execution: u32,
    index: u32,
    bytes: Option<Buffer>,
    reason: Option<String>,
) -> std::result::Result<(), Thrown> {
    let body = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes));
    let body = body.ok_or_else(|| reason.unwrap_or_default());
    let filled = with_execution(execution, |execution| {
        execution.fill(index, body);
        Ok(())
    });
    filled.map_err(|error| to_napi_error(&error))
}

fn hand_over(
    env: Env,
    execution: u32,
    ticket: u32,
    action: impl FnOnce(&Arc<Execution>) -> Result<Handover>,
) -> napi::Result<Option<u32>> {
    let handed = with_mailbox(execution, |execution, mailbox| {
        Ok(match action(execution)? {
            Handover::Committed(recorded) => Some(u32::try_from(recorded).unwrap_or(u32::MAX)),
            Handover::Committing(handed) => {
                if let Some(mailbox) = mailbox {
                    mailbox.report(execution.engine().runtime(), ticket, handed);
                }
                None
            }
        })
    });
    handed.map_err(|error| to_js_error(env, &error))
}

/// Converts a time limit from milliseconds: absent and infinite ones are no limit, and one that is not
/// above 0 expires at once.
pub(super) fn limit(millis: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(millis?.max(0.0) / 1000.0).ok()
}
