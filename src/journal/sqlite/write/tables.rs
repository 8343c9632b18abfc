//! The statements that write: one function for each kind of operation.

use std::borrow::Cow;

use rusqlite::{Connection, Result, named_params, params};
use uuid::Uuid;

use super::op::{AppendOp, SettledRow};
use crate::delivery::{Failure, Phase};
use crate::execution::{AttemptLog, DeliveryRequest, Entry, ExecutionLog, Logged, Status, Tally};
use crate::journal::sqlite::row::{DEAD_LETTER, TALLY, int};
use crate::journal::sqlite::search::run_number;
use crate::time::Timestamp;

/// Writes a hand-over.
pub(crate) fn append(connection: &Connection, append: &AppendOp) -> Result<()> {
    extend_execution(connection, append)?;
    if let Some(commit) = &append.commit {
        let mut insert = connection.prepare_cached(
            "INSERT INTO commits (first_seq, calls, open, execution, seed, sealed)
             VALUES (?1, ?2, 1, ?3, ?4, ?5)",
        )?;
        insert.execute(params![
            int(commit.first_seq),
            append.deliveries,
            int(append.execution.serial()),
            int(commit.seed),
            commit.ciphertext,
        ])?;
    }
    let mut link =
        connection.prepare_cached("UPDATE deliveries SET replayed_by = ?2 WHERE id = ?1")?;
    for (id, replay) in &append.replays {
        link.execute([id.as_bytes().as_slice(), replay.as_bytes().as_slice()])?;
    }
    if let Some(forwarded) = &append.forwards {
        let mut delete =
            connection.prepare_cached("DELETE FROM unforwarded WHERE delivery = ?1")?;
        delete.execute([forwarded.as_bytes().as_slice()])?;
    }
    append.settled.iter().try_for_each(|row| settle(connection, row))
}

/// Returns `true` if the execution of a hand-over is stored.
pub(crate) fn has_execution(connection: &Connection, append: &AppendOp) -> Result<bool> {
    let mut select = connection.prepare_cached("SELECT 1 FROM executions WHERE serial = ?1")?;
    select.exists([int(append.execution.serial())])
}

fn extend_execution(connection: &Connection, append: &AppendOp) -> Result<()> {
    let info = &append.execution.info;
    let mut upsert = connection.prepare_cached(
        "INSERT INTO executions (serial, execution_id, workflow_id, attempt, started_at, ended,
                                 completed_at, error, total, emit_depth, trace,
                                 trigger, message)
         VALUES (:serial, :execution_id, :workflow_id, :attempt, :started_at, :ended,
                 :completed_at, :error, :total, :emit_depth, :trace, :trigger, :message)
         ON CONFLICT (serial) DO UPDATE SET
             ended = coalesce(ended, excluded.ended),
             completed_at = coalesce(completed_at, excluded.completed_at),
             error = coalesce(error, excluded.error),
             message = coalesce(message, excluded.message),
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
        ":trigger": info.trigger.as_deref(),
        ":message": ending.and_then(|ending| ending.message.as_deref()),
    })?;
    match ending {
        Some(_) => index_later(connection, run_number(append.execution.serial())),
        None => Ok(()),
    }
}

/// Writes a terminal delivery.
pub(crate) fn settle(connection: &Connection, row: &SettledRow) -> Result<()> {
    let SettledRow { seq, entry, is_forwarded, .. } = row;
    insert_delivery(connection, row)?;
    if *is_forwarded {
        let mut insert = connection
            .prepare_cached("INSERT OR IGNORE INTO unforwarded (delivery) VALUES (?1)")?;
        insert.execute([entry.id.as_bytes().as_slice()])?;
    }
    index_later(connection, int(*seq))?;
    match entry.call_state.as_deref().and_then(|state| state.call) {
        Some(call) if entry.status == Status::Delivered => resolve(connection, call, entry.id),
        _ => Ok(()),
    }
}

