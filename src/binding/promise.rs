//! The one way to a promise: the future runs on the background runtime, and what JavaScript gets,
//! value or error with its code, is made on the JavaScript thread.

use std::future::Future;

use napi::bindgen_prelude::{Function, JsObjectValue, Object, ToNapiValue, Unknown};
use napi::{Env, JsValue};
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

/// Reads a JSON text into a JavaScript value: the fastest way across for anything nested.
pub(super) fn parsed(env: Env, text: String) -> napi::Result<Unknown<'static>> {
    let json: Object<'_> = env.get_global()?.get_named_property("JSON")?;
    let parse: Function<'_, String, Unknown<'static>> = json.get_named_property("parse")?;
    parse.call(text)
}

/// The same for a synchronous export.
pub(super) fn parsed_now(env: &Env, text: String) -> napi::Result<Object<'static>> {
    parsed(Env::from_raw(env.raw()), text)?.coerce_to_object()
}
