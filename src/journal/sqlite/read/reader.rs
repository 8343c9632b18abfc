//! Reading the file: what waits, and what the log holds. It sees what was written when it begins.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Result as Rows, Row, params};
use uuid::Uuid;

use super::query::failure;
use crate::delivery::Failure;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{
    AttemptLog, Entry, ExecutionEnd, ExecutionInfo, ReplayOf, Resolution, Status, Tally, Trace,
    Waiting,
};
use crate::journal::crypto::Cipher;
use crate::journal::sqlite::error::storage_error;
use crate::journal::sqlite::file;
use crate::journal::sqlite::row::{SqliteRow, TALLY, int};
use crate::journal::{Lane, codec};
use crate::recording::Item;
use crate::time::Timestamp;

/// A connection that reads.
#[derive(Debug)]
pub(crate) struct JournalReader {
    connection: Mutex<Connection>,
    cipher: Option<Cipher>,
    path: PathBuf,
}

/// A commit as it was left: the calls of it that are not terminal.
#[derive(Debug)]
pub(crate) struct RecoveredCommit {
    /// The number of its first call.
    pub first_seq: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The execution's share of the delivery ids.
    pub seed: u64,
    /// The calls that are not terminal.
    pub calls: Vec<RecoveredCall>,
    /// `true` if a terminal call of it failed.
    pub failed: bool,
}

/// A call that is not terminal.
#[derive(Debug)]
pub(crate) struct RecoveredCall {
    /// Its number.
    pub seq: u64,
    /// Its lane.
    pub lane: Lane,
    /// The call.
    pub item: Item,
    /// Its progress.
    pub progress: CallProgress,
    /// The failure of its last attempt.
    pub last_error: Option<Arc<Failure>>,
    /// The attempts that are kept.
    pub attempt_log: Option<AttemptLog>,
}

impl RecoveredCall {
    /// Returns the log's entry of the call.
    pub(crate) fn entry(&self, seed: u64, status: Status) -> Entry {
        let mut entry = self.item.entry(seed, status);
        entry.attempts = self.progress.attempts();
        entry.attempt_log = self.attempt_log.clone().map(Box::new);
        let last_error = self.last_error.clone();
        entry.waiting = match self.progress {
            CallProgress::Retrying { due, .. } => Some(Box::new(Waiting::new(last_error, due))),
            CallProgress::UnderWay { .. } if last_error.is_some() => {
                Some(Box::new(Waiting { last_error, next_attempt_at: None }))
            }
            CallProgress::UnderWay { .. } | CallProgress::Waiting => None,
        };
        entry
    }
}

/// The progress of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallProgress {
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
        /// The due time of the next attempt.
        due: Timestamp,
    },
}

impl CallProgress {
    /// Attempts begun.
    pub(crate) const fn attempts(self) -> u32 {
        match self {
            Self::Waiting => 0,
            Self::UnderWay { attempts } | Self::Retrying { attempts, .. } => attempts,
        }
    }
}

/// An execution as it was written.
#[derive(Debug)]
pub(crate) struct RecoveredExecution {
    /// Its description.
    pub info: ExecutionInfo,
    /// Its end, if it has ended.
    pub completion: Option<ExecutionEnd>,
    /// Its terminal deliveries.
    pub tally: Tally,
    /// All its deliveries.
    pub total: usize,
}

