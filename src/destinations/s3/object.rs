//! The batch of one bucket and prefix, which becomes an object.

use super::item::{ObjectTarget, line};
use super::key::key;
use super::lines::Lines;
use crate::delivery::{Failure, Payload};
use crate::destinations::{Encoded, OpenBatch, Origin};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// An object whose lines are still growing.
#[derive(Debug)]
pub(super) struct OpenObject {
    /// The bucket and the prefix.
    lane: String,
    lines: Lines,
}

impl OpenObject {
    /// Returns a batch of this bucket and prefix.
    pub(super) fn new(lane: &str, lines: Lines) -> Self {
        Self { lane: lane.to_owned(), lines }
    }
}

impl OpenBatch for OpenObject {
    fn encoded(&self) -> usize {
        self.lines.encoded()
    }

    fn add(&mut self, payload: &Payload, _: Origin<'_>) -> Result<(), Failure> {
        if self.lane.is_empty() {
            ObjectTarget::of(payload)?;
        }
        self.lines.push(&line(payload)?).map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("the record cannot be encoded: {error}"))
        })
    }

    fn close(self: Box<Self>, at: Timestamp) -> Result<Encoded, Failure> {
        let form = (self.lines.compression(), self.lines.first());
        let bytes = self.lines.finish().map_err(|error| {
            Failure::new(ErrorKind::Internal, format!("the batch cannot be encoded: {error}"))
        })?;
        let (bucket, prefix) = self.lane.split_once('/').unwrap_or((&self.lane, ""));
        let key = key(prefix, at, &bytes, form);
        Ok(Encoded { name: format!("{bucket}/{key}"), bytes, rows: None })
    }
}
