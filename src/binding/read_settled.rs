//! The settlements of a data directory that no engine of this process has open.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::error::to_js_error;
use super::promise::promise;
use super::types::DeliveryFilter;
use crate::engine::{self, runtime};
use crate::error::{Error, ErrorKind};

/// Reads the deliveries of a data directory that became terminal after a place.
#[napi(js_name = "_readSettled", catch_unwind, skip_typescript)]
pub fn read_settled(
    env: &Env,
    directory: String,
    after: Option<String>,
    filter: Option<DeliveryFilter>,
) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
    let query = filter.unwrap_or_default().into_query();
    let read = async move {
        let query = query?;
        let after = after.map(|after| after.parse()).transpose().map_err(|_| {
            Error::new(ErrorKind::InvalidArgument, "the place to follow the log from is no cursor")
        })?;
        let read = move || engine::read_settled(directory.as_ref(), after, &query);
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "reading the log panicked").with_source(panic))
        })
    };
    promise(env, &runtime, read, |_, text| Ok(text))
}
