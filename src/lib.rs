//! `dollar-send`: `$send` for JavaScript workflow steps. Calls are recorded in a Rust-side buffer;
//! when the completion hook fires, a background Tokio runtime delivers them.
//!
//! The way of a delivery, and what each module may do, is in `docs/design/architecture.md`.

pub mod binding;
pub mod config;
pub mod delivery;
pub mod destinations;
pub mod egress;
pub mod engine;
pub mod error;
pub mod execution;
pub mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod id;
pub mod jobs;
pub mod journal;
pub mod observability;
pub mod pattern;
pub mod percent;
pub mod postgres;
pub mod private;
pub mod recording;
pub mod redact;
pub mod server;
pub mod streams;
pub mod suggest;
pub mod time;

/// Deliveries are many small allocations on background threads, where the system's allocator took
/// a fifth of the time.
#[cfg(not(miri))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
