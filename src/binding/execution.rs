//! What `Execution` in JavaScript calls: functions of the number that it knows its buffer by.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::error::{rejected, thrown};
use super::executions::{number_of, with, with_mailbox};
use super::promise::promise;
use super::types::TimeoutOptions;
use crate::engine::{Execution, Handover};
use crate::error::{ErrorKind, Result};

/// What the functions throw: errors with the package's codes.
type Thrown = napi::Error<ErrorKind>;

/// The id of a run.
#[napi(js_name = "_executionId", catch_unwind, skip_typescript)]
pub fn execution_id(execution: u32) -> std::result::Result<String, Thrown> {
    let id = |execution: &Arc<Execution>| Ok(execution.log().info.execution_id.to_string());
    with(execution, id).map_err(|error| thrown(&error))
}

/// Begins a step; the answer is what `_recorder` knows it by.
#[napi(js_name = "_step", catch_unwind, skip_typescript)]
pub fn step(execution: u32, name: String) -> std::result::Result<f64, Thrown> {
    let step = with(execution, |execution| execution.step(&name));
    step.map(|step| number_of(execution, step)).map_err(|error| thrown(&error))
}

/// The completion hook; the answer is the number of calls that it handed over, or nothing while
/// that is not certain: `_takeCompletions` will have it, by the ticket.
#[napi(js_name = "_complete", catch_unwind, skip_typescript)]
pub fn complete(
    env: &Env,
    execution: u32,
    error: Option<String>,
    ticket: u32,
) -> napi::Result<Option<u32>> {
    hand_over(*env, execution, ticket, |execution| execution.complete(error))
}

/// Hands over what is recorded so far; the answer is as for `_complete`.
#[napi(js_name = "_flush", catch_unwind, skip_typescript)]
pub fn flush(env: &Env, execution: u32, ticket: u32) -> napi::Result<Option<u32>> {
    hand_over(*env, execution, ticket, Execution::flush)
}

/// Drops what is recorded and not handed over; the answer is the number of calls.
#[napi(js_name = "_discard", catch_unwind, skip_typescript)]
pub fn discard(execution: u32) -> std::result::Result<u32, Thrown> {
    let count = with(execution, |execution| execution.discard()).map_err(|error| thrown(&error))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Resolves when the execution is over and every delivery is terminal: all deliveries in call order.
#[napi(js_name = "_settled", catch_unwind, skip_typescript)]
pub fn settled(
    env: &Env,
    execution: u32,
    options: Option<TimeoutOptions>,
) -> napi::Result<Object<'_>> {
    let execution = with(execution, |execution| Ok(Arc::clone(execution)));
    let execution = execution.map_err(|error| rejected(*env, &error))?;
    let timeout = options.and_then(|options| options.duration());
    let runtime = execution.engine().runtime().clone();
    promise(env, &runtime, async move { execution.settled(timeout).await }, |_, text| Ok(text))
}

/// Brings the body of a call that could only be read asynchronously.
#[napi(js_name = "_fill", catch_unwind, skip_typescript)]
pub fn fill(
    execution: u32,
    index: u32,
    bytes: Option<Buffer>,
    reason: Option<String>,
) -> std::result::Result<(), Thrown> {
    let body = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes));
    let body = body.ok_or_else(|| reason.unwrap_or_default());
    let filled = with(execution, |execution| {
        execution.fill(index, body);
        Ok(())
    });
    filled.map_err(|error| thrown(&error))
}

fn hand_over(
    env: Env,
    execution: u32,
    ticket: u32,
    action: impl FnOnce(&Arc<Execution>) -> Result<Handover>,
) -> napi::Result<Option<u32>> {
    let handed = with_mailbox(execution, |execution, mailbox| {
        Ok(match action(execution)? {
            Handover::Done(recorded) => Some(u32::try_from(recorded).unwrap_or(u32::MAX)),
            Handover::Awaiting(handed) => {
                if let Some(mailbox) = mailbox {
                    mailbox.report(execution.engine().runtime(), ticket, handed);
                }
                None
            }
        })
    });
    handed.map_err(|error| rejected(env, &error))
}

/// A time limit from JavaScript's milliseconds: absent and infinite ones are none, and what is not
/// above 0 is over at once.
pub(super) fn limit(millis: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(millis?.max(0.0) / 1000.0).ok()
}