impl JournalReader {
    /// Opens the file at `path`. Without a cipher, what waits cannot be read.
    pub(crate) fn open(path: &Path, cipher: Option<Cipher>) -> Result<Self> {
        let connection = Mutex::new(file::open_to_read(path)?);
        Ok(Self { connection, cipher, path: path.to_owned() })
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn failed_to_read(&self, error: rusqlite::Error) -> Error {
        storage_error(&self.path, "cannot be read", error)
    }

    /// The largest numbers in use: of calls and of executions.
    pub(crate) fn last_numbers(&self) -> Result<(u64, u64)> {
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
    pub(crate) fn count_unsettled(&self, after: u64) -> Result<usize> {
        let statement =
            "SELECT coalesce(sum(calls), 0) FROM commits WHERE open = 1 AND first_seq > ?1";
        let read = |connection: &Connection| {
            connection.query_row(statement, [int(after)], |row| row.get(0))
        };
        read(&self.connection()).map_err(|error| self.failed_to_read(error))
    }

    /// The next commits with calls that wait: after the commit `after`, until about `calls` calls
    /// or `bytes` bytes are there.
    pub(crate) fn unsettled(
        &self,
        after: u64,
        calls: usize,
        bytes: usize,
    ) -> Result<Vec<RecoveredCommit>> {
        let rows = {
            let connection = self.connection();
            open_commits(&connection, after, calls, bytes)
                .map_err(|error| self.failed_to_read(error))?
        };
        rows.into_iter().map(|row| self.decrypted(row)).collect()
    }

    fn decrypted(&self, commit: CommitRow) -> Result<RecoveredCommit> {
        let CommitRow { first_seq, execution, seed, ciphertext } = commit;
        let items = self.calls(first_seq, &ciphertext)?;
        let last = first_seq + items.len() as u64;
        let connection = self.connection();
        let (settled, failed) =
            settled(&connection, first_seq, last).map_err(|e| self.failed_to_read(e))?;
        let mut calls = Vec::new();
        for (seq, (lane, mut item)) in (first_seq..).zip(items) {
            if settled.binary_search(&seq).is_err() {
                if let Some(replay) = &mut item.replay {
                    call_of(&connection, replay).map_err(|error| self.failed_to_read(error))?;
                }
                let progress =
                    progress(&connection, seq).map_err(|error| self.failed_to_read(error))?;
                let retry =
                    last_attempts(&connection, seq).map_err(|error| self.failed_to_read(error))?;
                let (last_error, attempt_log) = retry;
                calls.push(RecoveredCall { seq, lane, item, progress, last_error, attempt_log });
            }
        }
        Ok(RecoveredCommit { first_seq, execution, seed, calls, failed })
    }

    /// The calls in a sealed commit.
    pub(crate) fn calls(&self, first_seq: u64, message: &[u8]) -> Result<Vec<(Lane, Item)>> {
        codec::decode(&self.decrypt(&first_seq.to_le_bytes(), message)?)
    }

    /// Opens what was sealed for `context`.
    pub(crate) fn decrypt(&self, context: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        let Some(cipher) = &self.cipher else {
            let reason = "the calls that wait are sealed: give the key (journal.key)";
            return Err(Error::new(ErrorKind::Journal, reason));
        };
        cipher.decrypt(context, message)
    }

    /// Reads the execution of a commit with unsettled calls.
    ///
    /// # Errors
    /// `Journal`, also if it is not there: an execution is removed only after its last commit.
    pub(crate) fn execution_of(&self, commit: &RecoveredCommit) -> Result<RecoveredExecution> {
        self.execution(commit.execution)?.ok_or_else(|| {
            let RecoveredCommit { first_seq, execution, .. } = commit;
            let message = format!(
                "the journal {} is damaged: commits.execution of {first_seq} is {execution}, which \
                 is not there",
                self.path.display()
            );
            Error::new(ErrorKind::Journal, message)
        })
    }

    /// Returns `true` if no later commit of the same execution is open.
    pub(crate) fn is_last_open(&self, commit: &RecoveredCommit) -> Result<bool> {
        let connection = self.connection();
        let read = || {
            let mut later = connection.prepare_cached(
                "SELECT 1 FROM commits WHERE execution = ?1 AND first_seq > ?2 AND open = 1",
            )?;
            Ok(!later.exists([int(commit.execution), int(commit.first_seq)])?)
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// Reads an execution.
    pub(crate) fn execution(&self, serial: u64) -> Result<Option<RecoveredExecution>> {
        let connection = self.connection();
        execution(&connection, serial).map_err(|error| self.failed_to_read(error))
    }
}

struct CommitRow {
    first_seq: u64,
    execution: u64,
    seed: u64,
    ciphertext: Vec<u8>,
}

fn open_commits(
    connection: &Connection,
    after: u64,
    calls: usize,
    bytes: usize,
) -> Rows<Vec<CommitRow>> {
    let mut select = connection.prepare_cached(
        "SELECT first_seq, execution, seed, sealed, calls FROM commits
         WHERE open = 1 AND first_seq > ?1 ORDER BY first_seq",
    )?;
    let mut rows = select.query([int(after)])?;
    let (mut found, mut found_calls, mut found_bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        let row = SqliteRow::new("commits", row);
        let ciphertext: Vec<u8> = row.get("sealed")?;
        found_calls += row.get::<usize>("calls")?;
        found_bytes += ciphertext.len();
        let execution = row.unsigned("execution")?;
        found.push(CommitRow {
            first_seq: row.unsigned("first_seq")?,
            execution,
            seed: row.unsigned("seed")?,
            ciphertext,
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
        let row = SqliteRow::new("deliveries", row);
        settled.push(row.unsigned("seq")?);
        failed |= row.parse("status", |name: String| Status::from_name(&name))? == Status::Failed;
    }
    Ok((settled, failed))
}

/// Completes a replay with the call of the delivery that it repeats.
fn call_of(connection: &Connection, replay: &mut ReplayOf) -> Rows<()> {
    let mut select = connection.prepare_cached(
        "SELECT coalesce(call, id) AS call,
                CASE status WHEN 'delivered' THEN id ELSE resolved_by END AS resolved_by
         FROM deliveries WHERE id = ?1",
    )?;
    let found = select.query_row([replay.id.as_bytes().as_slice()], |row| {
        let row = SqliteRow::new("deliveries", row);
        Ok((row.parse("call", id)?, row.parse_optional("resolved_by", id)?))
    });
    let (call, resolved_by) = found?;
    replay.call = call;
    if let Some(resolved_by) = resolved_by {
        replay.before = Resolution::Delivered(resolved_by);
    }
    Ok(())
}

/// Reads an id.
#[expect(clippy::needless_pass_by_value, reason = "a column is parsed by value")]
pub(crate) fn id(bytes: Vec<u8>) -> Option<Uuid> {
    Uuid::from_slice(&bytes).ok()
}

/// The failure of the last attempt, and the attempts that are kept.
pub(crate) type LastAttempts = (Option<Arc<Failure>>, Option<AttemptLog>);

pub(crate) fn last_attempts(connection: &Connection, seq: u64) -> Rows<LastAttempts> {
    let mut select = connection.prepare_cached(
        "SELECT due_at, error_code, error_message, error_phase, attempt_log FROM retries
         WHERE seq = ?1",
    )?;
    let found = select.query_row([int(seq)], |row| {
        let row = SqliteRow::new("retries", row);
        let due = Timestamp::from_millis(row.unsigned("due_at")?);
        let log = |text: String| AttemptLog::from_text(&text, Some(due));
        Ok((failure(row)?.map(Arc::new), row.parse_optional("attempt_log", log)?))
    });
    Ok(found.optional()?.unwrap_or_default())
}

pub(crate) fn progress(connection: &Connection, seq: u64) -> Rows<CallProgress> {
    let mut lease = connection.prepare_cached("SELECT attempts FROM leases WHERE seq = ?1")?;
    let attempts = lease.query_row([int(seq)], |row| row.get(0)).optional()?;
    if let Some(attempts) = attempts {
        return Ok(CallProgress::UnderWay { attempts });
    }
    let mut retry =
        connection.prepare_cached("SELECT attempts, due_at FROM retries WHERE seq = ?1")?;
    let found = retry
        .query_row([int(seq)], |row| {
            let row = SqliteRow::new("retries", row);
            let due = Timestamp::from_millis(row.unsigned("due_at")?);
            Ok(CallProgress::Retrying { attempts: row.get("attempts")?, due })
        })
        .optional()?;
    Ok(found.unwrap_or(CallProgress::Waiting))
}

/// Reads an execution.
pub(crate) fn execution(connection: &Connection, serial: u64) -> Rows<Option<RecoveredExecution>> {
    let mut select = connection.prepare_cached("SELECT * FROM executions WHERE serial = ?1")?;
    let found = select.query_row([int(serial)], |row| read_execution(connection, row));
    Ok(found.optional()?.map(|(_, execution)| execution))
}

/// Reads the description of an execution, without its tally.
pub(crate) fn info(connection: &Connection, serial: u64) -> Rows<Option<ExecutionInfo>> {
    let mut select = connection.prepare_cached("SELECT * FROM executions WHERE serial = ?1")?;
    let found = select.query_row([int(serial)], |row| read_info(SqliteRow::new("executions", row)));
    found.optional()
}

fn read_info(row: SqliteRow<'_>) -> Rows<ExecutionInfo> {
    Ok(ExecutionInfo {
        execution_id: row.get("execution_id")?,
        workflow_id: row.get("workflow_id")?,
        attempt: row.get("attempt")?,
        started_at: Timestamp::from_millis(row.unsigned("started_at")?),
        emit_depth: row.get("emit_depth")?,
        trace: row.get::<Option<String>>("trace")?.map(|text| Box::new(Trace::from_text(&text))),
        trigger: row.get("trigger")?,
    })
}

/// Reads a row of `executions`.
pub(crate) fn read_execution(
    connection: &Connection,
    row: &Row<'_>,
) -> Rows<(u64, RecoveredExecution)> {
    let row = SqliteRow::new("executions", row);
    let serial = row.unsigned("serial")?;
    let info = read_info(row)?;
    let discarded = row.parse_optional("ended", |how: String| match how.as_str() {
        "completed" => Some(false),
        "discarded" => Some(true),
        _ => None,
    })?;
    let completion = match discarded {
        None => None,
        Some(discarded) => Some(ExecutionEnd {
            at: Timestamp::from_millis(row.unsigned("completed_at")?),
            error: row.get("error")?,
            message: row.get("message")?,
            discarded,
        }),
    };
    let tally = if row.get::<Option<i64>>("finished_at")?.is_some() {
        Tally {
            delivered: row.get("delivered")?,
            failed: row.get("failed")?,
            discarded: row.get("discarded")?,
            dismissed: row.get("dismissed")?,
        }
    } else {
        tally(connection, serial)?
    };
    Ok((serial, RecoveredExecution { info, completion, tally, total: row.get("total")? }))
}

fn tally(connection: &Connection, serial: u64) -> Rows<Tally> {
    let mut count = connection
        .prepare_cached(&format!("SELECT {TALLY} FROM deliveries WHERE execution = ?1"))?;
    count.query_row([int(serial)], |row| {
        Ok(Tally {
            delivered: row.get(0)?,
            failed: row.get(1)?,
            discarded: row.get(2)?,
            dismissed: row.get(3)?,
        })
    })
}
