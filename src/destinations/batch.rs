//! Batches: the policy as data, and what a destination makes of one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::sql::RowSet;
use super::{Failure, Verdict};
use crate::observability::time::Timestamp;

/// When a batch is closed: at the first of these.
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
    /// What it is called from here on, whatever happens: where it is stored.
    pub name: String,
    /// What is stored.
    pub bytes: Bytes,
    /// What is stored instead, if it is rows.
    pub rows: Option<Arc<RowSet>>,
}

impl Encoded {
    /// Bytes of all that is stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.bytes.len(), |rows| rows.len())
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What came of one attempt to store a batch.
#[derive(Debug)]
pub struct Stored {
    /// How it ended, for every record of it.
    pub verdict: Verdict,
    /// What the log shows of it as the response to every record: a JSON object, to which the log
    /// adds the record's place. `None`: there was none.
    pub response: Option<Box<RawValue>>,
    /// What the senders of the calls should know, one sentence each.
    pub warnings: Vec<String>,
    /// Records that ended otherwise than the batch, by their places from 0; `None` is delivered.
    pub exceptions: BTreeMap<u32, Option<Failure>>,
}

/// Which call a record of a batch is.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The delivery's id.
    pub id: Uuid,
    /// The workflow whose step made the call.
    pub workflow_id: &'a str,
    /// When the call was made.
    pub recorded_at: Timestamp,
}

impl Stored {
    /// An attempt that came to nothing.
    #[must_use]
    pub const fn nowhere(verdict: Verdict) -> Self {
        Self { verdict, response: None, warnings: Vec::new(), exceptions: BTreeMap::new() }
    }
}

/// Where a destination writes down what it has begun outside, so that a later attempt, maybe of
/// another process, can clear it away.
pub trait Notebook: Sync {
    /// Replaces the note of the batch; `None`: there is nothing left to clear away. Resolves when it
    /// is as durable as the batch.
    fn write(&self, note: Option<&str>) -> impl Future<Output = ()> + Send;
}
