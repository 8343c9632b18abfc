//! The statements that write: one function for each kind of operation.

use std::borrow::Cow;

use rusqlite::{Connection, Result, named_params, params};

use super::op::{Append, Row};
use crate::observability::log::{Entry, ExecutionLog, Logged, Request, Tally};
use crate::observability::time::Timestamp;

/// SQLite's integers are signed; numbers and times stay far below the sign.
pub(super) const fn int(number: u64) -> i64 {
    number.cast_signed()
}

/// Writes a hand-over.
pub(super) fn append(connection: &Connection, append: &Append) -> Result<()> {
    extend_execution(connection, append)?;
    if let Some(commit) = &append.commit {
        let mut insert = connection.prepare_cached(
            "INSERT INTO commits (first_seq, calls, open, execution, seed, sealed)
             VALUES (?1, ?2, 1, ?3, ?4, ?5)",
        )?;
        insert.execute(params![
            int(commit.first_seq),
            append.calls,
            int(append.execution.serial()),
            int(commit.seed),
            commit.sealed,
        ])?;
    }
    append.settled.iter().try_for_each(|row| settle(connection, row))
}

fn extend_execution(connection: &Connection, append: &Append) -> Result<()> {
    let info = &append.execution.info;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO executions (serial, execution_id, workflow_id, attempt, started_at, ended,
                                 completed_at, error, total, emit_depth, trace)
         VALUES (:serial, :execution_id, :workflow_id, :attempt, :started_at, :ended,
                 :completed_at, :error, :total, :emit_depth, :trace)
         ON CONFLICT (serial) DO UPDATE SET
             ended = coalesce(ended, excluded.ended),
             completed_at = coalesce(completed_at, excluded.completed_at),
             error = coalesce(error, excluded.error),
             total = total + excluded.total,
             finished_at = NULL",
    )?;
    let ending = append.ending.as_ref();
    upsert.execute(named_params! {
        ":serial": int(append.execution.serial()),
        ":execution_id": &*info.execution_id,
        ":workflow_id": &*info.workflow_id,
        ":attempt": info.attempt,
        ":started_at": int(info.started_at.as_millis()),
        ":ended": ending.map(|ending| ending.how),
        ":completed_at": ending.map(|_| int(Timestamp::now().as_millis())),
        ":error": ending.and_then(|ending| ending.error.as_deref()),
        ":total": append.calls,
        ":emit_depth": info.emit_depth,
        ":trace": info.trace.as_ref().map(|trace| trace.to_text()),
    })?;
    Ok(())
}

/// Writes a terminal delivery.
pub(super) fn settle(connection: &Connection, row: &Row) -> Result<()> {
    let Row { seq, execution, entry } = row;
    let (request, response) = (Side::of_request(entry), entry.response.as_deref().map(Side::new));
    let response = response.unwrap_or_default();
    let failure = entry.failure.as_deref();
    let warnings =
        (!entry.warnings.as_slice().is_empty()).then(|| serde_json::to_string(&entry.warnings));
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO deliveries VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
          ?21, ?22, ?23)",
    )?;
    insert.execute(params![
        int(*seq),
        entry.id.as_bytes().as_slice(),
        int(*execution),
        entry.index,
        &*entry.step,
        entry.kind.name(),
        entry.status.as_str(),
        entry.attempts,
        int(entry.recorded_at.as_millis()),
        int(entry.settled_at.unwrap_or_default().as_millis()),
        request.head.as_deref().unwrap_or("{}"),
        request.body,
        request.bytes,
        request.complete,
        response.head,
        response.body,
        response.bytes,
        response.complete,
        failure.map(|failure| failure.kind.code()),
        failure.map(|failure| failure.message.as_str()),
        failure.and_then(|failure| failure.phase).map(crate::destinations::Phase::as_str),
        warnings.and_then(std::result::Result::ok),
        entry.replay_of.as_deref().map(|id| id.as_bytes().as_slice()),
    ])?;
    Ok(())
}

/// One side of an exchange as its columns.
#[derive(Default)]
struct Side<'a> {
    head: Option<Cow<'a, str>>,
    body: Option<&'a [u8]>,
    bytes: Option<i64>,
    complete: Option<bool>,
}

impl<'a> Side<'a> {
    fn new(logged: &'a Logged) -> Self {
        let body = logged.body();
        Self {
            head: Some(logged.head()),
            body: body.map(|body| &**body.bytes()),
            bytes: body.map(|body| int(body.total())),
            complete: body.map(crate::observability::log::LoggedBody::is_complete),
        }
    }

    fn of_request(entry: &'a Entry) -> Self {
        match &entry.request {
            Request::Sent(request) => Self::new(request),
            // A call that was never shown: what it holds may be secret.
            Request::Recorded(_) => Self::default(),
        }
    }
}

/// Marks that an attempt begins.
pub(super) fn lease(connection: &Connection, seq: u64, attempts: u32) -> Result<()> {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO leases VALUES (?1, ?2)")?;
    insert.execute(params![int(seq), attempts]).map(drop)
}

/// Forgets that an attempt is under way.
pub(super) fn release(connection: &Connection, seq: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM leases WHERE seq = ?1")?;
    delete.execute([int(seq)]).map(drop)
}

/// Writes when there is another attempt.
pub(super) fn postpone(
    connection: &Connection,
    seq: u64,
    attempts: u32,
    due: Timestamp,
) -> Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO retries VALUES (?1, ?2, ?3)")?;
    insert.execute(params![int(seq), attempts, int(due.as_millis())]).map(drop)
}

/// Forgets that there was to be another attempt.
pub(super) fn forget_retry(connection: &Connection, seq: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM retries WHERE seq = ?1")?;
    delete.execute([int(seq)]).map(drop)
}

/// Ends a commit: its payloads go, unless some call may be replayed.
pub(super) fn close(connection: &Connection, first_seq: u64, keep: bool) -> Result<()> {
    let statement = if keep {
        "UPDATE commits SET open = 0 WHERE first_seq = ?1"
    } else {
        "DELETE FROM commits WHERE first_seq = ?1"
    };
    connection.prepare_cached(statement)?.execute([int(first_seq)]).map(drop)
}

/// Ends an execution.
pub(super) fn finish(
    connection: &Connection,
    execution: &ExecutionLog,
    tally: Tally,
    at: Timestamp,
) -> Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE executions SET delivered = ?2, failed = ?3, discarded = ?4, finished_at = ?5
         WHERE serial = ?1",
    )?;
    let serial = int(execution.serial());
    update
        .execute(params![
            serial,
            tally.delivered,
            tally.failed,
            tally.discarded,
            int(at.as_millis())
        ])
        .map(drop)
}
