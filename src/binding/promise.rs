//! The one way to a promise: the future runs on the background runtime, and its value, or its error
//! with a code, is made on the JavaScript thread. Objects and lists cross as JSON
//! text, which is the fastest way and makes them values of the realm that parses it.

use std::future::Future;

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use tokio::runtime::Handle;

use super::error::to_js_error;
use crate::engine::runtime;
use crate::error::{Error, ErrorKind, Result};

/// Returns a promise for `future`. A pending promise keeps the process alive.
pub(super) fn promise<'env, T, V, F>(
    env: &'env Env,
    runtime: &Handle,
    future: impl Future<Output = Result<T>> + Send + 'static,
    convert: F,
) -> napi::Result<Object<'env>>
where
    T: Send + 'static,
    V: ToNapiValue + 'static,
    F: FnOnce(Env, T) -> napi::Result<V> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    runtime.spawn(async move {
        let result = future.await;
        deferred.resolve(move |env| match result {
            Ok(value) => convert(env, value),
            Err(error) => Err(to_js_error(env, &error)),
        });
    });
    Ok(promise)
}

/// Returns a promise for what `read` finds in a data directory, on a thread that may wait for the disk.
pub(super) fn reading(
    env: &Env,
    read: impl FnOnce() -> Result<String> + Send + 'static,
) -> napi::Result<Object<'_>> {
    let runtime = runtime::handle().map_err(|error| to_js_error(*env, &error))?;
    let read = async move {
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "reading the log panicked").with_source(panic))
        })
    };
    promise(env, &runtime, read, |_, text| Ok(text))
}
