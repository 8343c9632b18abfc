//! Sealed batches, in the shard of their lane.

use std::borrow::Cow;
use std::future::ready;

use super::PostgresJournal;
use super::op::Op;
use super::params::{Columns, int};
use super::write::Statement;
use crate::error::Result;
use crate::journal::{Batches, Lane, Promise, Record, SealedBatch, Tenure};

/// Returns the statement of an operation of this node on a batch. It changes nothing of a shard that
/// another node has: a node that was replaced may go on with the batches that it had.
pub(super) fn statement(op: &Op, node: i64) -> Option<Statement> {
    let mut columns = Columns::default();
    let sql = match op {
        Op::Seal { batch, shard, records, .. } => {
            columns
                .number(int(batch.id))
                .number(i64::from(*shard))
                .text(batch.lane.kind.name())
                .text(&batch.lane.key)
                .text(&batch.name)
                .text(&batch.reason)
                .number(int(batch.sealed_at.as_millis()))
                .text(records);
            "INSERT INTO batches (id, shard, destination, lane, name, reason, sealed_at, records)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, reason = excluded.reason,
                 sealed_at = excluded.sealed_at, records = excluded.records"
        }
        Op::Note { batch, note, .. } => {
            columns.number(int(*batch)).number(node).texts([note.as_deref().map(Cow::Borrowed)]);
            "UPDATE batches SET note = ($3::text[])[1] WHERE id = $1
                AND shard IN (SELECT shard FROM shards WHERE owner = $2)"
        }
        Op::Conclude { batch, conclusion } => {
            columns.number(int(*batch)).number(node).text(conclusion);
            "UPDATE batches SET conclusion = $3 WHERE id = $1
                AND shard IN (SELECT shard FROM shards WHERE owner = $2)"
        }
        Op::Forget { batch } => {
            columns.number(int(*batch)).number(node);
            "DELETE FROM batches WHERE id = $1
                AND shard IN (SELECT shard FROM shards WHERE owner = $2)"
        }
        _ => return None,
    };
    Some((sql, columns))
}

impl Batches for PostgresJournal {
    fn join(&self, lane: &Lane) -> Option<(Record, Tenure)> {
        let shard = self.shared.shard_of(lane);
        let mut ownership = self.shared.ownership();
        if !ownership.is_valid() || !ownership.serves(shard) {
            return None;
        }
        let tenure = Tenure(*ownership.held.get(&shard)?);
        let (mut record, _) = self.shared.memory.join(lane)?;
        // Nothing of it was sent.
        record.recovered = false;
        ownership.hand_out(shard, &record);
        Some((record, tenure))
    }

    fn seal<'a>(
        &'a self,
        batch: &'a SealedBatch,
        tenure: Tenure,
        records: Vec<u64>,
    ) -> Promise<'a, Result<bool>> {
        let records = serde_json::to_string(&records).unwrap_or_default();
        let shard = self.shared.shard_of(&batch.lane);
        let batch = Box::new(batch.clone());
        // Queued before the tenure can end: what is queued then is dropped.
        let ownership = self.shared.ownership();
        if ownership.held.get(&shard) != Some(&tenure.0) {
            return Box::pin(ready(Ok(false)));
        }
        let written =
            self.shared.ops.wait(move |waiter| Op::Seal { batch, shard, records, waiter });
        drop(ownership);
        Box::pin(async { written.await.map(|()| true) })
    }

    fn leave(&self, record: &Record) {
        self.shared.left_elsewhere(record);
    }

    fn note_batch<'a>(&'a self, batch: u64, note: Option<&'a str>) -> Promise<'a, Result<()>> {
        let note = note.map(str::to_owned);
        Box::pin(self.shared.ops.wait(move |waiter| Op::Note { batch, note, waiter }))
    }

    fn conclude(&self, batch: u64, conclusion: &str) {
        self.shared.ops.push_all([Op::Conclude { batch, conclusion: conclusion.to_owned() }]);
    }

    fn forget_batch(&self, batch: u64) {
        self.shared.ops.push_all([Op::Forget { batch }]);
    }

    fn written(&self) -> Promise<'_, ()> {
        Box::pin(async {
            // The writer reports its own errors.
            let _ = self.shared.ops.wait(Op::Sync).await;
        })
    }
}
