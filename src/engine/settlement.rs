//! The end of a delivery: every effect that it has, in one place.
//!
//! **Invariant:** what a delivery holds (its place in the journal, its memory, its count among the
//! pending ones) is given back here, by [`SharedParts::settle`] or [`SharedParts::keep_in_journal`], once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::value::RawValue;

use super::shared::SharedParts;
use crate::delivery::Failure;
use crate::error::ErrorKind;
use crate::execution::{
    ExecutionLog, ExecutionView, RequestLog, Settlement, Status, delivery_json,
};
use crate::journal::{Finished, Record};
use crate::observability::events::Topic;

impl SharedParts {
    /// Writes the end of a record and publishes it.
    pub(crate) fn settle(&self, record: &Record, settlement: Settlement) {
        self.settle_with_size(record, record.payload.cost(), settlement);
    }

    /// Settles a record that holds so many bytes of memory, because its payload is elsewhere.
    pub(crate) fn settle_with_size(
        &self,
        record: &Record,
        bytes: usize,
        mut settlement: Settlement,
    ) {
        let is_forwarded = settlement.failure.is_some() && self.is_forwarded(record);
        settlement.is_forwarded = is_forwarded;
        let counters = &self.observers.counters;
        let (counter, status) = match settlement.failure {
            None => (&counters.delivered, Status::Delivered),
            Some(_) => (&counters.failed, Status::Failed),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let finished = self.journal.settle(record, settlement);
        self.note_status(record, status);
        self.budget.release(bytes);
        self.publish(record);
        if is_forwarded {
            self.forward_record(record);
        }
        if status == Status::Failed {
            self.alert_of_dead_letter(record);
        }
        if let Finished::Execution(execution) = finished {
            self.publish_if_finished(&execution);
        }
        self.end(1);
    }

    /// Leaves a record in the journal: this engine does nothing more about it.
    pub(crate) fn keep_in_journal(&self, bytes: usize) {
        self.budget.release(bytes);
        self.end(1);
    }

    /// Gives up a record whose delivery the closing engine interrupts: a durable journal keeps it for
    /// the next opening, and without one it fails with this message.
    pub(crate) fn interrupt(&self, record: &Record, message: &str) {
        if self.journal.is_durable() {
            self.keep_in_journal(record.payload.cost());
            return;
        }
        let failure = Failure::new(ErrorKind::Interrupted, message);
        self.settle(record, self.unsent(record, failure));
    }

    /// Interrupts everything that waits in the lanes.
    pub(crate) fn interrupt_waiting(&self) {
        for record in self.journal.lease_rest() {
            self.interrupt(&record, "the engine closed before the delivery was attempted");
        }
    }

    /// Returns the end of a record of which nothing was sent, or of which that is unknown.
    pub(crate) fn unsent(&self, record: &Record, failure: Failure) -> Settlement {
        let request = Some(self.describe(record));
        Settlement {
            failure: Some(failure),
            request,
            response: None,
            warnings: Vec::new(),
            is_forwarded: false,
        }
    }

    /// Returns the request of a record, as the log shows it.
    pub(crate) fn describe(&self, record: &Record) -> RequestLog {
        self.destinations.of(record.kind).describe(&record.payload)
    }

    /// Notes a change of a record for those who show the log.
    pub(crate) fn note_status(&self, record: &Record, status: Status) {
        let execution_id = &record.execution.info.execution_id;
        self.observers.changes.note_delivery(record.id, execution_id, status.as_str());
    }

    /// Publishes the end of an execution, if it has ended.
    pub(crate) fn publish_if_finished(&self, execution: &Arc<ExecutionLog>) {
        let state = execution.state();
        if state.is_finished() {
            let events = &self.observers.events;
            events.emit(Topic::Execution, || ExecutionView::new(execution, &state, 0));
        }
    }

    fn publish(&self, record: &Record) {
        self.observers.events.emit(Topic::Delivery, || {
            let state = record.execution.state();
            let render = |kind, payload: &_| self.destinations.of(kind).describe(payload);
            let entry = &state.entries[record.place];
            let text = delivery_json(&record.execution.info, entry, &render);
            RawValue::from_string(text).unwrap_or_default()
        });
    }
}
