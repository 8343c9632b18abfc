//! The destinations: the trait that they implement, and the one table of them.
//!
//! A destination turns one recorded call into one exchange with the outside and classifies what
//! came of it. It never sleeps, retries, spawns or sees the journal: [`crate::engine`] does.

mod alert;
mod batch;
mod built_in;
#[cfg(test)]
mod contract;
pub mod custom;
mod destination;
pub mod email;
pub mod emit;
mod file;
pub mod forward;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub mod http;
mod json;
mod publisher;
mod registry;
mod response;
pub mod s3;
pub mod sql;
pub mod sse;

pub use alert::alert;
pub use batch::{BatchCheckpoint, BatchLimits, Batching, Encoded, OpenBatch, Origin, StoreOutcome};
pub use built_in::{BuiltIn, DeadLetter, Resources};
pub use destination::{
    Attempt, Backend, BackendChoice, Destination, Exchange, FollowUpCall, LaneRules, Outcome,
};
pub use publisher::{Publisher, StoreEvents};
pub use registry::{Config, DestinationRegistry, describe};
