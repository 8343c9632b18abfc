//! The one way to a promise: the future runs on the background runtime, and its value, or its error
//! with a code, is made on the JavaScript thread. Objects and lists cross as JSON
//! text, which is the fastest way and makes them values of the realm that parses it.

use std::future::Future;

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use tokio::runtime::Handle;

use super::error::to_js_error;
use crate::error::Result;

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
