//! The journal that the options choose: one `match` for each operation.

use std::sync::Arc;

use super::{
    Commit, Finished, Journal, Lane, MemoryJournal, Record, Refill, Refusal, Replayable,
    SealedBatch, SqliteJournal,
};
use crate::error::Result;
use crate::observability::log::{
    DeliveryQuery, ExecutionQuery, Found, Log, OpenBuffer, Selection, Settlement,
};
use crate::observability::time::Timestamp;
use crate::streams::{Event, EventId};

/// In memory, or in a data directory.
#[derive(Debug)]
pub enum ChosenJournal {
    /// As durable as the process.
    Memory(Box<MemoryJournal>),
    /// As durable as its file.
    Sqlite(Box<SqliteJournal>),
}

/// Asks whichever journal it is.
macro_rules! ask {
    ($self:ident, $journal:ident => $answer:expr) => {
        match $self {
            Self::Memory($journal) => $answer,
            Self::Sqlite($journal) => $answer,
        }
    };
}

impl Journal for ChosenJournal {
    async fn append(&self, commit: Commit) -> std::result::Result<Vec<Lane>, Box<Refusal>> {
        ask!(self, journal => journal.append(commit).await)
    }

    async fn lease(&self, lane: &Lane) -> Option<Record> {
        ask!(self, journal => journal.lease(lane).await)
    }

    fn join(&self, lane: &Lane) -> Option<Record> {
        ask!(self, journal => journal.join(lane))
    }

    async fn seal(&self, batch: &SealedBatch, records: Vec<u64>) -> Result<()> {
        ask!(self, journal => journal.seal(batch, records).await)
    }

    async fn note_batch(&self, batch: u64, note: Option<&str>) -> Result<()> {
        ask!(self, journal => journal.note_batch(batch, note).await)
    }

    fn conclude(&self, batch: u64, conclusion: &str) {
        ask!(self, journal => journal.conclude(batch, conclusion));
    }

    fn forget_batch(&self, batch: u64) {
        ask!(self, journal => journal.forget_batch(batch));
    }

    async fn written(&self) {
        ask!(self, journal => journal.written().await);
    }

    fn lease_rest(&self) -> Vec<Record> {
        ask!(self, journal => journal.lease_rest())
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        ask!(self, journal => journal.postpone(lane, record, until, note));
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        ask!(self, journal => journal.wake_due(now))
    }

    fn postponed(&self) -> usize {
        ask!(self, journal => journal.postponed())
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        ask!(self, journal => journal.settle(record, settlement))
    }

    fn log(&self) -> &Log {
        ask!(self, journal => journal.log())
    }

    fn waiting(&self, lane: &Lane) -> usize {
        ask!(self, journal => journal.waiting(lane))
    }

    fn is_durable(&self) -> bool {
        ask!(self, journal => journal.is_durable())
    }

    async fn refill(&self) -> Result<Option<Refill>> {
        ask!(self, journal => journal.refill().await)
    }

    async fn room(&self) {
        ask!(self, journal => journal.room().await);
    }

    fn backlog(&self) -> usize {
        ask!(self, journal => journal.backlog())
    }

    async fn deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<Vec<Found>> {
        ask!(self, journal => journal.deliveries(query, open).await)
    }

    async fn executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<String> {
        ask!(self, journal => journal.executions(query, open).await)
    }

    async fn replayable(&self, selection: &Selection) -> Result<Vec<Replayable>> {
        ask!(self, journal => journal.replayable(selection).await)
    }

    async fn count_deliveries(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Result<usize> {
        ask!(self, journal => journal.count_deliveries(query, open).await)
    }

    async fn count_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<usize> {
        ask!(self, journal => journal.count_executions(query, open).await)
    }

    fn keep_event(&self, event: &Arc<Event>, forgotten: Vec<EventId>) {
        ask!(self, journal => journal.keep_event(event, forgotten));
    }

    fn kept_events(&self) -> Result<Vec<Event>> {
        ask!(self, journal => journal.kept_events())
    }

    async fn register(&self, changes: Vec<(String, Option<String>)>) -> Result<()> {
        ask!(self, journal => journal.register(changes).await)
    }

    fn registrations(&self) -> Result<Vec<String>> {
        ask!(self, journal => journal.registrations())
    }

    async fn close(&self) {
        ask!(self, journal => journal.close().await);
    }
}
