//! The journal is the queue: committed calls wait here until they are terminal, and deliveries are
//! only ever made from it, so that recovery is the ordinary path.
//!
//! A journal makes five promises, each a trait: [`Queue`], [`Batches`], [`Recovery`], [`History`] and
//! [`Records`]. One that many processes share has a [`Fleet`]. Each has a suite in `contract`, which every journal passes. A journal never sends
//! anything and never looks into a payload. Waiting calls are leased from lanes in memory, which
//! [`MemoryJournal`] owns; a durable journal fills them through [`Recovery`], in parts.
//!
//! `docs/design/journal-format.md` describes the durable form.

mod codec;
#[cfg(test)]
mod contract;
mod crypto;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod memory;
mod moving;
mod postgres;
mod record;
mod row;
mod sqlite;

pub use memory::MemoryJournal;
pub use moving::{MoveOptions, MoveProgress, MoveReport, move_directory, plan_move};
pub use postgres::{
    Callbacks, Options as SharedOptions, PostgresJournal, ReceiveEvents, ReceivedEvents,
};
pub use record::{
    ChangedRows, Commit, Completion, Delayed, FleetWaiting, Incident, Lane, NodeFigures, Record,
    Refill, Refusal, Replayable, Report, RestoredBatch, SealedBatch, Selected,
};
pub use sqlite::{
    Describe, Durability, OnInterrupted, Options, SearchIndex, SqliteJournal, announce,
    create_directory, read_executions, read_log, read_settled,
};
#[cfg(test)]
pub(crate) use sqlite::{
    DiskFault, DiskFaults, StoredExecution, StoredRows, die_in_upkeep, has_disk_faults, has_upkeep,
    live_on, set_disk_faults, set_upkeep,
};

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Result;
use crate::execution::{
    DeliveryQuery, ExecutionLog, ExecutionQuery, Found, Log, OpenBuffer, Sample, Selection,
    SettledPage, Settlement, SettlementCursor,
};
use crate::streams::{Event, EventId, NewEvent, StoredEvent};
use crate::time::Timestamp;

/// The result of an operation that may have to wait for a disk or a server.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All promises of a journal.
pub trait Journal:
    Queue + Batches + Recovery + History + Settlements + Records + fmt::Debug
{
}

impl<J: Queue + Batches + Recovery + History + Settlements + Records + fmt::Debug> Journal for J {}

/// The queue of committed calls.
///
/// **Invariant:** a record is leased to one worker at a time, in the order of its lane.
pub trait Queue: Send + Sync {
    /// Stores a commit as durably as the journal promises. Returns the lanes that have work now.
    ///
    /// # Errors
    /// A refusal, which returns the whole commit: nothing of it was stored.
    fn append(&self, commit: Commit) -> Promise<'_, std::result::Result<Vec<Lane>, Box<Refusal>>>;

    /// Takes the oldest waiting record of a lane and marks it as in flight.
    fn lease<'a>(&'a self, lane: &'a Lane) -> Promise<'a, Option<Record>>;

    /// Ends a record, in the queue and in the log at once.
    fn settle(&self, record: &Record, settlement: Settlement) -> Finished;

    /// Returns a leased record to the queue, to be leased again at `until`; `note` goes to the log.
    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String);

    /// Moves due records into their lanes. Returns the lanes with work and the next due time.
    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>);

    /// Makes those postponed records due now that `wanted` accepts. Returns the lanes with work.
    fn hasten(&self, now: Timestamp, wanted: RecordFilter<'_>) -> Vec<Lane>;

    /// Returns the number of records of the lane that [`Queue::lease`] and [`Batches::join`] hand out now.
    fn waiting(&self, lane: &Lane) -> usize;

    /// Returns the lanes with records that wait for a time or a lease, and the number of these.
    fn postponed(&self) -> HashMap<Lane, usize>;

    /// Takes all waiting and postponed records: the rest that a closing engine leaves.
    fn lease_rest(&self) -> Vec<Record>;

    /// Writes all pending operations. The journal accepts nothing after that.
    fn close(&self) -> Promise<'_, ()>;
}

/// The time during which one process has a lane: records that joined under two of them are in no batch
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure(pub i64);

impl Tenure {
    /// That of a journal which no other process takes work from.
    pub const ONLY: Self = Self(0);
}

/// Batches of records that are stored together.
///
/// **Invariant:** a sealed batch has the same records, in the same order, until it is forgotten, also
/// after a restart.
pub trait Batches: Send + Sync {
    /// Takes the oldest waiting record of a lane into an open batch. This is not durable: if the
    /// process ends before [`Batches::seal`], the record waits in its lane again.
    fn join(&self, lane: &Lane) -> Option<(Record, Tenure)>;

    /// Stores the records of a batch by their numbers, in this order. Returns `false` if the tenure
    /// under which they joined is over: another process has them, and may store them itself.
    fn seal<'a>(
        &'a self,
        batch: &'a SealedBatch,
        tenure: Tenure,
        records: Vec<u64>,
    ) -> Promise<'a, Result<bool>>;

    /// Gives up a record whose tenure is over.
    fn leave(&self, record: &Record);

    /// Stores a note of the destination for a sealed batch, in place of the note before.
    fn note_batch<'a>(&'a self, batch: u64, note: Option<&'a str>) -> Promise<'a, Result<()>>;

    /// Stores the result of a sealed batch. Its records are settled after that.
    fn conclude(&self, batch: u64, conclusion: &str);

    /// Removes a sealed batch: all its records are settled.
    fn forget_batch(&self, batch: u64);

    /// Resolves when all operations until now are written, so that a long series of settlements can
    /// wait now and then.
    fn written(&self) -> Promise<'_, ()>;
}

