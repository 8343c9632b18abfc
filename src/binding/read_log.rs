//! The log of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::error::to_js_error;
use super::options;
use super::promise::promise;
use super::types::DeliveryFilter;
use crate::engine::{self, runtime};
use crate::error::{Error, ErrorKind};

/// Reads the log of a data directory, which no engine of this process needs to have open.
#[napi(js_name = "_readLog", catch_unwind, skip_typescript)]
pub fn read_log(
    env: &Env,
    directory: String,
    key: Option<String>,
    filter: Option<DeliveryFilter>,
) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
    let query = filter.unwrap_or_default().into_query();
    let read = async move {
        let query = query?;
        let key = key.as_deref().map(options::key).transpose()?;
        let read = move || engine::read_log(directory.as_ref(), key.as_deref(), &query);
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "reading the log panicked").with_source(panic))
        })
    };
    promise(env, &runtime, read, |_, text| Ok(text))
}
