//! What goes into a journal and what comes out.

use std::sync::Arc;

use uuid::Uuid;

use crate::destinations::{Failure, Kind, Payload};
use crate::error::Error;
use crate::observability::log::{Entry, ExecutionLog};
use crate::observability::time::Timestamp;
use crate::recording::Item;

/// The key of a queue. Records of one lane are leased in order; lanes do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The destination, which decides how many records may be in flight at once.
    pub kind: Kind,
    /// For `http` the origin of the URL, otherwise the destination's name.
    pub key: Arc<str>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// It goes on: this is a flush.
    Continues,
    /// The completion hook fired, with the message of the error if there was one.
    Completed {
        /// The message of the runner's error.
        error: Option<String>,
    },
    /// Its calls were dropped.
    Discarded,
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
    /// Whether this is the end.
    pub completion: Completion,
}

/// A commit that was not taken, and why.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// All of it.
    pub commit: Commit,
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
    /// When the call was made.
    pub recorded_at: Timestamp,
    /// Whether an earlier process left it: it may have been sent by that one.
    pub recovered: bool,
    /// The execution it belongs to.
    pub execution: Arc<ExecutionLog>,
    /// Its place in the execution's log.
    pub place: usize,
    /// The destination.
    pub kind: Kind,
    /// What to deliver.
    pub payload: Payload,
    /// Why no attempt can be made at all.
    pub refused: Option<Box<Failure>>,
}

/// A closed batch: from here on these records, in this order, under this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// The number of its first record.
    pub id: u64,
    /// The lane whose records are in it.
    pub lane: Lane,
    /// What it is called where it is stored.
    pub name: String,
    /// Why it was closed.
    pub reason: String,
    /// When it was closed.
    pub sealed_at: Timestamp,
    /// How many records it has.
    pub records: usize,
}

/// A sealed batch that an earlier process left.
#[derive(Debug)]
pub struct RestoredBatch {
    /// What was sealed.
    pub sealed: SealedBatch,
    /// The destination's note about storing it.
    pub note: Option<String>,
    /// What became of it, if that is known.
    pub conclusion: Option<String>,
    /// The records of it that are not terminal, each with its place from 0: all of them unless
    /// there is a conclusion.
    pub records: Vec<(usize, Record)>,
}

/// What was brought back into the lanes.
#[derive(Debug, Default)]
pub struct Refill {
    /// Lanes that have work now.
    pub lanes: Vec<Lane>,
    /// Calls that wait in them.
    pub calls: usize,
    /// Bytes that those have.
    pub bytes: usize,
    /// Whether some wait for their time.
    pub delayed: bool,
    /// Calls that are not to be sent again: an attempt was under way, and nobody knows what became
    /// of it.
    pub interrupted: Vec<Record>,
    /// Sealed batches, whose calls are in no lane.
    pub batches: Vec<RestoredBatch>,
}

/// A failed delivery, as the call that it was.
#[derive(Debug)]
pub struct Replayable {
    /// The failed delivery.
    pub id: Uuid,
    /// Its execution.
    pub execution: Arc<ExecutionLog>,
    /// The call.
    pub item: Item,
}

impl Replayable {
    /// The call of a failed delivery whose payload the log still has.
    #[must_use]
    pub fn of(execution: &Arc<ExecutionLog>, entry: &Entry) -> Option<Self> {
        let payload = *entry.replayable.clone()?;
        let item = Item {
            kind: entry.kind,
            step: Arc::clone(&entry.step),
            index: entry.index,
            replay_of: Some(entry.id),
            recorded_at: Timestamp::now(),
            payload,
            warnings: Vec::new(),
            refused: None,
        };
        Some(Self { id: entry.id, execution: Arc::clone(execution), item })
    }
}
