//! The list of destinations, from which those of JavaScript are generated.

use napi_derive::napi;

use crate::delivery::Kind;

/// Returns the names of the destinations that are built in, in the order of their numbers.
#[napi(js_name = "_destinations", catch_unwind, skip_typescript)]
#[must_use]
pub fn destinations() -> Vec<&'static str> {
    Kind::ALL.map(Kind::name).to_vec()
}
