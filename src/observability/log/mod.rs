//! The log: what the Inspector shows. Every recorded call ends here in exactly one terminal state.
//!
//! [`ExecutionLog`] is the record of one run; [`Log`] finds runs and forgets old ones.

mod entry;
mod exchange;
mod execution;
mod query;
mod store;
mod view;

pub use entry::{Entry, Request, Settlement, Status};
pub use exchange::{LoggedBody, RequestLog, ResponseLog};
pub use execution::{Completion, ExecutionInfo, ExecutionLog, Room, Settled};
pub use query::{DeliveryQuery, ExecutionQuery};
pub use store::{Log, Retention};
pub use view::{DeliveryView, ExecutionView, Render};
