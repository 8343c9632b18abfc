//! Sealed batches in the file: which records are in them, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection, Error, Result, params};

use super::op::Seal;
use super::reader::unsigned;
use super::tables::int;
use crate::destinations::Kind;
use crate::journal::{Lane, Record, RestoredBatch, SealedBatch};
use crate::observability::time::Timestamp;

/// Numbers in a row: the first, and how many.
type Run = (u64, u64);

/// Writes a batch.
pub(super) fn seal(connection: &Connection, seal: &Seal) -> Result<()> {
    let Seal { batch, records } = seal;
    let records = serde_json::to_string(&runs(records)).unwrap_or_default();
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
pub(super) fn note(connection: &Connection, batch: u64, note: Option<&str>) -> Result<()> {
    let mut update = connection.prepare_cached("UPDATE batches SET note = ?2 WHERE id = ?1")?;
    update.execute(params![int(batch), note]).map(drop)
}

/// Writes what became of a batch.
pub(super) fn conclude(connection: &Connection, batch: u64, conclusion: &str) -> Result<()> {
    let mut update =
        connection.prepare_cached("UPDATE batches SET conclusion = ?2 WHERE id = ?1")?;
    update.execute(params![int(batch), conclusion]).map(drop)
}

/// Removes a batch.
pub(super) fn forget(connection: &Connection, batch: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM batches WHERE id = ?1")?;
    delete.execute([int(batch)]).map(drop)
}

/// Numbers as runs, in their order.
fn runs(records: &[u64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for number in records {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == *number => *count += 1,
            _ => runs.push((*number, 1)),
        }
    }
    runs
}

/// Whether a stored name is one that a batch may have: it may become the path of a file.
fn is_name(name: &str) -> bool {
    let mut segments = name.split('/');
    !name.contains('\0') && segments.all(|segment| !matches!(segment, "." | ".."))
}

fn damaged(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// The sealed batches that an earlier process left, until their records are brought together.
#[derive(Debug, Default)]
pub(super) struct LeftBatches(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    /// Whose the numbers of a run are: by its first number its length, the batch, and the place of
    /// its first record there.
    runs: BTreeMap<u64, (u64, u64, usize)>,
    batches: HashMap<u64, LeftBatch>,
}

#[derive(Debug)]
struct LeftBatch {
    restored: RestoredBatch,
    /// The largest number in it.
    last: u64,
}

impl LeftBatches {
    /// Reads what the file has of them.
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let mut select = connection.prepare(
            "SELECT id, destination, lane, name, reason, sealed_at, records, note, conclusion
             FROM batches",
        )?;
        let mut rows = select.query([])?;
        let mut left = Left::default();
        while let Some(row) = rows.next()? {
            let id = unsigned(row, 0)?;
            let destination: String = row.get(1)?;
            let Some(kind) = Kind::from_name(&destination) else { continue };
            let (records, name): (String, String) = (row.get(6)?, row.get(3)?);
            let runs: Vec<Run> =
                serde_json::from_str(&records).map_err(|error| damaged(6, error))?;
            if !is_name(&name) {
                return Err(damaged(3, format!("{name:?} is not the name of a batch")));
            }
            let mut place = 0;
            for (first, count) in &runs {
                left.runs.insert(*first, (*count, id, place));
                place += usize::try_from(*count).unwrap_or_default();
            }
            let lane: String = row.get(2)?;
            let sealed = SealedBatch {
                id,
                lane: Lane { kind, key: lane.into() },
                name,
                reason: row.get(4)?,
                sealed_at: Timestamp::from_millis(unsigned(row, 5)?),
                records: place,
            };
            let (note, conclusion) = (row.get(7)?, row.get(8)?);
            let last = runs.iter().map(|(first, count)| first + count - 1).max().unwrap_or(id);
            let restored = RestoredBatch { sealed, note, conclusion, records: Vec::new() };
            left.batches.insert(id, LeftBatch { restored, last });
        }
        Ok(Self(Mutex::new(left)))
    }

    /// The batch that a record is in, and its place there.
    pub(super) fn place_of(&self, seq: u64) -> Option<(u64, usize)> {
        let left = self.left();
        let (first, (count, batch, place)) = left.runs.range(..=seq).next_back()?;
        let offset = seq - first;
        (offset < *count).then(|| (*batch, place + usize::try_from(offset).unwrap_or_default()))
    }

    /// Brings a record to the others of its batch.
    pub(super) fn add(&self, batch: u64, place: usize, record: Record) {
        if let Some(left) = self.left().batches.get_mut(&batch) {
            left.restored.records.push((place, record));
        }
    }

    /// Takes the batches whose records are all there: those in which no number is larger than
    /// `brought`.
    pub(super) fn take_whole(&self, brought: u64) -> Vec<RestoredBatch> {
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

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::LeftBatches;

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
        LeftBatches::read(&table("b/p/2026/x.gz", "[[1,2]]")).unwrap();
        for (name, records) in [
            ("b/p/x.gz", "[[1,"),
            ("b/p/x.gz", ""),
            ("b/../../../pwn", "[[1,2]]"),
            ("../pwn", "[[1,2]]"),
            ("b/p/nul\0", "[[1,2]]"),
        ] {
            assert!(LeftBatches::read(&table(name, records)).is_err(), "{name:?} {records:?}");
        }
    }
}
