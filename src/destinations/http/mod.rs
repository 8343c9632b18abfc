//! `$send.http`: one HTTP request per call, in the wire form of axios 1.x.
//!
//! The way of a call: [`item`](self) finds the fields in the recorded text, `request` makes the
//! request of them, `client` sends it and follows redirects, `response` reads what comes back,
//! `classify` names what went wrong, `exchange` is what the log keeps.

mod auth;
mod body;
mod charset;
mod classify;
mod client;
mod config;
mod decode;
mod exchange;
mod flatten;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod headers;
mod item;
mod logged_headers;
mod query;
mod rate;
mod redirect;
mod request;
mod response;
mod retry;
mod sign;
mod target;
mod transport;

#[cfg(test)]
mod tests;

use super::json;

pub(super) use classify::classify_transport_error;
pub use client::Http;
pub use config::{Config, IdempotencyKey};
pub use rate::Rates;
pub use retry::{RawBreakerOptions, RawRetryOptions, Retries};
