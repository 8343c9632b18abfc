//! Reading the file: what waits, and what the log holds. It sees what was written when it begins.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Result as Rows, Row, params};

use super::schema;
use super::seal::Sealer;
use super::tables::int;
use super::trouble::trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Lane, codec};
use crate::observability::log::{Completion, ExecutionInfo, Status, Tally, Trace};
use crate::observability::time::Timestamp;
use crate::recording::Item;

/// A connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Mutex<Connection>,
    sealer: Option<Sealer>,
    path: PathBuf,
}

/// A commit as it was left: the calls of it that are not terminal.
#[derive(Debug)]
pub(super) struct Left {
    /// The number of its first call.
    pub first_seq: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The execution's share of the delivery ids.
    pub seed: u64,
    /// The calls that are not terminal.
    pub calls: Vec<LeftCall>,
    /// Whether some terminal call of it failed.
    pub failed: bool,
}

/// A call that is not terminal.
#[derive(Debug)]
pub(super) struct LeftCall {
    /// Its number.
    pub seq: u64,
    /// Where it waits.
    pub lane: Lane,
    /// What it is.
    pub item: Item,
    /// How far it got.
    pub progress: Progress,
}

/// How far a call got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// No attempt was made.
    Waiting,
    /// An attempt had begun.
    UnderWay {
        /// Attempts begun.
        attempts: u32,
    },
    /// Attempts were made, and there is to be another one.
    Retrying {
        /// Attempts made.
        attempts: u32,
        /// When the next one is due.
        due: Timestamp,
    },
}

impl Progress {
    /// Attempts begun.
    pub(super) const fn attempts(self) -> u32 {
        match self {
            Self::Waiting => 0,
            Self::UnderWay { attempts } | Self::Retrying { attempts, .. } => attempts,
        }
    }
}

/// An execution as it was written.
#[derive(Debug)]
pub(super) struct LeftExecution {
    /// What it is.
    pub info: ExecutionInfo,
    /// How it ended, if it did.
    pub completion: Option<Completion>,
    /// Its terminal deliveries.
    pub tally: Tally,
    /// All its deliveries.
    pub total: usize,
}

impl Reader {
    /// Opens the file at `path`. Without a sealer, what waits cannot be read.
    pub(super) fn open(path: &Path, sealer: Option<Sealer>) -> Result<Self> {
        let connection = Mutex::new(schema::open_to_read(path)?);
        Ok(Self { connection, sealer, path: path.to_owned() })
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed_to_read(&self, error: rusqlite::Error) -> Error {
        trouble(&self.path, "cannot be read", error)
    }

    /// The largest numbers in use: of calls and of executions.
    pub(super) fn last_numbers(&self) -> Result<(u64, u64)> {
        let read = |connection: &Connection| -> Rows<(i64, i64)> {
            connection.query_row(
                "SELECT max(
                    (SELECT coalesce(max(seq), 0) FROM deliveries),
                    coalesce((SELECT first_seq + calls FROM commits ORDER BY first_seq DESC LIMIT 1), 0)),
                 (SELECT coalesce(max(serial), 0) FROM executions)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        };
        let (seq, serial) = read(&self.connection()).map_err(|error| self.failed_to_read(error))?;
        Ok((seq.cast_unsigned(), serial.cast_unsigned()))
    }

    /// Calls of commits after `after` that may not be terminal.
    pub(super) fn count_left(&self, after: u64) -> Result<usize> {
        let statement =
            "SELECT coalesce(sum(calls), 0) FROM commits WHERE open = 1 AND first_seq > ?1";
        let read = |connection: &Connection| {
            connection.query_row(statement, [int(after)], |row| row.get(0))
        };
        read(&self.connection()).map_err(|error| self.failed_to_read(error))
    }

    /// The next commits with calls that wait: after the commit `after`, until about `calls` calls
    /// or `bytes` bytes are there.
    pub(super) fn left(&self, after: u64, calls: usize, bytes: usize) -> Result<Vec<Left>> {
        let rows = {
            let connection = self.connection();
            sealed_commits(&connection, after, calls, bytes)
                .map_err(|error| self.failed_to_read(error))?
        };
        rows.into_iter().map(|row| self.unsealed(row)).collect()
    }

    fn unsealed(&self, commit: SealedCommit) -> Result<Left> {
        let SealedCommit { first_seq, execution, seed, sealed } = commit;
        let items = self.calls(first_seq, &sealed)?;
        let last = first_seq + items.len() as u64;
        let connection = self.connection();
        let (settled, failed) =
            settled(&connection, first_seq, last).map_err(|e| self.failed_to_read(e))?;
        let mut calls = Vec::new();
        for (seq, (lane, item)) in (first_seq..).zip(items) {
            if settled.binary_search(&seq).is_err() {
                let progress =
                    progress(&connection, seq).map_err(|error| self.failed_to_read(error))?;
                calls.push(LeftCall { seq, lane, item, progress });
            }
        }
        Ok(Left { first_seq, execution, seed, calls, failed })
    }

    /// The calls in a sealed commit.
    pub(super) fn calls(&self, first_seq: u64, message: &[u8]) -> Result<Vec<(Lane, Item)>> {
        let Some(sealer) = &self.sealer else {
            let reason = "the calls that wait are sealed: give the key (journal.key)";
            return Err(Error::new(ErrorKind::Journal, reason));
        };
        codec::decode(&sealer.open(&first_seq.to_le_bytes(), message)?)
    }

    /// One execution.
    pub(super) fn execution(&self, serial: u64) -> Result<Option<LeftExecution>> {
        let connection = self.connection();
        execution(&connection, serial).map_err(|error| self.failed_to_read(error))
    }
}

struct SealedCommit {
    first_seq: u64,
    execution: u64,
    seed: u64,
    sealed: Vec<u8>,
}

fn sealed_commits(
    connection: &Connection,
    after: u64,
    calls: usize,
    bytes: usize,
) -> Rows<Vec<SealedCommit>> {
    let mut select = connection.prepare_cached(
        "SELECT first_seq, execution, seed, sealed, calls FROM commits
         WHERE open = 1 AND first_seq > ?1 ORDER BY first_seq",
    )?;
    let mut rows = select.query([int(after)])?;
    let (mut found, mut found_calls, mut found_bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let sealed: Vec<u8> = row.get(3)?;
        found_calls += row.get::<_, usize>(4)?;
        found_bytes += sealed.len();
        found.push(SealedCommit {
            first_seq: unsigned(row, 0)?,
            execution: unsigned(row, 1)?,
            seed: unsigned(row, 2)?,
            sealed,
        });
        if found_calls >= calls || found_bytes >= bytes {
            break;
        }
    }
    Ok(found)
}

/// The numbers of the terminal calls from `first` to before `last`, ascending, and whether one of
/// them failed.
fn settled(connection: &Connection, first: u64, last: u64) -> Rows<(Vec<u64>, bool)> {
    let mut select = connection.prepare_cached(
        "SELECT seq, status FROM deliveries WHERE seq >= ?1 AND seq < ?2 ORDER BY seq",
    )?;
    let mut rows = select.query(params![int(first), int(last)])?;
    let (mut settled, mut failed) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        settled.push(unsigned(row, 0)?);
        failed |= row.get_ref(1)?.as_str() == Ok(Status::Failed.as_str());
    }
    Ok((settled, failed))
}