fn insert_delivery(connection: &Connection, row: &SettledRow) -> Result<()> {
    let SettledRow { seq, execution, entry, .. } = row;
    let (request, response) = (Side::of_request(entry), entry.response.as_deref().map(Side::new));
    let response = response.unwrap_or_default();
    let failure = entry.failure.as_deref();
    let state = entry.call_state.as_deref();
    let warnings = (!entry.warnings.as_slice().is_empty())
        .then(|| serde_json::to_string(&entry.warnings))
        .transpose()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO deliveries
            (seq, id, execution, call_index, step, destination, status, attempts, recorded_at,
             settled_at, request, request_body, request_body_bytes, request_body_complete, response,
             response_body, response_body_bytes, response_body_complete, error_code, error_message,
             error_phase, warnings, replay_of, call, resolved_by, attempt_log, settlement)
         VALUES
            (:seq, :id, :execution, :call_index, :step, :destination, :status, :attempts,
             :recorded_at, :settled_at, :request, :request_body, :request_body_bytes,
             :request_body_complete, :response, :response_body, :response_body_bytes,
             :response_body_complete, :error_code, :error_message, :error_phase, :warnings,
             :replay_of, :call, :resolved_by, :attempt_log,
             1 + max((SELECT last FROM numbering),
                 (SELECT coalesce(max(settlement), 0) FROM deliveries
                  WHERE settlement IS NOT NULL)))",
    )?;
    insert.execute(named_params! {
        ":seq": int(*seq),
        ":id": entry.id.as_bytes().as_slice(),
        ":execution": int(*execution),
        ":call_index": entry.index,
        ":step": &*entry.step,
        ":destination": entry.kind.name(),
        ":status": entry.status.as_str(),
        ":attempts": entry.attempts,
        ":recorded_at": int(entry.recorded_at.as_millis()),
        ":settled_at": int(entry.settled_at.unwrap_or_default().as_millis()),
        ":request": request.head.as_deref().unwrap_or("{}"),
        ":request_body": request.body,
        ":request_body_bytes": request.bytes,
        ":request_body_complete": request.complete,
        ":response": response.head,
        ":response_body": response.body,
        ":response_body_bytes": response.bytes,
        ":response_body_complete": response.complete,
        ":error_code": failure.map(|failure| failure.kind.code()),
        ":error_message": failure.map(|failure| failure.message.as_str()),
        ":error_phase": failure.and_then(|failure| failure.phase).map(Phase::as_str),
        ":warnings": warnings,
        ":replay_of": state.and_then(|state| bytes_of(state.replay_of.as_ref())),
        ":call": state.and_then(|state| bytes_of(state.call.as_ref())),
        ":resolved_by": state.and_then(|state| bytes_of(state.resolved_by.as_ref())),
        ":attempt_log": entry.attempt_log.as_deref().map(AttemptLog::to_text),
    })?;
    Ok(())
}

/// Marks a row that the search index does not have.
fn index_later(connection: &Connection, number: i64) -> Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO unindexed (number) VALUES (?1)")?;
    insert.execute([number]).map(drop)
}

fn bytes_of(id: Option<&Uuid>) -> Option<&[u8]> {
    id.map(|id| id.as_bytes().as_slice())
}

/// Resolves the failed deliveries of a call.
fn resolve(connection: &Connection, call: Uuid, by: Uuid) -> Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE deliveries SET resolved_by = ?2
         WHERE (id = ?1 OR call = ?1) AND status = 'failed' AND resolved_by IS NULL",
    )?;
    update.execute([call.as_bytes().as_slice(), by.as_bytes().as_slice()]).map(drop)
}

/// Dismisses dead letters and counts those of their executions.
pub(crate) fn dismiss(connection: &Connection, dead: &[(u64, Uuid)], at: Timestamp) -> Result<()> {
    let mut update = connection.prepare_cached(&format!(
        "UPDATE deliveries SET dismissed_at = ?2 WHERE id = ?1 AND {DEAD_LETTER}"
    ))?;
    for (_, id) in dead {
        update.execute(params![id.as_bytes().as_slice(), int(at.as_millis())])?;
    }
    let mut serials: Vec<u64> = dead.iter().map(|(serial, _)| *serial).collect();
    serials.dedup();
    let mut count = connection.prepare_cached(&format!(
        "UPDATE executions SET (delivered, failed, discarded, dismissed) =
            (SELECT {TALLY} FROM deliveries WHERE execution = ?1) WHERE serial = ?1"
    ))?;
    serials.into_iter().try_for_each(|serial| count.execute([int(serial)]).map(drop))
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
            complete: body.map(crate::execution::LoggedBody::is_complete),
        }
    }

    fn of_request(entry: &'a Entry) -> Self {
        match &entry.request {
            DeliveryRequest::Sent(request) => Self::new(request),
            // A call that was never shown: what it holds may be secret.
            DeliveryRequest::Recorded(_) => Self::default(),
        }
    }
}

