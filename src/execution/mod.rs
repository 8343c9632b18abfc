//! The state of executions and their deliveries, as the log shows it. Every recorded call ends here
//! in exactly one terminal state.
//!
//! [`ExecutionLog`] is the state of one execution; [`Log`] finds executions and forgets old ones.

mod attempts;
mod batch_due;
mod call_state;
mod entry;
mod exchange;
mod following;
mod info;
mod json;
mod query;
mod retention;
mod sample;
mod search;
mod serial;
mod settlement;
mod state;
mod view;
mod warnings;

pub use attempts::{AttemptLog, MAX_ATTEMPTS_KEPT, MadeAttempt};
pub use batch_due::BatchDue;
pub use call_state::{CallState, Force, Link, ReplayOf, Resolution, SkipReason, replay_of};
pub use entry::{DeliveryRequest, Entry, Status, Waiting};
pub use exchange::{Logged, LoggedBody, RequestLog, ResponseLog};
pub use following::{Detail, Dropped, NotASettlementCursor, SettledPage, SettlementCursor};
pub use info::{ExecutionEnd, ExecutionInfo, Tally, Trace};
pub use query::{Before, DeliveryQuery, ExecutionCursor, ExecutionQuery, IdSet, Selection};
pub use retention::{Found, Log, OpenBuffer, Retention};
pub use sample::{MAX_SAMPLES, Sample};
pub use search::{Search, SearchField, SearchTerm, Subject, Target};
pub use serial::{SLOTS, first_shared_serial};
pub use settlement::{LogBudget, Settled, Settlement};
pub use state::{ExecutionLog, ExecutionState};
pub use view::{
    ExecutionView, Render, array, deliveries_json, delivery_json, entries_json, settled_json,
};
pub use warnings::Warnings;
