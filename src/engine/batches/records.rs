//! The records of one batch, from joining it to their end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::result::BatchResult;
use crate::delivery::{Failure, Kind, Payload};
use crate::engine::shared::SharedParts;
use crate::error::ErrorKind;
use crate::execution::{ExecutionLog, Settlement, Waiting};
use crate::journal::Record;
use crate::time::Timestamp;

/// A record that is in a batch: as small as it can be, because there may be hundreds of thousands.
/// What it holds is encoded already.
pub(super) struct BatchRecord {
    execution: Arc<ExecutionLog>,
    pub seq: u64,
    /// Its place in the execution.
    place: u32,
    /// Its place in the batch, from 0.
    position: u32,
    /// Bytes of the call, which count until it is settled.
    bytes: u32,
    kind: Kind,
}

impl BatchRecord {
    /// A record at this place of its batch.
    pub(super) fn new(position: usize, record: Record) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            seq: record.seq,
            place: small(record.place),
            position: small(position),
            bytes: small(record.payload.cost()),
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
            last_error: None,
            refused: None,
        };
        (record, self.bytes as usize)
    }
}

/// An attempt that leaves records of a batch without an end.
pub(super) struct FailedAttempt {
    /// The failure of the batch.
    pub failure: Failure,
    /// The failures of records, by their places, where they are not that of the batch.
    pub retries: BTreeMap<u32, Failure>,
    /// The records that have an end, by their places; `None` is delivered.
    pub ends: BTreeMap<u32, Option<Failure>>,
}

/// The records of a batch. **Invariant:** each is settled or put back, also when its task is aborted.
pub(super) struct BatchRecords {
    shared: Arc<SharedParts>,
    pub all: VecDeque<BatchRecord>,
    /// The result of the batch, as far as it is known.
    pub result: Option<Arc<BatchResult>>,
}

impl BatchRecords {
    /// Records that belong together.
    pub(super) const fn new(shared: Arc<SharedParts>, all: VecDeque<BatchRecord>) -> Self {
        Self { shared, all, result: None }
    }

    /// Notes the failure to store the records, each with its own; those without an end are stored
    /// again at `until`.
    pub(super) fn delay(&self, attempts: u32, failed: &FailedAttempt, until: Timestamp) {
        let FailedAttempt { failure, retries, ends } = failed;
        let shared = Arc::new(failure.clone());
        for record in &self.all {
            let BatchRecord { execution, place, position, .. } = record;
            let place = *place as usize;
            if let Some(end) = ends.get(position) {
                execution.end_within_batch(place, attempts, end.as_ref());
                continue;
            }
            let own = retries.get(position).map(|own| Arc::new(own.clone()));
            let failure = own.unwrap_or_else(|| Arc::clone(&shared));
            let note = format!("attempt {attempts} failed: {failure}; again at {until}");
            execution.delay(place, attempts, note, Waiting::new(Some(failure), until));
        }
    }

    /// Settles the first record that is left. Returns `false` if there is none.
    pub(super) fn settle_next(&mut self, settlement: impl FnOnce(u32) -> Settlement) -> bool {
        let Some(next) = self.all.pop_front() else { return false };
        let position = next.position;
        let (record, bytes) = next.into_record();
        if let Some(result) = &self.result {
            record.execution.count_attempts(record.place, result.attempts);
        }
        self.shared.settle_with_size(&record, bytes, settlement(position));
        true
    }

    /// Leaves all to the process that has them now.
    pub(super) fn leave(mut self) {
        for record in std::mem::take(&mut self.all) {
            let (record, bytes) = record.into_record();
            self.shared.journal.leave(&record);
            self.shared.keep_in_journal(bytes);
        }
    }

    /// Settles all as failed.
    pub(super) fn fail_all(mut self, failure: &Failure) {
        while self.settle_next(|_| failed_before_storing(failure.clone())) {}
    }
}

impl Drop for BatchRecords {
    fn drop(&mut self) {
        if self.shared.journal.is_durable() {
            for record in std::mem::take(&mut self.all) {
                self.shared.keep_in_journal(record.bytes as usize);
            }
            return;
        }
        let result = self.result.clone();
        let failure = interrupted();
        let end = |position| match &result {
            Some(result) => result.settlement(position),
            None => failed_before_storing(failure.clone()),
        };
        while self.settle_next(end) {}
    }
}

/// The failure of records that have no end when the engine closes.
pub(super) fn interrupted() -> Failure {
    Failure::new(ErrorKind::Interrupted, "the engine closed before the batch was stored")
}

/// The end of a record that was never in a stored batch.
pub(super) fn failed_before_storing(failure: Failure) -> Settlement {
    Settlement {
        failure: Some(failure),
        request: None,
        response: None,
        warnings: Vec::new(),
        is_forwarded: false,
    }
}