/// Marks that an attempt begins.
pub(crate) fn lease(connection: &Connection, seq: u64, attempts: u32) -> Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO leases (seq, attempts) VALUES (?1, ?2)")?;
    insert.execute(params![int(seq), attempts]).map(drop)
}

/// Forgets that an attempt is under way.
pub(crate) fn release(connection: &Connection, seq: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM leases WHERE seq = ?1")?;
    delete.execute([int(seq)]).map(drop)
}

/// Writes when there is another attempt.
pub(crate) fn postpone(
    connection: &Connection,
    seq: u64,
    attempts: u32,
    due: Timestamp,
    last_error: Option<&Failure>,
    attempt_log: Option<&str>,
) -> Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO retries (seq, attempts, due_at, error_code, error_message, error_phase,
                              attempt_log)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (seq) DO UPDATE SET
             attempts = excluded.attempts,
             due_at = excluded.due_at,
             error_phase = CASE WHEN excluded.error_code IS NULL THEN error_phase
                                ELSE excluded.error_phase END,
             error_message = coalesce(excluded.error_message, error_message),
             error_code = coalesce(excluded.error_code, error_code),
             attempt_log = coalesce(excluded.attempt_log, attempt_log)",
    )?;
    insert
        .execute(params![
            int(seq),
            attempts,
            int(due.as_millis()),
            last_error.map(|failure| failure.kind.code()),
            last_error.map(|failure| failure.message.as_str()),
            last_error.and_then(|failure| failure.phase).map(Phase::as_str),
            attempt_log,
        ])
        .map(drop)
}

/// Forgets that there was to be another attempt.
pub(crate) fn forget_retry(connection: &Connection, seq: u64) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM retries WHERE seq = ?1")?;
    delete.execute([int(seq)]).map(drop)
}

/// Ends a commit: its payloads go, unless some call may be replayed.
pub(crate) fn close(connection: &Connection, first_seq: u64, keep: bool) -> Result<()> {
    let statement = if keep {
        "UPDATE commits SET open = 0 WHERE first_seq = ?1"
    } else {
        "DELETE FROM commits WHERE first_seq = ?1"
    };
    connection.prepare_cached(statement)?.execute([int(first_seq)]).map(drop)
}

/// Ends an execution.
pub(crate) fn finish(
    connection: &Connection,
    execution: &ExecutionLog,
    tally: Tally,
    at: Timestamp,
) -> Result<()> {
    let serial = int(execution.serial());
    if execution.is_restored() {
        // Its tally began with a row that may have been older than its last end.
        let mut count = connection.prepare_cached(&format!(
            "UPDATE executions SET finished_at = ?2, (delivered, failed, discarded, dismissed) =
                (SELECT {TALLY} FROM deliveries WHERE execution = ?1) WHERE serial = ?1"
        ))?;
        return count.execute(params![serial, int(at.as_millis())]).map(drop);
    }
    let mut update = connection.prepare_cached(
        "UPDATE executions SET delivered = ?2, failed = ?3, discarded = ?4, dismissed = ?5, finished_at = ?6
         WHERE serial = ?1",
    )?;
    update
        .execute(params![
            serial,
            tally.delivered,
            tally.failed,
            tally.discarded,
            tally.dismissed,
            int(at.as_millis())
        ])
        .map(drop)
}

/// Bytes of a probe: a page, so that it fails where a hand-over would.
pub(crate) const PROBE_BYTES: u64 = 4096;

/// Writes as much as a small hand-over does, and removes it.
pub(crate) fn probe(connection: &Connection) -> Result<()> {
    let insert = "REPLACE INTO probes (id, content) VALUES (1, zeroblob(?1))";
    connection.prepare_cached(insert)?.execute([int(PROBE_BYTES)])?;
    connection.prepare_cached("DELETE FROM probes")?.execute([]).map(drop)
}
