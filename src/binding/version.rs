//! The version of the addon, which the package's JavaScript compares with its own.

use napi_derive::napi;

/// Returns the version of this crate.
#[napi(js_name = "_version", catch_unwind, skip_typescript)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
