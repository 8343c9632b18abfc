//! The executions of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::promise::reading;
use super::types::ExecutionFilter;
use crate::engine;

/// Reads executions of a data directory, which no engine of this process needs to have open.
#[napi(js_name = "_readExecutions", catch_unwind, skip_typescript)]
pub fn read_executions(
    env: &Env,
    directory: String,
    filter: Option<ExecutionFilter>,
) -> napi::Result<Object<'_>> {
    let query = filter.unwrap_or_default().into();
    reading(env, move || engine::read_executions(directory.as_ref(), &query))
}
