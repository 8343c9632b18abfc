//! The queue and the batches in memory.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::{Applied, MemoryJournal, lanes_of};
use crate::error::Result;
use crate::execution::{Settlement, Waiting};
use crate::journal::{
    Batches, Commit, Finished, Fleet, Lane, Promise, Queue, Record, RecordFilter, Recovery, Refill,
    Refusal, SealedBatch, Tenure,
};
use crate::time::Timestamp;

impl Queue for MemoryJournal {
    fn append(&self, commit: Commit) -> Promise<'_, std::result::Result<Vec<Lane>, Box<Refusal>>> {
        let first_seq = self.next_seq.fetch_add(commit.items.len() as u64, Ordering::Relaxed);
        let execution = Arc::clone(&commit.execution);
        let Applied { lanes, finished, .. } = self.apply(commit, first_seq);
        self.note_finish(&execution, finished);
        Box::pin(ready(Ok(lanes)))
    }

    fn lease<'a>(&'a self, lane: &'a Lane) -> Promise<'a, Option<Record>> {
        Box::pin(ready(self.begin_attempt(lane)))
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        let settled = record.execution.settle(record.place, settlement, self.log.budget());
        self.log.add_bytes(settled.kept);
        self.log.note_settled(&record.execution, [(record.place, settled.kept)]);
        self.note_finish(&record.execution, settled.finished)
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        let waiting = Waiting::new(record.last_error.clone(), until.by_system());
        record.execution.postpone(record.place, record.attempts, note, waiting);
        self.delay(lane.clone(), record, until);
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        let mut postponed = self.postponed();
        let mut touched = Vec::new();
        for (lane, record) in postponed.take_due(now).into_values() {
            if !touched.contains(&lane) {
                touched.push(lane.clone());
            }
            self.put(lane, record);
        }
        (touched, postponed.next())
    }

    fn hasten(&self, _now: Timestamp, wanted: RecordFilter<'_>) -> Vec<Lane> {
        lanes_of(self.recall(wanted))
    }

    fn waiting(&self, lane: &Lane) -> usize {
        self.lanes().get(lane).map_or(0, VecDeque::len)
    }

    fn postponed(&self) -> HashMap<Lane, usize> {
        self.postponed().counts()
    }

    fn lease_rest(&self) -> Vec<Record> {
        let mut postponed = self.postponed();
        let delayed = postponed.take(|_, _| true);
        #[cfg_attr(not(test), expect(unused_mut, reason = "only a simulation needs an order"))]
        let mut waiting = self.lanes().drain().flat_map(|(_, queue)| queue).collect::<Vec<_>>();
        #[cfg(test)]
        waiting.sort_by_key(|record| record.seq);
        waiting.into_iter().chain(delayed.into_values().map(|(_, record)| record)).collect()
    }

    fn close(&self) -> Promise<'_, ()> {
        Box::pin(ready(()))
    }
}

impl Batches for MemoryJournal {
    fn join(&self, lane: &Lane) -> Option<(Record, Tenure)> {
        let record = self.pop(lane)?;
        record.execution.join(record.place);
        Some((record, Tenure::ONLY))
    }

    fn seal<'a>(
        &'a self,
        _batch: &'a SealedBatch,
        _tenure: Tenure,
        _records: Vec<u64>,
    ) -> Promise<'a, Result<bool>> {
        Box::pin(ready(Ok(true)))
    }

    fn leave(&self, _record: &Record) {}

    fn note_batch<'a>(&'a self, _batch: u64, _note: Option<&'a str>) -> Promise<'a, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn conclude(&self, _batch: u64, _conclusion: &str) {}

    fn forget_batch(&self, _batch: u64) {}

    fn written(&self) -> Promise<'_, ()> {
        Box::pin(ready(()))
    }
}

impl Recovery for MemoryJournal {
    fn is_durable(&self) -> bool {
        false
    }

    fn probe(&self) -> Promise<'_, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn refill(&self) -> Promise<'_, Result<Option<Refill>>> {
        Box::pin(ready(Ok(None)))
    }

    fn arrival(&self) -> Promise<'_, bool> {
        Box::pin(ready(false))
    }

    fn delay(&self, lane: Lane, record: Record, until: Timestamp) {
        self.postponed().insert(lane, record, until);
    }

    fn room(&self) -> Promise<'_, ()> {
        Box::pin(ready(()))
    }

    fn backlog(&self) -> usize {
        0
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn unforwarded(&self) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }
}
