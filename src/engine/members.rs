//! The records of one batch, from joining it to their end.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::Engine;
use super::conclusion::Conclusion;
use crate::destinations::{Failure, Kind, Payload};
use crate::error::ErrorKind;
use crate::journal::{Journal, Record};
use crate::observability::log::{ExecutionLog, Settlement};
use crate::observability::time::Timestamp;

/// A record that is in a batch: as small as it can be, because there may be hundreds of thousands.
/// What it holds is encoded already.
pub(super) struct Member {
    execution: Arc<ExecutionLog>,
    pub seq: u64,
    /// Its place in the execution.
    place: u32,
    /// Its place in the batch, from 0.
    line: u32,
    /// Bytes of the call, which count until it is settled.
    bytes: u32,
    kind: Kind,
}

impl Member {
    /// A record at this place of its batch.
    pub(super) fn new(line: usize, record: Record) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            seq: record.seq,
            place: small(record.place),
            line: small(line),
            bytes: small(record.payload.len()),
            kind: record.kind,
            execution: record.execution,
        }
    }

    /// The record again, without its payload, and the bytes of that.
    fn into_record(self) -> (Record, usize) {
        let record = Record {
            id: Uuid::nil(),
            seq: self.seq,
            attempts: 0,
            recorded_at: Timestamp::default(),
            recovered: false,
            execution: self.execution,
            place: self.place as usize,
            kind: self.kind,
            payload: Payload::default(),
            refused: None,
        };
        (record, self.bytes as usize)
    }
}

/// The records of a batch. **Invariant:** each is settled or put back, also when its task is aborted.
pub(super) struct Members {
    engine: Arc<Engine>,
    pub all: VecDeque<Member>,
    /// What became of the batch, once that is known.
    pub conclusion: Option<Arc<Conclusion>>,
}

impl Members {
    /// Records that belong together.
    pub(super) const fn new(engine: Arc<Engine>, all: VecDeque<Member>) -> Self {
        Self { engine, all, conclusion: None }
    }

    /// Settles the first that is left; the answer is whether there was one.
    pub(super) fn settle_next(&mut self, settlement: impl FnOnce(u32) -> Settlement) -> bool {
        let Some(member) = self.all.pop_front() else { return false };
        let line = member.line;
        let (record, bytes) = member.into_record();
        if let Some(conclusion) = &self.conclusion {
            record.execution.count_attempts(record.place, conclusion.attempts);
        }
        self.engine.settle_sized(&record, bytes, settlement(line));
        true
    }

    /// Settles all as failed.
    pub(super) fn fail_all(mut self, failure: &Failure) {
        while self.settle_next(|_| unstored(failure.clone())) {}
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if self.engine.journal.is_durable() {
            for member in std::mem::take(&mut self.all) {
                self.engine.leave_sized(member.bytes as usize);
            }
            return;
        }
        let conclusion = self.conclusion.clone();
        let message = "the engine closed before the batch was stored";
        let failure = Failure::new(ErrorKind::Interrupted, message);
        let end = |line| match &conclusion {
            Some(conclusion) => conclusion.settlement(line),
            None => unstored(failure.clone()),
        };
        while self.settle_next(end) {}
    }
}

/// The end of a record that was never in a stored batch.
pub(super) fn unstored(failure: Failure) -> Settlement {
    Settlement { failure: Some(failure), request: None, response: None, warnings: Vec::new() }
}
