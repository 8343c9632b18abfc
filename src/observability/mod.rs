//! Events and metrics of an engine.
//!
//! It only receives: nothing here calls back into what it observes.

pub mod alerts;
pub mod changes;
pub mod events;
pub mod metrics;
