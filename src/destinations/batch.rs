//! Batches: the policy as data, and what a destination makes of one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::sql::RowSet;
use crate::delivery::{Delays, Failure, Payload, Verdict};
use crate::time::Timestamp;

/// A destination that stores calls together.
///
/// **Invariant:** the same calls in the same order are the same batch, with the same name and the
/// same bytes, also in another process.
pub trait Batching: Send + Sync {
    /// Returns the limits of a batch; `None`: calls are delivered one by one.
    fn limits(&self) -> Option<BatchLimits>;

    /// Returns an empty batch of a queue, for a first record of this id; with a name, one that was
    /// called so before.
    fn begin(&self, lane: &str, first: Uuid, name: Option<&str>) -> Box<dyn OpenBatch>;

    /// Makes one attempt to store a batch. `left` is the note of an earlier attempt.
    fn store<'a>(
        &'a self,
        batch: &'a Encoded,
        left: Option<&'a str>,
        checkpoint: &'a dyn BatchCheckpoint,
    ) -> BoxFuture<'a, StoreOutcome>;

    /// Returns the delays between attempts to store a batch; `None`: it is kept until it is stored
    /// or refused.
    fn delays(&self) -> Option<Delays> {
        None
    }

    /// Returns the number of batches that may be stored at once in one place.
    fn concurrency(&self) -> usize {
        4
    }

    /// Returns the place of a batch of this name: a place that does not respond delays no other.
    /// `None`: there is one place.
    fn place<'a>(&self, _name: &'a str) -> Option<&'a str> {
        None
    }
}

/// A batch that is still growing.
pub trait OpenBatch: fmt::Debug + Send {
    /// Returns the bytes that it has encoded, as far as that is known yet.
    fn encoded(&self) -> usize;

    /// Adds a call.
    ///
    /// # Errors
    /// The reason why it can be in no batch.
    fn add(&mut self, payload: &Payload, origin: Origin<'_>) -> Result<(), Failure>;

    /// Closes it and encodes what is left of it: some work for the processor.
    ///
    /// # Errors
    /// The reason why that cannot be done.
    fn close(self: Box<Self>, at: Timestamp) -> Result<Encoded, Failure>;
}

/// The limits of a batch: the first one that is reached closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// The age of its first record. Default: 60 s.
    pub interval: Duration,
    /// The time since its last record. Default: any.
    pub idle: Option<Duration>,
    /// Bytes as they are encoded. Default: 64 MiB.
    pub max_bytes: usize,
    /// Records. Default: 100,000.
    pub max_count: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            idle: None,
            max_bytes: 64 << 20,
            max_count: 100_000,
        }
    }
}

/// A closed batch, encoded. The same records in the same order are the same batch.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The name under which it is stored, also after a restart.
    pub name: String,
    /// The bytes to store.
    pub bytes: Bytes,
    /// Rows, for destinations that store rows instead of bytes.
    pub rows: Option<Arc<RowSet>>,
}

impl Encoded {
    /// Bytes of all that is stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.bytes.len(), |rows| rows.len())
    }

    /// Returns `true` if there are no bytes and no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The result of one attempt to store a batch.
#[derive(Debug)]
pub struct StoreOutcome {
    /// The verdict on all its records, except for `exceptions`.
    pub verdict: Verdict,
    /// The response to every record in the log: a JSON object, to which the log adds the record's
    /// place; `None`: no response.
    pub response: Option<Box<RawValue>>,
    /// Warnings for the senders of the calls.
    pub warnings: Vec<String>,
    /// Records that ended otherwise than the batch, by their places from 0; `None` is delivered.
    pub exceptions: BTreeMap<u32, Option<Failure>>,
    /// The failures of records that want another attempt, by their places, where they are not the
    /// verdict's.
    pub retries: BTreeMap<u32, Failure>,
}

/// The call of a record in a batch.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The delivery's id.
    pub id: Uuid,
    /// The id of the call: that of its first delivery, the same for each replay.
    pub call: Uuid,
    /// The workflow whose step made the call.
    pub workflow_id: &'a str,
    /// The time of the call.
    pub recorded_at: Timestamp,
}

impl StoreOutcome {
    /// Returns an attempt without a response.
    #[must_use]
    pub const fn without_response(verdict: Verdict) -> Self {
        Self {
            verdict,
            response: None,
            warnings: Vec::new(),
            exceptions: BTreeMap::new(),
            retries: BTreeMap::new(),
        }
    }
}

/// Stores a note about uploads in progress, so that a later attempt, maybe of another process, can
/// remove them.
pub trait BatchCheckpoint: Sync {
    /// Replaces the note of the batch; `None`: there is nothing left to clear away. Resolves when it
    /// is as durable as the batch.
    fn write<'a>(&'a self, note: Option<&'a str>) -> BoxFuture<'a, ()>;
}
