//! The functions that `$send` methods hand their snapshot to.
//!
//! Every call of every step passes here, so what it costs is the product's cost on the JavaScript
//! thread. A closure with a number for the step is the cheapest form there is: an exported function,
//! a class method or an external value costs 0.1 to 0.2 µs more for each call, a closure for each
//! step 2 µs more for each step.

use std::cell::RefCell;
use std::sync::Arc;

use memchr::memmem::Finder;
use napi::bindgen_prelude::{Buffer, Function, Object};
use napi::{Env, JsString};
use napi_derive::napi;
use once_cell::sync::Lazy;

use super::error::rejected;
use super::text::utf8;
use crate::destinations::{Body, Kind};
use crate::engine::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::recording::{BodyArrival, Extra, StepId};

thread_local! {
    /// The executions of this JavaScript thread, by the number that JavaScript knows them by.
    static EXECUTIONS: RefCell<Executions> = const { RefCell::new(Executions::new()) };
}

/// What `JSON.stringify` makes of a Map, a Set and everything else that it sees nothing in.
static EMPTY_OBJECT: Lazy<Finder<'static>> = Lazy::new(|| Finder::new("{}"));

struct Executions {
    places: Vec<Option<Arc<Execution>>>,
    free: Vec<u32>,
}

impl Executions {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    fn add(&mut self, execution: Arc<Execution>) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(execution);
            return place;
        }
        self.places.push(Some(execution));
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    fn remove(&mut self, place: u32) -> Option<Arc<Execution>> {
        let execution = self.places.get_mut(place as usize)?.take();
        self.free.push(place);
        execution
    }
}

/// Holds an execution's number for as long as JavaScript holds the execution.
#[derive(Debug)]
pub(super) struct Registration(u32);

impl Registration {
    pub(super) fn new(execution: &Arc<Execution>) -> Self {
        Self(EXECUTIONS.with_borrow_mut(|executions| executions.add(Arc::clone(execution))))
    }

    /// What JavaScript names a step by: the execution's number and the step's place in it.
    pub(super) fn step(&self, step: StepId) -> f64 {
        f64::from(self.0) * STEPS_PER_EXECUTION + f64::from(step.place())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // At the end of the thread the whole table is gone already. The execution is dropped
        // outside of the table: its end may take long.
        let _ = EXECUTIONS.try_with(|executions| executions.borrow_mut().remove(self.0));
    }
}

const STEPS_PER_EXECUTION: f64 = 1_048_576.0;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both parts were whole numbers of 32 bits"
)]
fn parts(step: f64) -> (usize, StepId) {
    let execution = (step / STEPS_PER_EXECUTION).floor();
    (execution as usize, StepId::at((step - execution * STEPS_PER_EXECUTION) as u32))
}

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
/// answer is the call's index. With `later` the bytes follow through `Execution._fill`.
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
    let unknown = |what| Error::new(ErrorKind::InvalidArgument, format!("there is no such {what}"));
    let kind = Kind::from_number(kind).ok_or_else(|| unknown("destination"))?;
    let (execution, step) = parts(step);
    EXECUTIONS.with_borrow(|executions| {
        let execution = executions.places.get(execution).and_then(Option::as_ref);
        execution.ok_or_else(|| unknown("execution"))?.record(kind, step, text, extra)
    })
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