fn progress(connection: &Connection, seq: u64) -> Rows<Progress> {
    let mut lease = connection.prepare_cached("SELECT attempts FROM leases WHERE seq = ?1")?;
    let attempts = lease.query_row([int(seq)], |row| row.get(0)).optional()?;
    if let Some(attempts) = attempts {
        return Ok(Progress::UnderWay { attempts });
    }
    let mut retry =
        connection.prepare_cached("SELECT attempts, due_at FROM retries WHERE seq = ?1")?;
    let found = retry
        .query_row([int(seq)], |row| {
            let due = Timestamp::from_millis(unsigned(row, 1)?);
            Ok(Progress::Retrying { attempts: row.get(0)?, due })
        })
        .optional()?;
    Ok(found.unwrap_or(Progress::Waiting))
}

/// Reads an execution's row and counts its terminal deliveries.
pub(super) fn execution(connection: &Connection, serial: u64) -> Rows<Option<LeftExecution>> {
    let mut select = connection.prepare_cached(
        "SELECT serial, execution_id, workflow_id, attempt, started_at, ended, completed_at, error,
                total, delivered, failed, discarded, finished_at, emit_depth, trace
         FROM executions WHERE serial = ?1",
    )?;
    let found = select.query_row([int(serial)], |row| read_execution(connection, row));
    Ok(found.optional()?.map(|(_, execution)| execution))
}

/// Reads an execution from the columns that [`execution`] selects.
pub(super) fn read_execution(connection: &Connection, row: &Row<'_>) -> Rows<(u64, LeftExecution)> {
    let serial = unsigned(row, 0)?;
    let info = ExecutionInfo {
        execution_id: row.get(1)?,
        workflow_id: row.get(2)?,
        attempt: row.get(3)?,
        started_at: Timestamp::from_millis(unsigned(row, 4)?),
        emit_depth: row.get(13)?,
        trace: row.get::<_, Option<String>>(14)?.map(|text| Box::new(Trace::from_text(&text))),
    };
    let ended: Option<String> = row.get(5)?;
    let completion = match ended {
        None => None,
        Some(how) => Some(Completion {
            at: Timestamp::from_millis(unsigned(row, 6)?),
            error: row.get(7)?,
            discarded: how == "discarded",
        }),
    };
    let finished: Option<i64> = row.get(12)?;
    let tally = if finished.is_some() {
        Tally { delivered: row.get(9)?, failed: row.get(10)?, discarded: row.get(11)? }
    } else {
        tally(connection, serial)?
    };
    Ok((serial, LeftExecution { info, completion, tally, total: row.get(8)? }))
}

fn tally(connection: &Connection, serial: u64) -> Rows<Tally> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FILTER (WHERE status = 'delivered'),
                count(*) FILTER (WHERE status = 'failed'),
                count(*) FILTER (WHERE status = 'discarded')
         FROM deliveries WHERE execution = ?1",
    )?;
    count.query_row([int(serial)], |row| {
        Ok(Tally { delivered: row.get(0)?, failed: row.get(1)?, discarded: row.get(2)? })
    })
}

/// A column whose number is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> Rows<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
