//! Sealed batches that an earlier process left: their records, and their results.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Result};

use crate::delivery::Kind;
use crate::journal::sqlite::row::SqliteRow;
use crate::journal::sqlite::write::SeqRun;
use crate::journal::{Lane, Record, RestoredBatch, SealedBatch};
use crate::time::Timestamp;

/// Returns `true` if a stored name is a valid name of a batch: it may become the path of a file.
fn is_name(name: &str) -> bool {
    let mut segments = name.split('/');
    !name.contains('\0') && segments.all(|segment| !matches!(segment, "." | ".."))
}

/// The sealed batches that an earlier process left, until their records are brought together.
#[derive(Debug, Default)]
pub(crate) struct RecoveredBatches(Mutex<BatchState>);

#[derive(Debug, Default)]
struct BatchState {
    /// Runs by their first number: the length, the batch, and the place of the first record in it.
    runs: BTreeMap<u64, (u64, u64, usize)>,
    batches: BTreeMap<u64, RecoveredBatch>,
}

#[derive(Debug)]
struct RecoveredBatch {
    restored: RestoredBatch,
    /// The largest number in it.
    last: u64,
}

impl RecoveredBatches {
    /// Reads what the file has of them.
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let mut select = connection.prepare("SELECT * FROM batches")?;
        let mut rows = select.query([])?;
        let mut left = BatchState::default();
        while let Some(row) = rows.next()? {
            let row = SqliteRow::new("batches", row);
            let id = row.unsigned("id")?;
            let kind = row.parse("destination", |name: String| Kind::from_name(&name))?;
            let parsed = |text: String| serde_json::from_str::<Vec<SeqRun>>(&text).ok();
            let runs = row.parse("records", parsed)?;
            let name = row.parse("name", |name: String| is_name(&name).then_some(name))?;
            let mut place = 0;
            for (first, count) in &runs {
                left.runs.insert(*first, (*count, id, place));
                place += usize::try_from(*count).map_err(|_| row.damaged("records"))?;
            }
            let sealed = SealedBatch {
                id,
                lane: Lane { kind, key: row.get("lane")? },
                name,
                reason: row.get("reason")?,
                sealed_at: Timestamp::from_millis(row.unsigned("sealed_at")?),
                records: place,
            };
            let (note, conclusion) = (row.get("note")?, row.get("conclusion")?);
            let last = runs.iter().map(|(first, count)| first + count - 1).max().unwrap_or(id);
            let restored = RestoredBatch { sealed, note, conclusion, records: Vec::new() };
            left.batches.insert(id, RecoveredBatch { restored, last });
        }
        Ok(Self(Mutex::new(left)))
    }

    /// The batch that a record is in, and its place there.
    pub(crate) fn place_of(&self, seq: u64) -> Option<(u64, usize)> {
        let left = self.left();
        let (first, (count, batch, place)) = left.runs.range(..=seq).next_back()?;
        let offset = Some(seq - first).filter(|offset| offset < count)?;
        Some((*batch, place + usize::try_from(offset).ok()?))
    }

    /// Brings a record to the others of its batch.
    pub(crate) fn add(&self, batch: u64, place: usize, record: Record) {
        if let Some(left) = self.left().batches.get_mut(&batch) {
            left.restored.records.push((place, record));
        }
    }

    /// Takes the batches whose records are all there: those in which no number is larger than
    /// `brought`.
    pub(crate) fn take_whole(&self, brought: u64) -> Vec<RestoredBatch> {
        let mut left = self.left();
        let whole: Vec<u64> = left
            .batches
            .iter()
            .filter(|(_, batch)| batch.last <= brought)
            .map(|(id, _)| *id)
            .collect();
        let taken = whole.iter().filter_map(|id| left.batches.remove(id));
        let mut taken: Vec<_> = taken.map(|batch| batch.restored).collect();
        if left.batches.is_empty() {
            left.runs.clear();
        }
        drop(left);
        for batch in &mut taken {
            batch.records.sort_unstable_by_key(|(place, _)| *place);
        }
        taken
    }

    fn left(&self) -> MutexGuard<'_, BatchState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::RecoveredBatches;

    fn table(name: &str, records: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE batches (id, destination, lane, name, reason, sealed_at, records,
                 note, conclusion)",
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO batches VALUES (1, 's3', 'b/p', ?1, 'interval', 5, ?2, NULL, NULL)",
                [name, records],
            )
            .unwrap();
        connection
    }

    #[test]
    fn damaged_batches_are_refused() {
        RecoveredBatches::read(&table("b/p/2026/x.gz", "[[1,2]]")).unwrap();
        for (name, records) in [
            ("b/p/x.gz", "[[1,"),
            ("b/p/x.gz", ""),
            ("b/../../../pwn", "[[1,2]]"),
            ("../pwn", "[[1,2]]"),
            ("b/p/nul\0", "[[1,2]]"),
        ] {
            assert!(RecoveredBatches::read(&table(name, records)).is_err(), "{name:?} {records:?}");
        }
    }
}
