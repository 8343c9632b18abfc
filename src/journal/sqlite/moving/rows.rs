//! The rows of a data directory, as a move takes them.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Result as Rows, Row, params};
use uuid::Uuid;

use super::{Numbering, Source};
use crate::delivery::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::Status;
use crate::journal::moving::{
    MovedAttempts, MovedBatch, MovedCommit, MovedDelivery, MovedExecution, MovedRest,
};
use crate::journal::sqlite::read::{CallProgress, entry, last_attempts, progress, read_execution};
use crate::journal::sqlite::row::{COLUMNS, SqliteRow, int};
use crate::journal::sqlite::write::SeqRun;
use crate::journal::{Lane, SealedBatch, codec};
use crate::recording::Item;
use crate::time::Timestamp;

/// Executions of a part, and the calls after which it ends.
const EXECUTIONS: usize = 500;
const CALLS: usize = 5000;
const DAY: u64 = 86_400_000;

/// A commit as it is in the file.
struct StoredCommit {
    execution: u64,
    seed: u64,
    is_open: bool,
    ciphertext: Vec<u8>,
}

/// The place of a delivery: the numbers of its execution and its call.
type Place = (i64, i64);

impl Source {
    fn read<T>(&self, read: impl FnOnce(&rusqlite::Connection) -> Rows<T>) -> Result<T> {
        read(&self.reader.connection()).map_err(|error| self.reader.failed_to_read(error))
    }

