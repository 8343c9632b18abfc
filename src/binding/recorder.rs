//! The functions that `$send` methods hand their snapshot to.
//!
//! Every call of every step passes here, so what it costs is the product's cost on the JavaScript
//! thread. A closure with a number for the step is the cheapest form there is: an exported function,
//! a class method or an external value costs 0.1 to 0.2 µs more for each call, a closure for each
//! step 2 µs more for each step.

use memchr::memmem::Finder;
use napi::bindgen_prelude::{Buffer, Function, Object};
use napi::{Env, JsString};
use napi_derive::napi;
use once_cell::sync::Lazy;

use super::error::rejected;
use super::executions::{parts, with};
use super::text::utf8;
use crate::destinations::{Body, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::recording::{BodyArrival, Extra};

/// What `JSON.stringify` makes of a Map, a Set and everything else that it sees nothing in.
static EMPTY_OBJECT: Lazy<Finder<'static>> = Lazy::new(|| Finder::new("{}"));

/// The function that records a call which is text alone: `record(step, kind, text)`. It answers
/// `false`, and records nothing, when JavaScript has to look closer: a `{}` in the text may be
/// something that `JSON.stringify` saw nothing in, and a text that is too large may be so because
/// of a key that nobody reads.
///
/// One closure for each thread: what the macros wrap around a function costs more than recording.
#[napi(js_name = "_recorder", catch_unwind, skip_typescript)]
pub fn recorder(env: &Env) -> napi::Result<Function<'_, (), bool>> {
    env.create_function_from_closure("record", |context| {
        let step = context.get::<f64>(0)?;
        let kind = context.get::<u32>(1)?;
        let text = utf8(*context.env, context.get::<JsString<'_>>(2)?)?;
        if EMPTY_OBJECT.find(&text).is_some() {
            return Ok(false);
        }
        match add(step, kind, text, None) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::PayloadTooLarge => Ok(false),
            Err(error) => Err(rejected(Env::from_raw(context.env.raw()), &error)),
        }
    })
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
