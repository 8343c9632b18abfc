//! What goes into a journal and what comes out.

use std::sync::Arc;

use uuid::Uuid;

use crate::destinations::{Failure, Kind, Payload};
use crate::observability::log::ExecutionLog;
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

/// A handed-over call, leased for one attempt.
#[derive(Debug)]
pub struct Record {
    /// The delivery's id.
    pub id: Uuid,
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
