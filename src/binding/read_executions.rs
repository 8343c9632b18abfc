//! The executions of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::error::to_js_error;
use super::promise::promise;
use super::types::ExecutionFilter;
use crate::engine::{self, runtime};
use crate::error::{Error, ErrorKind};

/// Reads executions of a data directory, which no engine of this process needs to have open.
#[napi(js_name = "_readExecutions", catch_unwind, skip_typescript)]
pub fn read_executions(
    env: &Env,
    directory: String,
    filter: Option<ExecutionFilter>,
) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
    let query = filter.unwrap_or_default().into();
    let read = async move {
        let read = move || engine::read_executions(directory.as_ref(), &query);
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "reading the log panicked").with_source(panic))
        })
    };
    promise(env, &runtime, read, |_, text| Ok(text))
}
