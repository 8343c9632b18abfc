//! The journal is the queue: what was handed over and is not terminal yet lives here, and
//! deliveries are only ever made from it, so that recovery is the ordinary path.
//!
//! It moves records and knows nothing of what is in them. `contract` is the suite that every
//! journal passes.

mod choice;
mod codec;
#[cfg(test)]
mod contract;
mod memory;
#[cfg(test)]
mod model;
mod record;
mod sqlite;

pub use choice::ChosenJournal;
pub use memory::MemoryJournal;
pub use record::{
    Commit, Completion, Lane, Record, Refill, Refusal, Replayable, RestoredBatch, SealedBatch,
};
pub use sqlite::{
    Describe, Durability, OnInterrupted, Options, Report, SqliteJournal, create_directory, read_log,
};

use std::future::Future;
use std::sync::Arc;

use crate::error::Result;
use crate::observability::log::{
    DeliveryQuery, ExecutionLog, ExecutionQuery, Found, Log, OpenBuffer, Selection, Settlement,
};
use crate::observability::time::Timestamp;
use crate::streams::{Event, EventId};

/// Where handed-over calls wait, and where their ends are written.
pub trait Journal: Send + Sync {
    /// Takes a commit as durably as the journal promises. The answer names the lanes that have
    /// work now. `Err`: nothing of the commit was taken, and it comes back.
    fn append(
        &self,
        commit: Commit,
    ) -> impl Future<Output = std::result::Result<Vec<Lane>, Box<Refusal>>> + Send;

    /// Takes the oldest waiting record of a lane and marks it as in flight. Each record is leased
    /// to one worker at a time.
    fn lease(&self, lane: &Lane) -> impl Future<Output = Option<Record>> + Send;

    /// Takes the oldest waiting record of a lane into a batch that is still open. That is not written
    /// down: if the process ends before [`Journal::seal`], the record waits in its lane again.
    fn join(&self, lane: &Lane) -> Option<Record>;

    /// Writes down that the records of these numbers are a batch, in this order. When the process
    /// ends before [`Journal::forget_batch`], [`Journal::refill`] answers it as it was.
    fn seal(
        &self,
        batch: &SealedBatch,
        records: Vec<u64>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Writes a note beside a sealed batch, in the place of the one before.
    fn note_batch(&self, batch: u64, note: Option<&str>)
    -> impl Future<Output = Result<()>> + Send;

    /// Writes what became of a sealed batch: its records are settled after that.
    fn conclude(&self, batch: u64, conclusion: &str);

    /// Forgets a sealed batch: all its records are settled.
    fn forget_batch(&self, batch: u64);

    /// Resolves when what was settled until now is written. Who settles many waits for it now and
    /// then.
    fn written(&self) -> impl Future<Output = ()> + Send;

    /// Takes everything that waits in any lane: what a closing engine leaves behind.
    fn lease_rest(&self) -> Vec<Record>;

    /// Puts a leased record back, to be leased again when it is `until`; `note` goes to the log.
    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String);

    /// Brings records whose time has come into their lanes. The answer names the lanes that have
    /// work now, and when the next record is due.
    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>);

    /// Records that wait for their time.
    fn postponed(&self) -> usize;

    /// Writes how a record ended, to the queue and to the log at once. The answer is whether its
    /// execution is finished by it.
    fn settle(&self, record: &Record, settlement: Settlement) -> Finished;

    /// Executions that are under way, and as much of the past as is in memory.
    fn log(&self) -> &Log;

    /// Whether what was taken survives the end of the process.
    fn is_durable(&self) -> bool;

    /// Brings more of what an earlier process left into the lanes, if there is room for it;
    /// `None`: there is nothing more.
    fn refill(&self) -> impl Future<Output = Result<Option<Refill>>> + Send;

    /// Resolves when there is room for another [`Journal::refill`].
    fn room(&self) -> impl Future<Output = ()> + Send;

    /// Calls that an earlier process left and that are in no lane yet.
    fn backlog(&self) -> usize;

    /// Deliveries, newest first, those of open buffers included.
    fn deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> impl Future<Output = Result<Vec<Found>>> + Send;

    /// Executions as a JSON array, newest first.
    fn executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
    ) -> impl Future<Output = Result<String>> + Send;

    /// How many deliveries a question is about, whatever its limit and place are. Calls that an
    /// earlier process left and that are in no lane yet are not counted.
    fn count_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// How many executions a question is about, whatever its limit and place are.
    fn count_executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// The failed deliveries of a selection, as calls that can be handed over again.
    fn replayable(
        &self,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Replayable>>> + Send;

    /// Writes a published event down, and forgets those that are not kept any more.
    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>);

    /// The published events that were written down, in the order of their numbers.
    fn kept_events(&self) -> Result<Vec<Event>>;

    /// Writes registrations down by their ids, each as the text that [`Journal::registrations`]
    /// answers, and removes those without one. Resolves when that is as durable as a completion.
    fn register(
        &self,
        changes: Vec<(String, Option<String>)>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The registrations that were written down.
    fn registrations(&self) -> Result<Vec<String>>;

    /// Writes what is not written yet. Nothing is taken after that.
    fn close(&self) -> impl Future<Output = ()> + Send;

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
