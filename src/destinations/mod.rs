//! Where deliveries go: the trait that every destination answers, and the one `match` over them.
//!
//! A destination turns one recorded call into one exchange with the outside and classifies what
//! came of it. It never sleeps, retries, spawns or sees the journal: [`crate::engine`] does.

mod batch;
pub mod custom;
mod destination;
pub mod email;
pub mod emit;
mod file;
pub mod http;
mod jobs;
mod json;
mod kind;
mod outcome;
mod payload;
mod percent;
mod retry;
pub mod s3;
mod set;
pub mod sql;
pub mod sse;

pub use batch::{BatchLimits, Encoded, Notebook, Origin, Stored};
pub use destination::{Attempt, Call, Destination, Exchange, Outcome};
pub use jobs::{Jobs, Thread};
pub use kind::Kind;
pub use outcome::{Failure, Phase, Verdict};
pub use payload::{Body, Payload};
pub use retry::{BreakerPolicy, Delays, RetryPolicy, TRANSIENT};
pub use set::{Destinations, OpenBatch, describe};
