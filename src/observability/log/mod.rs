//! The log: what the Inspector shows. Every recorded call ends here in exactly one terminal state.
//!
//! [`ExecutionLog`] is the record of one run; [`Log`] finds runs and forgets old ones.

mod entry;
mod exchange;
mod execution;
mod query;
mod store;
mod view;
mod warnings;

pub use entry::{Entry, Request, Settlement, Status};
pub use exchange::{Logged, LoggedBody, RequestLog, ResponseLog};
pub use execution::{
    Completion, ExecutionInfo, ExecutionLog, ExecutionState, Room, Settled, Tally, Trace,
};
pub use query::{Before, DeliveryQuery, ExecutionCursor, ExecutionQuery, Selection};
pub use store::{Found, Log, OpenBuffer, Retention};
pub use view::{DeliveryView, ExecutionView, Render, array, deliveries_json};
pub use warnings::Warnings;
