//! Reading: unsettled calls for recovery, and the log.

mod beside;
mod following;
mod log;
mod pool;
mod query;
mod reader;
mod replay;
mod scan;
#[cfg(test)]
mod stored;

pub use log::{read_executions, read_log, read_settled};

pub(super) use beside::beside;
pub(super) use pool::ReaderPool;
pub(super) use query::{Conditions, entry, first_at, info_of};
pub(super) use reader::{
    CallProgress, JournalReader, RecoveredCall, RecoveredCommit, RecoveredExecution, execution, id,
    last_attempts, progress, read_execution,
};
pub(super) use scan::{Scan, subject};

#[cfg(test)]
pub(crate) use stored::{StoredExecution, StoredRows};
