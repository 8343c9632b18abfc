//! The types that go into a journal and come out of it.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::delivery::{Failure, Kind, Payload};
use crate::error::{Error, ErrorKind};
use crate::execution::{ExecutionLog, ReplayOf, SkipReason, Status};
use crate::recording::Item;
use crate::time::Timestamp;

/// The key of a queue. Records of one lane are leased in order; lanes do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The destination, which decides how many records may be in flight at once.
    pub kind: Kind,
    /// For `http` the origin of the URL, otherwise the destination's name.
    pub key: Arc<str>,
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// It goes on: this is a flush.
    Continues,
    /// The completion hook fired, with what the runner says of the end.
    Completed {
        /// The message of the runner's error.
        error: Option<String>,
        /// The runner's text for the log.
        message: Option<String>,
    },
    /// Its calls were dropped.
    Discarded,
    /// It was over before: these calls came too late, and are logged as discarded.
    Over,
}

impl Completion {
    /// Returns whether the calls are logged as discarded instead of being delivered.
    #[must_use]
    pub const fn discards(&self) -> bool {
        match self {
            Self::Continues | Self::Completed { .. } => false,
            Self::Discarded | Self::Over => true,
        }
    }
}

/// A sealed recording on its way into the journal.
#[derive(Debug)]
pub struct Commit {
    /// The execution that the calls belong to.
    pub execution: Arc<ExecutionLog>,
    /// The execution's share of the delivery ids.
    pub seed: u64,
    /// The calls, each with the lane that it will wait in.
    pub items: Vec<(Lane, Item)>,
    /// The end of the execution, or that it continues.
    pub completion: Completion,
    /// The failed delivery that the call forwards. Its note is removed together with the commit.
    pub forwards: Option<Uuid>,
}

/// A commit that was not taken, and why.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// All of it.
    pub commit: Commit,
    /// The deliveries that it repeats or forwards and that another process has replayed, dismissed or
    /// forwarded meanwhile, or that the log has removed: the rest of it can be committed.
    pub taken: Vec<Uuid>,
}

/// A handed-over call, leased for one attempt.
#[derive(Debug)]
pub struct Record {
    /// The delivery's id.
    pub id: Uuid,
    /// The number that the journal knows it by.
    pub seq: u64,
    /// Attempts begun, this one included once it is leased.
    pub attempts: u32,
    /// The time of the call.
    pub recorded_at: Timestamp,
    /// `true` if an earlier process left it: that process may have sent it.
    pub recovered: bool,
    /// The execution it belongs to.
    pub execution: Arc<ExecutionLog>,
    /// Its place in the execution's log.
    pub place: usize,
    /// The destination.
    pub kind: Kind,
    /// The payload.
    pub payload: Payload,
    /// The failure of the last attempt.
    pub last_error: Option<Arc<Failure>>,
    /// The reason why no attempt can be made at all.
    pub refused: Option<Box<Failure>>,
}

/// A closed batch: from here on these records, in this order, under this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// The number of its first record.
    pub id: u64,
    /// The lane whose records are in it.
    pub lane: Lane,
    /// The name under which it is stored.
    pub name: String,
    /// The reason why it was closed.
    pub reason: String,
    /// The time at which it was closed.
    pub sealed_at: Timestamp,
    /// The number of records.
    pub records: usize,
}

/// A sealed batch that an earlier process left.
#[derive(Debug)]
pub struct RestoredBatch {
    /// The batch as it was sealed.
    pub sealed: SealedBatch,
    /// The destination's note about storing it.
    pub note: Option<String>,
    /// The result, if it is known.
    pub conclusion: Option<String>,
    /// The records of it that are not terminal, each with its place from 0: all of them unless
    /// there is a conclusion.
    pub records: Vec<(usize, Record)>,
}

/// A call that waits for its time.
#[derive(Debug)]
pub struct Delayed {
    /// Its lane.
    pub lane: Lane,
    /// The call.
    pub record: Record,
    /// Its time, by the system's clock.
    pub due: Timestamp,
}

/// The calls and batches that one part of the recovery returned.
#[derive(Debug, Default)]
pub struct Refill {
    /// Lanes that have work now.
    pub lanes: Vec<Lane>,
    /// Calls that wait in them.
    pub calls: usize,
    /// Bytes that those have.
    pub bytes: usize,
    /// Calls that are postponed. They are in no lane until [`super::Recovery::delay`].
    pub delayed: Vec<Delayed>,
    /// Calls that are not sent again: an attempt was in progress, and its outcome is unknown.
    pub interrupted: Vec<Record>,
    /// Sealed batches, whose calls are in no lane.
    pub batches: Vec<RestoredBatch>,
    /// Bytes of each call that this process had and that another one delivers from here on.
    pub left: Vec<usize>,
    /// Executions of this process whose last delivery another one made.
    pub ended: Vec<Arc<ExecutionLog>>,
    /// Rows of the log that other processes changed.
    pub changed: ChangedRows,
    /// `true` if registrations may have changed.
    pub registrations_changed: bool,
    /// Failed deliveries of taken shards that are to be forwarded and are not.
    pub unforwarded: Vec<Uuid>,
    /// Commands to this node, each with its number.
    pub commands: Vec<(u64, String)>,
}

/// Rows of the log that changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangedRows {
    /// The ids of executions.
    pub executions: Vec<Arc<str>>,
    /// Deliveries, each with the id of its execution and its status.
    pub deliveries: Vec<(Uuid, Arc<str>, Status)>,
    /// `true` if some are not named.
    pub left_out: bool,
}

/// The figures of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFigures {
    /// The node's number.
    pub node: u64,
    /// The nodes with a valid lease.
    pub nodes: usize,
    /// The shards that this node owns.
    pub shards: usize,
    /// The time since its lease was renewed.
    pub lease_age: Duration,
    /// Parts of commits that other nodes recorded for this one and that it has not taken.
    pub inbox: usize,
    /// The time for which the oldest of them has waited.
    pub inbox_lag: Duration,
}

/// An incident of a journal that an operator should know of.
#[derive(Debug, Clone, Copy)]
pub enum Incident<'a> {
    /// It could not be read or written, which is tried again.
    Trouble(&'a Error),
    /// So many dead letters were older than the log keeps them.
    DeadLettersRemoved(u64),
    /// The system's clock is so many milliseconds ahead of that of the fleet, or behind it.
    ClockDiffers(i64),
}

/// Tells of an incident.
pub type Report = Box<dyn Fn(Incident<'_>) + Send>;

/// The calls that wait at all nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetWaiting {
    /// The calls that are not terminal and of which no attempt is under way.
    pub calls: usize,
    /// The beginning of the oldest execution among theirs.
    pub since: Option<Timestamp>,
}

/// A call that can be replayed.
#[derive(Debug)]
pub struct Replayable {
    /// The call, and its newest delivery.
    pub replay: ReplayOf,
    /// The code of the newest failure.
    pub code: ErrorKind,
    /// Its execution.
    pub execution: Arc<ExecutionLog>,
    /// The call, ready to be committed again.
    pub item: Item,
}

/// The calls of a selection, in their original order.
#[derive(Debug, Default)]
pub struct Selected {
    /// The calls that can be replayed.
    pub calls: Vec<Replayable>,
    /// The selected deliveries that cannot be replayed.
    pub skipped: Vec<(Uuid, SkipReason)>,
}
