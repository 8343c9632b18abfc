//! Gathering: a task for each lane that has records, which adds them to one growing batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::meter::{BatchMeter, Reason};
use super::records::{BatchRecord, BatchRecords, failed_before_storing};
use super::{BatchLanes, ClosedBatch, TURN, encode, no_batches, origin};
use crate::delivery::Failure;
use crate::destinations::OpenBatch;
use crate::engine::lanes::{Lanes, caught_now};
use crate::execution::BatchDue;
use crate::journal::{Lane, Record, SealedBatch, Tenure};
use crate::time::Timestamp;

/// The wait before what the journal could not write is written again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// A batch that grows.
struct GrowingBatch {
    batch: Box<dyn OpenBatch>,
    /// Under which all its records joined.
    tenure: Tenure,
    meter: BatchMeter,
    due: OpenUntil,
    records: BatchRecords,
}

/// The due time of a batch, for the log. Dropping it notes that the batch is closed.
struct OpenUntil {
    opened: Timestamp,
    shared: Arc<BatchDue>,
}

impl OpenUntil {
    /// The due time of a batch that is opened now.
    fn new() -> Self {
        Self { opened: Timestamp::now(), shared: Arc::default() }
    }
}

impl Drop for OpenUntil {
    fn drop(&mut self) {
        self.shared.clear();
    }
}

impl GrowingBatch {
    /// Takes a record in that was encoded.
    fn take(&mut self, record: Record) {
        self.meter.add(record.payload.len(), self.batch.encoded(), Instant::now().into_std());
        self.due.shared.set(self.due.opened.after(self.meter.lifetime()));
        record.execution.join_batch(record.place, &self.due.shared);
        self.records.all.push_back(BatchRecord::new(self.records.all.len(), record));
    }
}

impl BatchLanes {
    /// Sees to it that a task gathers the records that wait in the lane.
    pub(crate) fn gather_from(self: &Arc<Self>, lane: Lane, lanes: &Arc<Lanes>) {
        let mut wakeups = self.wakeups();
        if let Some(wakeup) = wakeups.get(&lane) {
            wakeup.notify_one();
            return;
        }
        let wakeup = Arc::<Notify>::default();
        wakeups.insert(lane.clone(), Arc::clone(&wakeup));
        drop(wakeups);
        self.shared.tasks.spawn(Arc::clone(self).gather(lane, wakeup, Arc::clone(lanes)));
    }

    /// Gathers the records of a lane into batches, until none is left.
    async fn gather(self: Arc<Self>, lane: Lane, wakeup: Arc<Notify>, lanes: Arc<Lanes>) {
        let mut growing: Option<GrowingBatch> = None;
        loop {
            self.gather_waiting(&lane, &mut growing, &lanes).await;
            let Some(batch) = &growing else {
                // A record that came between the last look and leaving would wait for nothing.
                let mut wakeups = self.wakeups();
                let is_empty = self.shared.journal.waiting(&lane) == 0 || !self.is_batched(&lane);
                if is_empty || self.shared.pauses.holds(&lane) {
                    wakeups.remove(&lane);
                    return;
                }
                continue;
            };
            let flushed = self.flushes.is_under_way().then(|| self.flush_reason());
            if let Some(reason) = flushed.or_else(|| batch.meter.due(Instant::now().into_std())) {
                self.close_batch(&lane, growing.take(), reason).await;
                continue;
            }
            let deadline = Instant::from_std(batch.meter.deadline());
            // Whichever comes first, there is something to look at.
            let _ = tokio::time::timeout_at(deadline, wakeup.notified()).await;
        }
    }

    /// Returns `true` if the limits of its batches are known: a function may be gone.
    fn is_batched(&self, lane: &Lane) -> bool {
        self.shared.destinations.is_batched(lane.kind)
    }

    fn flush_reason(&self) -> Reason {
        if self.shared.stage.is_closed() { Reason::Close } else { Reason::Flush }
    }

