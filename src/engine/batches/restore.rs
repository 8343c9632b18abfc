//! Batches that an earlier process sealed: they are encoded again, or their result is known.

use std::sync::Arc;

use uuid::Uuid;

use super::records::{BatchRecord, BatchRecords};
use super::result::BatchResult;
use super::{BatchLanes, ClosedBatch, TURN, encode, no_batches, origin};
use crate::delivery::{Failure, Kind, Payload};
use crate::destinations::Encoded;
use crate::engine::lanes::{HELD, waiting_note};
use crate::error::ErrorKind;
use crate::execution::{ExecutionLog, Waiting};
use crate::journal::{Record, RestoredBatch, SealedBatch};
use crate::time::Timestamp;

/// A call that is encoded once more.
struct RestoredCall {
    execution: Arc<ExecutionLog>,
    place: usize,
    id: Uuid,
    recorded_at: Timestamp,
    payload: Payload,
}

impl RestoredCall {
    fn of(record: &Record) -> Self {
        Self {
            execution: Arc::clone(&record.execution),
            place: record.place,
            id: record.id,
            recorded_at: record.recorded_at,
            payload: record.payload.clone(),
        }
    }
}

impl BatchLanes {
    /// Goes on with a batch that an earlier process sealed.
    pub(crate) fn restore(self: &Arc<Self>, restored: RestoredBatch) {
        let RestoredBatch { sealed, note: checkpoint, conclusion, records } = restored;
        let calls: Vec<_> = records.iter().map(|(_, record)| RestoredCall::of(record)).collect();
        let is_missing = self.shared.services.is_missing(sealed.lane.kind);
        let is_held = !self.shared.config.deliver || is_missing;
        if conclusion.is_none() {
            self.note_waiting(sealed.lane.kind, records.iter().map(|(_, record)| record));
        }
        let all = records.into_iter();
        let all = all.map(|(position, record)| BatchRecord::new(position, record));
        let records = BatchRecords::new(Arc::clone(&self.shared), all.collect());
        let batches = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            if is_held && conclusion.is_none() {
                // The engine ends this task, and the journal keeps the batch.
                std::future::pending::<()>().await;
            }
            let known = conclusion.as_deref().map(BatchResult::from_text);
            if let Some(Some(result)) = known {
                return batches.conclude(sealed.id, result, records).await;
            }
            // Less than all of it would take the place of what may be stored already.
            let encoded = if known.is_some() || records.all.len() != sealed.records {
                let message = "the journal does not have all of the batch, or of what became of it";
                Err(Failure::new(ErrorKind::Journal, message))
            } else {
                batches.encode_again(&sealed, calls).await
            };
            match encoded {
                Ok(encoded) => {
                    batches.store(ClosedBatch { sealed, encoded, records, checkpoint }).await;
                }
                Err(failure) => {
                    let result = BatchResult::new(&sealed, Some(failure), None, Vec::new(), 0);
                    batches.conclude(sealed.id, result, records).await;
                }
            }
        });
    }

    async fn encode_again(
        &self,
        sealed: &SealedBatch,
        calls: Vec<RestoredCall>,
    ) -> Result<Encoded, Failure> {
        let (kind, name) = (sealed.lane.kind, Some(sealed.name.as_str()));
        let first = calls.first().map(|call| call.id).unwrap_or_default();
        let mut batch = {
            let destination = self.shared.destinations.of(kind);
            let batching = destination.batching().ok_or_else(|| no_batches(kind))?;
            batching.begin(&sealed.lane.key, first, name)
        };
        for (turn, call) in calls.iter().enumerate() {
            let origin = origin(&call.execution, call.place, call.id, call.recorded_at);
            batch.add(&call.payload, origin)?;
            if turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        let encoded = encode(batch, sealed.sealed_at).await?;
        Ok(Encoded { name: sealed.name.clone(), ..encoded })
    }

    /// Shows in the log that records wait for the service of their destination.
    fn note_waiting<'a>(&self, kind: Kind, records: impl Iterator<Item = &'a Record>) {
        let Some(failure) = self.shared.services.missing(kind) else { return };
        let note = waiting_note(&failure);
        let waiting = Waiting::new(Some(Arc::new(failure)), HELD);
        for record in records {
            let (note, waiting) = (note.clone(), waiting.clone());
            record.execution.postpone(record.place, record.attempts, note, waiting);
            self.shared.services.count_waiting();
        }
        self.shared.pending.idle.notify_waiters();
    }
}
