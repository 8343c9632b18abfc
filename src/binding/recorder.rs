//! The function that `$send` methods hand their snapshot to: one per step.
//!
//! A closure, not a method: it costs 0.2 µs less per call, and works without `this`.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Function, FunctionCallContext};

use super::error::rejected;
use crate::destinations::{Body, Kind, Payload};
use crate::engine::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::recording::BodyArrival;

/// `record(kind, text)` for calls that are text alone, and
/// `record(kind, text, warnings, bytes, contentType, later)` for the rest. The answer is the
/// call's index.
pub(super) fn recorder<'env>(
    env: &'env Env,
    execution: Arc<Execution>,
    step: &str,
) -> napi::Result<Function<'env, (), u32>> {
    let step: Arc<str> = step.into();
    env.create_function_from_closure("record", move |context| {
        let call = Call::read(&context)?;
        let index = record(&execution, &step, call);
        index.map_err(|error| rejected(Env::from_raw(context.env.raw()), &error))
    })
}

struct Call {
    kind: u32,
    payload: Payload,
    warnings: Vec<String>,
    body: BodyArrival,
}

impl Call {
    fn read(context: &FunctionCallContext<'_>) -> napi::Result<Self> {
        let kind = context.get::<u32>(0)?;
        let payload = Payload::from_text(context.get::<String>(1)?);
        let mut call = Self { kind, payload, warnings: Vec::new(), body: BodyArrival::Now };
        if context.length() > 2 {
            call.read_rest(context)?;
        }
        Ok(call)
    }

    fn read_rest(&mut self, context: &FunctionCallContext<'_>) -> napi::Result<()> {
        self.warnings = context.get::<Option<Vec<String>>>(2)?.unwrap_or_default();
        let bytes = context.get::<Option<Buffer>>(3)?;
        let content_type = context.get::<Option<String>>(4)?.map(String::into_boxed_str);
        if context.get::<Option<bool>>(5)? == Some(true) {
            self.body = BodyArrival::Later;
            self.payload.body = Some(Body { content_type, ..Body::default() });
        } else if let Some(bytes) = bytes {
            let bytes = bytes::Bytes::copy_from_slice(&bytes);
            self.payload.body = Some(Body { bytes, content_type });
        }
        Ok(())
    }
}

fn record(execution: &Execution, step: &Arc<str>, call: Call) -> Result<u32> {
    let kind = Kind::from_number(call.kind)
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "there is no such destination"))?;
    execution.record(kind, step, call.payload, call.warnings, call.body)
}