    async fn gather_waiting(
        self: &Arc<Self>,
        lane: &Lane,
        growing: &mut Option<GrowingBatch>,
        lanes: &Arc<Lanes>,
    ) {
        for turn in 1_usize.. {
            if growing.is_none() && !self.is_batched(lane) {
                return;
            }
            let Some((record, tenure)) = lanes.join(lane) else { return };
            if let Some(ended) = growing.take_if(|growing| growing.tenure != tenure) {
                ended.records.leave();
            }
            self.add_to_batch(lane, growing, record, tenure);
            let budget = &self.shared.budget;
            let full = growing.as_ref().and_then(|GrowingBatch { meter, .. }| {
                meter.full().or_else(|| meter.memory_pressure(budget.bytes(), budget.limit()))
            });
            if let Some(reason) = full {
                self.close_batch(lane, growing.take(), reason).await;
            }
            if turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Adds a record to the batch that grows, and begins one if there is none. What can be in no
    /// batch fails.
    fn add_to_batch(
        &self,
        lane: &Lane,
        growing: &mut Option<GrowingBatch>,
        record: Record,
        tenure: Tenure,
    ) {
        let added = match (&record.refused, &mut *growing) {
            (Some(failure), _) => Err((**failure).clone()),
            (None, Some(_)) => Ok(()),
            (None, none) => {
                self.begin_batch(lane, &record, tenure).map(|batch| *none = Some(batch))
            }
        };
        let added = added.and_then(|()| match growing {
            Some(growing) => caught_now(|| {
                let origin = origin(&record.execution, record.place, record.id, record.recorded_at);
                growing.batch.add(&record.payload, origin)
            }),
            None => Ok(()),
        });
        match (added, &mut *growing) {
            (Ok(()), Some(growing)) => growing.take(record),
            (Err(failure), _) => self.shared.settle(&record, failed_before_storing(failure)),
            (Ok(()), None) => {}
        }
        if growing.as_ref().is_some_and(|growing| growing.records.all.is_empty()) {
            *growing = None;
        }
    }

    fn begin_batch(
        &self,
        lane: &Lane,
        first: &Record,
        tenure: Tenure,
    ) -> Result<GrowingBatch, Failure> {
        let destination = self.shared.destinations.of(lane.kind);
        let batching = destination.batching().ok_or_else(|| no_batches(lane.kind))?;
        let batch = batching.begin(&lane.key, first.id, None);
        let limits = batching.limits().unwrap_or_default();
        let meter = BatchMeter::new(limits, Instant::now().into_std());
        let records = BatchRecords::new(Arc::clone(&self.shared), VecDeque::new());
        Ok(GrowingBatch { batch, tenure, meter, due: OpenUntil::new(), records })
    }

    /// Names a batch, and has it stored beside the next one.
    async fn close_batch(
        self: &Arc<Self>,
        lane: &Lane,
        growing: Option<GrowingBatch>,
        reason: Reason,
    ) {
        let Some(GrowingBatch { batch, tenure, records, .. }) = growing else { return };
        let Some(first) = records.all.front() else { return };
        let (id, at) = (first.seq, Timestamp::now());
        let encoded = match encode(batch, at).await {
            Ok(encoded) => encoded,
            Err(failure) => return records.fail_all(&failure),
        };
        let sealed = SealedBatch {
            id,
            lane: lane.clone(),
            name: encoded.name.clone(),
            reason: reason.as_str().to_owned(),
            sealed_at: at,
            records: records.all.len(),
        };
        let closed = ClosedBatch { sealed, encoded, records, checkpoint: None };
        self.shared.tasks.spawn(Arc::clone(self).seal_and_store(closed, tenure));
    }

    async fn seal_and_store(self: Arc<Self>, closed: ClosedBatch, tenure: Tenure) {
        // Before it is stored: from here on it is the same batch whatever happens.
        let is_sealed = loop {
            let ClosedBatch { sealed, records, .. } = &closed;
            let numbers = records.all.iter().map(|record| record.seq);
            let sealing = self.shared.journal.seal(sealed, tenure, numbers.collect());
            match sealing.await {
                Ok(is_sealed) => break is_sealed,
                Err(error) => self.shared.observers.events.journal_trouble(&error.to_string()),
            }
            tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
        };
        if is_sealed {
            self.store(closed).await;
        } else {
            closed.records.leave();
        }
    }
}
