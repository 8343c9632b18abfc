//! The log of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::options;
use super::promise::reading;
use super::types::DeliveryFilter;
use crate::engine;

/// Reads the log of a data directory, which no engine of this process needs to have open.
#[napi(js_name = "_readLog", catch_unwind, skip_typescript)]
pub fn read_log(
    env: &Env,
    directory: String,
    key: Option<String>,
    filter: Option<DeliveryFilter>,
) -> napi::Result<Object<'_>> {
    let query = filter.unwrap_or_default().into_query();
    reading(env, move || {
        let key = key.as_deref().map(options::key).transpose()?;
        engine::read_log(directory.as_ref(), key.as_deref(), &query?)
    })
}
