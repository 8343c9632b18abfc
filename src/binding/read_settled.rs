//! The settlements of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::promise::reading;
use super::types::DeliveryFilter;
use crate::engine;
use crate::error::{Error, ErrorKind};

/// Reads the deliveries of a data directory that became terminal after a place.
#[napi(js_name = "_readSettled", catch_unwind, skip_typescript)]
pub fn read_settled(
    env: &Env,
    directory: String,
    after: Option<String>,
    filter: Option<DeliveryFilter>,
) -> napi::Result<Object<'_>> {
    let query = filter.unwrap_or_default().into_query();
    reading(env, move || {
        let after = after.map(|after| after.parse()).transpose().map_err(|_| {
            Error::new(ErrorKind::InvalidArgument, "after is no cursor of settlements")
        })?;
        engine::read_settled(directory.as_ref(), after, &query?)
    })
}
