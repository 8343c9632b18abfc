//! The functions that `$send` methods hand their snapshot to.
//!
//! Every call of every step passes here, so what it costs is the product's cost on the JavaScript
//! thread. A closure with a number for the step is the cheapest form there is: an exported function,
//! a class method or an external value costs 0.1 to 0.2 µs more for each call, a closure for each
//! step 2 µs more for each step.

use napi::bindgen_prelude::{Buffer, Float64Array, Function, Object};
use napi::{Env, JsString};
use napi_derive::napi;

use super::error::rejected;
use super::executions::{parts, with};
use super::tape::{self, Shape};
use super::text::{narrowed, utf8, with_units};
use crate::destinations::{Body, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::recording::{BodyArrival, Extra};

/// Keeps the keys of an object, each as JSON has it with its colon; the answer is the number of the
/// shape, or -1 when there are enough.
#[napi(js_name = "_shape", catch_unwind, skip_typescript)]
#[must_use]
pub fn shape(keys: Vec<String>) -> i32 {
    tape::learn(Shape::of(keys)).and_then(|number| i32::try_from(number).ok()).unwrap_or(-1)
}

/// The function that records a call which is text alone: `record(text)`, where `tape` has the step,
/// the kind, the number of its values, and those; without values the text is the call's JSON. It answers
/// `false`, and records nothing, when JavaScript has to look closer: a `{}` in JSON may be
/// something that `JSON.stringify` saw nothing in, and a text that is too large may be so because
/// of a key that nobody reads.
///
/// One closure for each thread: what the macros wrap around a function costs more than recording.
#[napi(js_name = "_recorder", catch_unwind, skip_typescript)]
pub fn recorder(env: &Env, tape: Float64Array) -> napi::Result<Function<'_, (), bool>> {
    env.create_function_from_closure("record", move |context| {
        let Some((step, kind, values)) = call_on(&tape) else { return Ok(false) };
        let json = with_units(*context.env, context.get::<JsString<'_>>(0)?, |units| {
            if !values.is_empty() {
                return tape::json(values, units);
            }
            Some(narrowed(units)).filter(|json| !tape::may_lack_something(json))
        });
        let Some(json) = json? else { return Ok(false) };
        match add(step, kind, json, None) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PayloadTooLarge => Ok(false),
            Err(error) => Err(rejected(Env::from_raw(context.env.raw()), &error)),
        }
    })
}

/// The step, the kind and the values of the call that is on the tape.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript wrote whole numbers; of any other the nearest is as wrong"
)]
fn call_on(tape: &[f64]) -> Option<(f64, u32, &[f64])> {
    let [step, kind, count, values @ ..] = tape else { return None };
    Some((*step, *kind as u32, values.get(..*count as usize)?))
}

/// Records a call with what its text cannot hold: `{ warnings, bytes, contentType, later }`. The
/// answer is the call's index. With `later` the bytes follow through `_fill`.
#[napi(js_name = "_recordWith", catch_unwind, skip_typescript)]
pub fn record_with(
    env: &Env,
    step: f64,
    kind: u32,
    text: JsString<'_>,
    extras: Object<'_>,
) -> napi::Result<u32> {
    let extra = extra(&extras)?;
    add(step, kind, utf8(*env, text)?, Some(extra)).map_err(|error| rejected(*env, &error))
}

fn add(step: f64, kind: u32, text: Vec<u8>, extra: Option<Box<Extra>>) -> Result<u32> {
    let unknown = || Error::new(ErrorKind::InvalidArgument, "there is no such destination");
    let kind = Kind::from_number(kind).ok_or_else(unknown)?;
    let (execution, step) = parts(step);
    with(execution, |execution| execution.record(kind, step, text, extra))
}

fn extra(extras: &Object<'_>) -> napi::Result<Box<Extra>> {
    let warnings = extras.get::<Vec<String>>("warnings")?.unwrap_or_default();
    let content_type = extras.get::<String>("contentType")?.map(String::into_boxed_str);
    let bytes = extras.get::<Buffer>("bytes")?;
    let later = extras.get::<bool>("later")?.unwrap_or_default();
    let body = (later || bytes.is_some()).then(|| {
        let bytes = bytes.map(|bytes| bytes::Bytes::copy_from_slice(&bytes)).unwrap_or_default();
        Box::new(Body { bytes, content_type, secret: None })
    });
    let arrival = if later { BodyArrival::Later } else { BodyArrival::Now };
    Ok(Box::new(Extra { body, warnings, refused: None, arrival }))
}
