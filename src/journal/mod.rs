//! The journal is the queue: what was handed over and is not terminal yet lives here, and
//! deliveries are only ever made from it, so that recovery is the ordinary path.
//!
//! It moves records and knows nothing of what is in them. [`contract`] is the suite that every
//! journal passes.

#[cfg(test)]
mod contract;
mod memory;
mod record;

pub use memory::MemoryJournal;
pub use record::{Commit, Completion, Lane, Record};

use std::future::Future;
use std::sync::Arc;

use crate::error::Result;
use crate::observability::log::{ExecutionLog, Log, Settlement};

/// Where handed-over calls wait, and where their ends are written.
pub trait Journal: Send + Sync {
    /// Takes a commit as durably as the journal promises. The answer names the lanes that have
    /// work now. `Err`: nothing of the commit was taken.
    fn append(&self, commit: Commit) -> impl Future<Output = Result<Vec<Lane>>> + Send;

    /// Takes the oldest waiting record of a lane and marks it as in flight. Each record is leased
    /// to one worker at a time.
    fn lease(&self, lane: &Lane) -> impl Future<Output = Option<Record>> + Send;

    /// Takes everything that waits in any lane: what a closing engine leaves behind.
    fn lease_rest(&self) -> Vec<Record>;

    /// Writes how a record ended, to the queue and to the log at once. The answer is whether its
    /// execution is finished by it.
    fn settle(&self, record: &Record, settlement: Settlement) -> Finished;

    /// The log that belongs to this journal.
    fn log(&self) -> &Log;

    /// Records that wait in the lane.
    fn waiting(&self, lane: &Lane) -> usize;
}

/// Whether a settlement or a completion was the last thing to happen to its execution.
#[derive(Debug, Clone)]
pub enum Finished {
    /// Something is still open.
    NotYet,
    /// Everything is terminal.
    Execution(Arc<ExecutionLog>),
}
