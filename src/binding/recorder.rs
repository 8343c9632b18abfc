//! The functions that `$send` hands its snapshots to.
//!
//! Every call of every step passes here, so its cost is the product's cost on the JavaScript thread. A
//! closure with a number for the step is the cheapest form: an exported function, a class method or an
//! external value costs 0.1 to 0.2 µs more for each call, a closure for each step 2 µs more for each
//! step.

use napi::bindgen_prelude::{Buffer, Float64Array, Function, Object};
use napi::{Env, JsString};
use napi_derive::napi;

use super::error::to_js_error;
use super::executions::{split_step_id, with_execution};
use super::text::utf8;
use crate::delivery::{Body, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::recording::{BodyArrival, Extra};

/// Returns the function that records a call which is text alone: `record(text)`. `target` holds the
/// call's step and the destination's number. It returns `false`, and records nothing, when the text
/// is too large: that may be because of a key that the destination does not read.
///
/// One closure for each thread: the code that the macros wrap around a function costs more than
/// recording.
#[napi(js_name = "_recorder", catch_unwind, skip_typescript)]
pub fn recorder(env: &Env, target: Float64Array) -> napi::Result<Function<'_, (), bool>> {
    env.create_function_from_closure("record", move |context| {
        let (step, kind) = call_on(&target);
        let text = utf8(*context.env, context.get::<JsString<'_>>(0)?)?;
        match add(step, kind, text, None) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PayloadTooLarge => Ok(false),
            Err(error) => Err(to_js_error(Env::from_raw(context.env.raw()), &error)),
        }
    })
}

/// Returns the step and the destination's number of the call that is being recorded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript wrote whole numbers; of any other the nearest is as wrong"
)]
fn call_on(target: &[f64]) -> (f64, u32) {
    let at = |place: usize| target.get(place).copied().unwrap_or(f64::NAN);
    (at(0), at(1) as u32)
}

/// Records a call with the parts that its text cannot hold: `{ warnings, bytes, contentType, later }`.
/// Returns the call's index. With `later` the bytes follow through `_fill`.
#[napi(js_name = "_recordWith", catch_unwind, skip_typescript)]
pub fn record_with(
    env: &Env,
    step: f64,
    kind: u32,
    text: JsString<'_>,
    extras: Object<'_>,
) -> napi::Result<u32> {
    let extra = extra(&extras)?;
    add(step, kind, utf8(*env, text)?, Some(extra)).map_err(|error| to_js_error(*env, &error))
}

fn add(step: f64, kind: u32, text: Vec<u8>, extra: Option<Box<Extra>>) -> Result<u32> {
    let kind = kind_of(kind)?;
    let (execution, step) = split_step_id(step);
    with_execution(execution, |execution| execution.record(kind, step, text, extra))
}

/// Logs a call that was made after the end of its execution as discarded.
#[napi(js_name = "_logLate", catch_unwind, skip_typescript)]
pub fn log_late(env: &Env, step: f64, kind: u32, text: JsString<'_>) -> napi::Result<()> {
    let (execution, step) = split_step_id(step);
    let text = utf8(*env, text)?;
    let logged = kind_of(kind).and_then(|kind| {
        with_execution(execution, |execution| execution.log_late(kind, step, text))
    });
    logged.map_err(|error| to_js_error(*env, &error))
}

fn kind_of(number: u32) -> Result<Kind> {
    let unknown = || Error::new(ErrorKind::InvalidArgument, "there is no such destination");
    Kind::from_number(number).ok_or_else(unknown)
}

fn extra(extras: &Object<'_>) -> napi::Result<Box<Extra>> {
    let warnings = extras.get::<Vec<String>>("warnings")?.unwrap_or_default();
    let content_type = extras.get::<String>("contentType")?.map(String::into_boxed_str);
    let bytes = extras.get::<Buffer>("bytes")?;
    let later = extras.get::<bool>("later")?.unwrap_or_default();
    let body = (later || bytes.is_some()).then(|| {
        let bytes = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes)).unwrap_or_default();
        Box::new(Body { bytes, content_type, ..Body::default() })
    });
    let arrival = if later { BodyArrival::Later } else { BodyArrival::Now };
    Ok(Box::new(Extra { body, warnings, refused: None, arrival }))
}