/// The calls that an earlier process left, and that are brought into the lanes in parts.
pub trait Recovery: Send + Sync {
    /// Returns `true` if a commit survives the end of the process.
    fn is_durable(&self) -> bool;

    /// Resolves when the journal would store a small commit now.
    ///
    /// # Errors
    /// `Journal`, `JournalFull`: it would refuse it.
    fn probe(&self) -> Promise<'_, Result<()>>;

    /// Brings the next part into the lanes; `None`: nothing is left.
    fn refill(&self) -> Promise<'_, Result<Option<Refill>>>;

    /// Waits until [`Recovery::refill`] has something that another process left or recorded. Returns
    /// `false` if there will be nothing: the journal is this process's own, or closed.
    fn arrival(&self) -> Promise<'_, bool>;

    /// Postpones a record that was brought back until then.
    fn delay(&self, lane: Lane, record: Record, until: Timestamp);

    /// Resolves when there is room for another [`Recovery::refill`].
    fn room(&self) -> Promise<'_, ()>;

    /// Returns the number of calls that are in no lane yet.
    fn backlog(&self) -> usize;

    /// Returns the bytes of its file; 0 without one.
    fn bytes(&self) -> u64;

    /// Returns the failed deliveries that are to be forwarded and are not, unless they come with
    /// [`Recovery::refill`]. It may block.
    fn unforwarded(&self) -> Result<Vec<Uuid>>;

    /// Returns the fleet that shares the journal; `None`: it is this process's own.
    fn fleet(&self) -> Option<&dyn Fleet>;
}

/// The nodes that share a journal, as one of them sees them.
pub trait Fleet: Send + Sync {
    /// Returns the figures of this node.
    fn figures(&self) -> NodeFigures;

    /// Counts what waits at all nodes.
    fn waiting(&self) -> Promise<'_, Result<FleetWaiting>>;

    /// Sends a command to the nodes that deliver, this one included, through [`Refill::commands`].
    /// Returns the sum of their results.
    fn command(&self, content: String) -> Promise<'_, Result<usize>>;

    /// Returns this node's result of a command.
    fn answer(&self, command: u64, result: usize);

    /// Numbers and stores an event, once for each delivery. Returns the version of the registrations that
    /// was in effect as well. The event comes to every node that follows, this one included.
    fn publish(&self, event: NewEvent) -> Promise<'_, Result<(StoredEvent, u64)>>;

    /// Begins to hand over the events after this one. The `forgotten` ones are not kept by this node.
    fn follow_events(&self, after: EventId, forgotten: Vec<EventId>);

    /// Looks at once for what other nodes did.
    fn look(&self);
}

/// The log: executions and their deliveries, including those of open buffers.
pub trait History: Send + Sync {
    /// Returns the executions in progress and the part of the past that is in memory.
    fn log(&self) -> &Log;

    /// Finds deliveries, newest first.
    fn deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<Vec<Found>>>;

    /// Finds executions, newest first, as a JSON array.
    fn executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<String>>;

    /// Counts the deliveries of a query up to `most`, without its limit and position. Calls that an
    /// earlier process left and that are in no lane yet are not counted.
    fn count_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>>;

    /// Counts the executions of a query up to `most`, without its limit and position.
    fn count_executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>>;

    /// Counts the dead letters.
    fn count_dead_letters(&self) -> Promise<'_, Result<usize>>;

    /// Returns the selection in parts that fit in memory, in the original order of the calls.
    fn parts<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Vec<Selection>>>;

    /// Returns the figures of terminal deliveries recorded since then, up to the newest
    /// [`MAX_SAMPLES`](crate::execution::MAX_SAMPLES).
    fn samples(&self, since: Timestamp) -> Promise<'_, Result<Vec<Sample>>>;

    /// Returns the calls of a selection that can be committed again. A query selects dead letters,
    /// each once.
    fn replayable<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Selected>>;

    /// Dismisses the dead letters of a selection. Returns their number. Resolves when the change is as
    /// durable as a commit.
    fn dismiss<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<usize>>;
}

/// The log as it is followed: the order in which deliveries became terminal.
pub trait Settlements: Send + Sync {
    /// Finds the deliveries that became terminal after a place, each once, in the order of their
    /// settlement; without a place, the place after the newest.
    fn settled<'a>(
        &'a self,
        after: Option<SettlementCursor>,
        query: &'a DeliveryQuery,
    ) -> Promise<'a, Result<SettledPage>>;
}

/// Published events and registrations, which outlive executions.
pub trait Records: Send + Sync {
    /// Stores a published event and removes the `forgotten` ones.
    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>);

    /// Returns the stored events in the order of their numbers. It may block.
    fn kept_events(&self) -> Result<Vec<Event>>;

    /// Stores registrations by their ids, and removes those without a text. Resolves when the change
    /// is as durable as a commit.
    fn register(&self, changes: Vec<(String, Option<String>)>) -> Promise<'_, Result<()>>;

    /// Returns the texts of the stored registrations. It may block.
    fn registrations(&self) -> Result<Vec<String>>;
}

/// Chooses postponed records, each with the time at which it is due.
pub type RecordFilter<'a> = &'a dyn Fn(Timestamp, &Record) -> bool;

/// The effect of a settlement or a commit on its execution.
#[derive(Debug, Clone)]
pub enum Finished {
    /// Some deliveries are not terminal, or the execution goes on.
    NotYet,
    /// Everything is terminal.
    Execution(Arc<ExecutionLog>),
}
