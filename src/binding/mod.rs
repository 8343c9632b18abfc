//! The border with Node: the only module that imports napi.
//!
//! It converts and delegates; it decides nothing and never holds the only reference to undelivered
//! work. Methods whose names begin with `_` are for the package's own JavaScript in `js/`, and
//! are left out of `index.d.ts`.

#![expect(clippy::needless_pass_by_value, reason = "napi hands over owned values")]

mod destination_options;
mod email_options;
mod engine;
mod error;
mod execution;
mod executions;
mod handle;
mod hold;
mod mailbox;
mod options;
mod promise;
mod recorder;
mod retry_options;
mod s3_options;
mod server_options;
mod sql_options;
mod tape;
mod text;
mod tls_options;
mod types;
mod version;

pub use engine::{Engine, flush_at_exit, is_main_thread, read_log, watch_exit};
pub use execution::{complete, discard, execution_id, fill, flush, settled, step};
pub use hold::{begin_warehouse_process, end_warehouse_process, hold_warehouse, release_warehouse};
pub use options::{
    EgressOptions, EngineOptions, HttpOptions, JournalOptions, LockOptions, LogOptions,
};
pub use recorder::{record_with, recorder, shape};
pub use retry_options::{BreakerOptions, RetryOptions};
pub use tls_options::TlsOptions;
pub use types::{
    CloseResult, CompletionReceipt, Delivery, DeliveryError, DeliveryFilter, EngineStats,
    ExecutionFilter, ExecutionSummary, LaneStats, Replay, ReplayResult, ReplaySelection,
    SkippedReplay, TimeoutOptions,
};
pub use version::version;
