//! The one way to a promise: the future runs on the background runtime, and what JavaScript gets,
//! value or error with its code, is made on the JavaScript thread. Objects and lists cross as JSON
//! text, which is the fastest way and makes them values of the realm that parses it.

use std::future::Future;

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use tokio::runtime::Handle;

use super::error::rejected;
use crate::error::Result;

/// Answers a promise for `future`. The pending promise keeps the process alive.
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
            Err(error) => Err(rejected(env, &error)),
        });
    });
    Ok(promise)
}
