//! The statements that write sealed batches.

use rusqlite::{Connection, Error, Result, params};

use super::op::{Op, Seal};
use crate::error;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::sqlite::row::int;
use crate::journal::{Batches, Lane, Promise, Record, SealedBatch, Tenure};

/// Consecutive numbers: the first, and the count.
pub(crate) type SeqRun = (u64, u64);

impl Batches for SqliteJournal {
    fn join(&self, lane: &Lane) -> Option<(Record, Tenure)> {
        let (mut record, tenure) = self.memory.join(lane)?;
        if std::mem::take(&mut record.recovered) {
            // Nothing of it was sent, and it makes room for others.
            self.backlog.note_settled();
        }
        Some((record, tenure))
    }

    fn seal<'a>(
        &'a self,
        batch: &'a SealedBatch,
        _tenure: Tenure,
        records: Vec<u64>,
    ) -> Promise<'a, error::Result<bool>> {
        let written = self.writer.seal(Box::new(Seal { batch: batch.clone(), records }));
        Box::pin(async { written.await.map(|()| true) })
    }

    fn leave(&self, _record: &Record) {}

    fn note_batch<'a>(
        &'a self,
        batch: u64,
        note: Option<&'a str>,
    ) -> Promise<'a, error::Result<()>> {
        Box::pin(self.writer.note(batch, note.map(str::to_owned)))
    }

    fn conclude(&self, batch: u64, conclusion: &str) {
        self.writer.push(Op::Conclude { batch, conclusion: conclusion.to_owned() });
    }

    fn forget_batch(&self, batch: u64) {
        self.writer.push(Op::Forget { batch });
    }

    fn written(&self) -> Promise<'_, ()> {
        Box::pin(async {
            // The writer reports its own errors.
            let _ = self.writer.sync().await;
        })
    }
}

/// Writes a batch.
pub(crate) fn seal(connection: &Connection, seal: &Seal) -> Result<()> {
    let Seal { batch, records } = seal;
    let records = serde_json::to_string(&runs(records))
        .map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO batches (id, destination, lane, name, reason, sealed_at, records)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let values = params![
        int(batch.id),
        batch.lane.kind.name(),
        &*batch.lane.key,
        batch.name,
        batch.reason,
        int(batch.sealed_at.as_millis()),
        records,
    ];
    insert.execute(values).map(drop)
}

/// Writes a note beside a batch.
pub(crate) fn note(connection: &Connection, batch: u64, note: Option<&str>) -> Result<()> {
    let mut update = connection.prepare_cached("UPDATE batches SET note = ?2 WHERE id = ?1")?;
    update.execute(params![int(batch), note]).map(drop)
}

/// Writes what became of a batch.
pub(crate) fn conclude(connection: &Connection, batch: u64, conclusion: &str) -> Result<()> {
    let mut update =
        connection.prepare_cached("UPDATE batches SET conclusion = ?2 WHERE id = ?1")?;
    update.execute(params![int(batch), conclusion]).map(drop)
}

/// Removes a batch.
pub(crate) fn forget(connection: &Connection, batch: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM batches WHERE id = ?1")?;
    delete.execute([int(batch)]).map(drop)
}

/// Numbers as runs, in their order.
fn runs(records: &[u64]) -> Vec<SeqRun> {
    let mut runs: Vec<SeqRun> = Vec::new();
    for number in records {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == *number => *count += 1,
            _ => runs.push((*number, 1)),
        }
    }
    runs
}
