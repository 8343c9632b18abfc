//! The vocabulary of a delivery: its destination, its payload, and how an attempt ends.

mod failure;
mod kind;
mod payload;
mod rate;
mod retry_policy;
mod verdict;

pub use failure::{Failure, Phase};
pub use kind::Kind;
pub(crate) use kind::with_built_in;
pub use payload::{Body, CALL_BYTES, Payload};
pub use rate::{Rate, RateKey, RateLimiter, RateWait};
pub use retry_policy::{BreakerPolicy, Delays, RetryPolicy, TRANSIENT};
pub use verdict::Verdict;