    /// Returns the next executions after this number: the next part.
    pub(in crate::journal) fn executions(&self, after: i64) -> Result<Vec<MovedExecution>> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT *, (SELECT coalesce(sum(c.calls - (SELECT count(*) FROM deliveries d
                        WHERE d.seq >= c.first_seq AND d.seq < c.first_seq + c.calls)), 0)
                    FROM commits c WHERE c.execution = serial AND c.open = 1) AS waiting
                 FROM executions WHERE serial > ?1 ORDER BY serial LIMIT ?2",
            )?;
            let mut rows = select.query(params![after, EXECUTIONS])?;
            let (mut found, mut calls) = (Vec::new(), 0);
            while let Some(row) = rows.next()?
                && calls < CALLS
            {
                let execution = moved_execution(connection, row)?;
                calls += execution.total;
                found.push(execution);
            }
            Ok(found)
        })
    }

    /// Returns the days of what a part has, counted from 1970.
    pub(in crate::journal) fn days(&self, after: i64, last: i64) -> Result<BTreeSet<u64>> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT started_at / ?3 FROM executions WHERE serial > ?1 AND serial <= ?2
                 UNION
                 SELECT recorded_at / ?3 FROM deliveries WHERE execution > ?1 AND execution <= ?2",
            )?;
            let days = select.query_map(params![after, last, int(DAY)], |row| row.get(0))?;
            days.collect()
        })
    }

    /// Returns the numbers of the commits of a part.
    pub(in crate::journal) fn commits(&self, after: i64, last: i64) -> Result<Vec<u64>> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT first_seq FROM commits WHERE execution > ?1 AND execution <= ?2
                 ORDER BY first_seq",
            )?;
            let number = |row: &Row<'_>| SqliteRow::new("commits", row).unsigned("first_seq");
            select.query_map(params![after, last], number)?.collect()
        })
    }

    /// Reads a commit: a part for each shard. Payloads that nothing needs any more are left out.
    pub(in crate::journal) fn commit(
        &self,
        first_seq: u64,
        numbering: &mut Numbering,
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Result<Vec<MovedCommit>> {
        let stored = self.stored_commit(first_seq)?;
        let calls = self.reader.calls(first_seq, &stored.ciphertext)?;
        let settled = self.settled(first_seq, calls.len())?;
        let places = numbering.number(first_seq, &calls, shard_of);
        let shard_at = |place: &usize| shard_of(&calls[*place].0);
        let mut parts = Vec::new();
        for places in places.chunk_by(|one, other| shard_at(one) == shard_at(other)) {
            let seqs = || places.iter().map(|place| first_seq + *place as u64);
            let waiting: Vec<u64> = seqs().filter(|seq| !settled.contains_key(seq)).collect();
            let has_failed = seqs().any(|seq| settled.get(&seq) == Some(&Status::Failed));
            let open = if stored.is_open { waiting.len() } else { 0 };
            if open == 0 && !has_failed {
                continue;
            }
            let waiting = if stored.is_open { waiting } else { Vec::new() };
            let attempts = waiting.into_iter().map(|seq| self.attempts(seq, numbering));
            let attempts = attempts.collect::<Result<Vec<_>>>()?;
            parts.push(MovedCommit {
                first_seq: numbering.of(first_seq + places[0] as u64),
                shard: shard_at(&places[0]),
                calls: places.len(),
                execution: stored.execution,
                seed: stored.seed,
                plain: codec::encode(places.iter().map(|place| &calls[*place])),
                open,
                attempts: attempts.into_iter().flatten().collect(),
            });
        }
        Ok(parts)
    }

    /// Reads a payload that is kept for a replay: its key may be another one.
    pub(super) fn check_kept(&self) -> Result<()> {
        let newest = "SELECT max(first_seq) FROM commits WHERE open = 0";
        let newest: Option<i64> =
            self.read(|connection| connection.query_row(newest, [], |row| row.get(0)))?;
        let Some(first_seq) = newest.map(i64::cast_unsigned) else { return Ok(()) };
        let stored = self.stored_commit(first_seq)?;
        self.reader.calls(first_seq, &stored.ciphertext).map(drop)
    }

    fn stored_commit(&self, first_seq: u64) -> Result<StoredCommit> {
        self.read(|connection| {
            let mut select =
                connection.prepare_cached("SELECT * FROM commits WHERE first_seq = ?1")?;
            select.query_row([int(first_seq)], |row| {
                let row = SqliteRow::new("commits", row);
                Ok(StoredCommit {
                    execution: row.unsigned("execution")?,
                    seed: row.unsigned("seed")?,
                    is_open: row.get("open")?,
                    ciphertext: row.get("sealed")?,
                })
            })
        })
    }

    /// Returns the terminal calls of a commit.
    fn settled(&self, first_seq: u64, calls: usize) -> Result<HashMap<u64, Status>> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT seq, status FROM deliveries WHERE seq >= ?1 AND seq < ?2",
            )?;
            let read = |row: &Row<'_>| {
                let row = SqliteRow::new("deliveries", row);
                let status = row.parse("status", |name: String| Status::from_name(&name))?;
                Ok((row.unsigned("seq")?, status))
            };
            let last = first_seq + calls as u64;
            select.query_map(params![int(first_seq), int(last)], read)?.collect()
        })
    }

    fn attempts(&self, seq: u64, numbering: &Numbering) -> Result<Option<MovedAttempts>> {
        self.read(|connection| {
            let progress = progress(connection, seq)?;
            let due = match progress {
                CallProgress::Waiting => return Ok(None),
                CallProgress::UnderWay { .. } => None,
                CallProgress::Retrying { due, .. } => Some(due),
            };
            let (last_error, log) = last_attempts(connection, seq)?;
            let made = progress.attempts();
            Ok(Some(MovedAttempts { seq: numbering.of(seq), made, due, last_error, log }))
        })
    }

    /// Returns the next terminal deliveries of a part after a place, each with its place.
    pub(in crate::journal) fn deliveries(
        &self,
        from: Place,
        last: i64,
        limit: usize,
        numbering: &Numbering,
    ) -> Result<Vec<(Place, MovedDelivery)>> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, d.seq FROM deliveries d
                 WHERE (d.execution, d.seq) > (?1, ?2) AND d.execution <= ?3
                 ORDER BY d.execution, d.seq LIMIT ?4"
            ))?;
            let read = |row: &Row<'_>| {
                let row = SqliteRow::new("deliveries", row);
                let (seq, execution) = (row.unsigned("seq")?, row.unsigned("execution")?);
                let place = (int(execution), int(seq));
                let entry = entry(row)?;
                Ok((place, MovedDelivery { seq: numbering.of(seq), execution, entry }))
            };
            select.query_map(params![from.0, from.1, last, limit], read)?.collect()
        })
    }

    /// Returns what is handed over at the end.
    pub(in crate::journal) fn rest(
        &self,
        base: u64,
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Result<MovedRest> {
        let mut numbering = self.numbering(base)?;
        Ok(MovedRest {
            batches: self.moved_batches(&mut numbering, shard_of)?,
            forwards: self.moved_forwards(&mut numbering, shard_of)?,
            registrations: self.moved_registrations()?,
            events: self.reader.events()?,
        })
    }

    /// Returns the sealed batches with a record that waits.
    fn moved_batches(
        &self,
        numbering: &mut Numbering,
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Result<Vec<MovedBatch>> {
        let mut batches = self.read(|connection| {
            let mut select = connection.prepare("SELECT * FROM batches ORDER BY id")?;
            select
                .query_map([], |row| batch(SqliteRow::new("batches", row)))?
                .collect::<Rows<Vec<_>>>()
        })?;
        let mut moved = Vec::new();
        for mut batch in batches.drain(..) {
            let mut waits = false;
            let mut known = HashMap::new();
            for seq in &batch.records {
                self.number_commit_of(*seq, numbering, &mut known, shard_of)?;
                waits = waits || !self.settled(*seq, 1)?.contains_key(seq);
            }
            if waits {
                batch.shard = shard_of(&batch.sealed.lane);
                batch.sealed.id = numbering.of(batch.sealed.id);
                batch.records.iter_mut().for_each(|seq| *seq = numbering.of(*seq));
                moved.push(batch);
            }
        }
        Ok(moved)
    }

    fn moved_forwards(
        &self,
        numbering: &mut Numbering,
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Result<Vec<(Uuid, u16)>> {
        let mut known: HashMap<u64, Vec<(Lane, Item)>> = HashMap::new();
        let mut forwards = Vec::new();
        for delivery in self.reader.unforwarded()? {
            let seq = self.read(|connection| {
                let bytes = delivery.as_bytes().as_slice();
                let select = "SELECT seq FROM deliveries WHERE id = ?1";
                connection.query_row(select, [bytes], |row| {
                    SqliteRow::new("deliveries", row).unsigned("seq")
                })
            })?;
            let lane = self.number_commit_of(seq, numbering, &mut known, shard_of)?;
            forwards.push((delivery, lane.map_or(0, |lane| shard_of(&lane))));
        }
        Ok(forwards)
    }

    /// Returns every registration.
    fn moved_registrations(&self) -> Result<Vec<(String, String)>> {
        let text = |(id, ciphertext): (String, Vec<u8>)| {
            let plain = self.reader.decrypt(id.as_bytes(), &ciphertext)?;
            let text = String::from_utf8(plain).map_err(|error| {
                let message = format!("the registration {id} in the journal is damaged");
                Error::new(ErrorKind::Journal, message).with_source(error)
            })?;
            Ok((id, text))
        };
        self.reader.registrations()?.into_iter().map(text).collect()
    }
}

fn moved_execution(connection: &rusqlite::Connection, row: &Row<'_>) -> Rows<MovedExecution> {
    let (serial, execution) = read_execution(connection, row)?;
    let row = SqliteRow::new("executions", row);
    let time = |at: i64| Some(Timestamp::from_millis(at.cast_unsigned()));
    Ok(MovedExecution {
        serial,
        info: execution.info,
        end: execution.completion.ok_or_else(|| row.damaged("ended"))?,
        tally: execution.tally,
        total: execution.total,
        open: row.get("waiting")?,
        finished_at: row.parse_optional("finished_at", time)?,
    })
}

fn batch(row: SqliteRow<'_>) -> Rows<MovedBatch> {
    let parsed = |text: String| serde_json::from_str::<Vec<SeqRun>>(&text).ok();
    let runs = row.parse("records", parsed)?;
    let records: Vec<u64> =
        runs.into_iter().flat_map(|(first, count)| first..first + count).collect();
    let sealed = SealedBatch {
        id: row.unsigned("id")?,
        lane: Lane {
            kind: row.parse("destination", |name: String| Kind::from_name(&name))?,
            key: row.get("lane")?,
        },
        name: row.get("name")?,
        reason: row.get("reason")?,
        sealed_at: Timestamp::from_millis(row.unsigned("sealed_at")?),
        records: records.len(),
    };
    let (note, conclusion) = (row.get("note")?, row.get("conclusion")?);
    Ok(MovedBatch { sealed, shard: 0, records, note, conclusion })
}
