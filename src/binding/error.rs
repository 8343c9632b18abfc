//! Errors for JavaScript, with `code` from [`ErrorKind`] and an optional `cause`.

use std::error::Error as _;

use napi::bindgen_prelude::{Env, JsObjectValue, Unknown};
use napi::{JsError, JsRangeError, JsTypeError, JsValue};

use crate::error::{Error, ErrorKind};

impl AsRef<str> for ErrorKind {
    fn as_ref(&self) -> &str {
        self.code()
    }
}

/// Converts an error for a synchronous export to throw.
pub(super) fn to_napi_error(error: &Error) -> napi::Error<ErrorKind> {
    let mut thrown = napi::Error::new(error.kind(), error.to_string());
    if let Some(cause) = error.source() {
        thrown.set_cause(napi::Error::from_reason(cause.to_string()));
    }
    thrown
}

/// Makes the error object, for closures and promises. Runs on the JavaScript thread.
pub(super) fn to_js_error(env: Env, error: &Error) -> napi::Error {
    match object(env, error) {
        Ok(object) => napi::Error::from(object),
        Err(failed) => failed,
    }
}

fn object(env: Env, error: &Error) -> napi::Result<Unknown<'static>> {
    let thrown = to_napi_error(error);
    let object = match error.kind() {
        ErrorKind::InvalidArgument | ErrorKind::InvalidOption => {
            JsTypeError::from(thrown).into_unknown(env)
        }
        ErrorKind::PayloadTooLarge => JsRangeError::from(thrown).into_unknown(env),
        _ => JsError::from(thrown).into_unknown(env),
    };
    // The stack of a promise's error begins at the background thread, so it has none of its own.
    object.coerce_to_object()?.has_named_property("code")?;
    Ok(object)
}
