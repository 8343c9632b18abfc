//! The border with Node: the only module that imports napi.
//!
//! It converts and delegates; it decides nothing and never holds the only reference to undelivered
//! work. Functions whose names begin with `_` are for `js/native.cjs`, and are left out of
//! `index.d.ts`.

#![expect(clippy::needless_pass_by_value, reason = "napi hands over owned values")]

mod completions;
mod control;
mod destinations;
mod engine;
mod error;
mod execution;
mod executions;
mod exit;
mod handle;
mod held;
mod hold;
mod mailbox;
mod migrate;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod options;
#[cfg(not(any(test, feature = "fuzzing")))]
mod options;
mod promise;
mod read_executions;
mod read_log;
mod read_settled;
mod recorder;
mod replays;
mod text;
mod types;
mod version;

pub use destinations::destinations;
pub use engine::Engine;
pub use execution::{
    complete, describe_end, describe_error, discard, execution_id, fill, flush, settled, step,
};
pub use exit::{flush_at_exit, is_main_thread, open_at_exit, watch_exit};
pub use hold::{begin_warehouse_process, end_warehouse_process, hold_warehouse, release_warehouse};
pub use migrate::{migrate, migrated};
pub use options::{
    AlertOptions, BreakerOptions, DeadLetterRate, EgressOptions, EngineOptions, HttpOptions,
    HttpRateOptions, JournalOptions, LockOptions, LogOptions, RateOptions, RetryOptions,
    TlsOptions,
};
pub use read_executions::read_executions;
pub use read_log::read_log;
pub use read_settled::read_settled;
pub use recorder::{log_late, record_with, recorder};
pub use types::{
    CloseResult, CompletionReceipt, DeliveryError, DeliveryFilter, EngineStats, ExecutionFilter,
    ExecutionSummary, LaneStats, Replay, ReplayPlan, ReplayResult, ReplaySelection, SkippedReplay,
    TimeoutOptions,
};
pub use version::version;
