//! Questions to the log in the file.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Result as Rows, Row, ToSql};
use uuid::Uuid;

use super::reader::{LeftExecution, Reader, execution, read_execution, unsigned};
use super::tables::int;
use crate::destinations::{Failure, Kind, Phase};
use crate::error::{ErrorKind, Result};
use crate::observability::log::{
    DeliveryQuery, Entry, ExecutionInfo, ExecutionQuery, Logged, LoggedBody, Request, Status,
};
use crate::observability::time::Timestamp;

/// A delivery that the file knows, and the execution that it belongs to.
pub(super) type Found = (Arc<ExecutionInfo>, Entry);

/// The columns of a delivery, in the order in which [`entry`] reads them.
const COLUMNS: &str = "d.execution, d.id, d.call_index, d.step, d.destination, d.status, d.attempts,
    d.recorded_at, d.settled_at, d.request, d.request_body, d.request_body_bytes,
    d.request_body_complete, d.response, d.response_body, d.response_body_bytes,
    d.response_body_complete, d.error_code, d.error_message, d.error_phase, d.warnings, d.replay_of";

impl Reader {
    /// Terminal deliveries, newest first.
    pub(super) fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Found>> {
        let mut conditions = Conditions::of_deliveries(query);
        if let Some(before) = query.before {
            conditions.add("d.id < ?", before.as_bytes().to_vec());
        }
        let statement = format!(
            "SELECT {COLUMNS} FROM deliveries d {} ORDER BY d.id DESC LIMIT {}",
            conditions.text(),
            query.limit()
        );
        let connection = self.connection();
        let read = || -> Rows<Vec<Found>> {
            let mut select = connection.prepare_cached(&statement)?;
            let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
            let (mut found, mut known) = (Vec::new(), HashMap::new());
            while let Some(row) = rows.next()? {
                let info = info_of(&connection, unsigned(row, 0)?, &mut known)?;
                found.push((info, entry(row)?));
            }
            Ok(found)
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// Executions, newest first, with their numbers.
    /// `before`: only those with smaller numbers.
    pub(super) fn executions(
        &self,
        query: &ExecutionQuery,
        before: Option<u64>,
    ) -> Result<Vec<(u64, LeftExecution)>> {
        let mut conditions = Conditions::of_query(query);
        if let Some(before) = before {
            conditions.add("serial < ?", int(before));
        }
        let statement = format!(
            "SELECT serial, execution_id, workflow_id, attempt, started_at, ended, completed_at,
                    error, total, delivered, failed, discarded, finished_at, emit_depth, trace
             FROM executions {} ORDER BY serial DESC LIMIT {}",
            conditions.text(),
            query.limit()
        );
        let connection = self.connection();
        let read = || -> Rows<Vec<(u64, LeftExecution)>> {
            let mut select = connection.prepare_cached(&statement)?;
            let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read_execution(&connection, row)?);
            }
            Ok(found)
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// How many terminal deliveries a question is about.
    pub(super) fn count_deliveries(&self, query: &DeliveryQuery) -> Result<usize> {
        self.count("deliveries d", &Conditions::of_deliveries(query))
    }

    /// How many executions a question is about.
    pub(super) fn count_executions(&self, query: &ExecutionQuery) -> Result<usize> {
        self.count("executions", &Conditions::of_query(query))
    }

    fn count(&self, table: &str, conditions: &Conditions) -> Result<usize> {
        let statement = format!("SELECT count(*) FROM {table} {}", conditions.text());
        let values = rusqlite::params_from_iter(&conditions.values);
        let connection = self.connection();
        let count = connection.query_row(&statement, values, |row| row.get(0));
        count.map_err(|error| self.failed_to_read(error))
    }

    /// The number of the newest execution with this id.
    pub(super) fn serial_of(&self, id: &str) -> Result<Option<u64>> {
        let statement = "SELECT max(serial) FROM executions WHERE execution_id = ?1";
        let connection = self.connection();
        let found = connection.query_row(statement, [id], |row| row.get::<_, Option<i64>>(0));
        found
            .map(|serial| serial.map(i64::cast_unsigned))
            .map_err(|error| self.failed_to_read(error))
    }

    /// Calls that wait in commits after `after`, newest commit first, as many as are asked for.
    pub(super) fn waiting(&self, query: &DeliveryQuery, after: u64) -> Result<Vec<Found>> {
        let mut conditions = Conditions::default();
        conditions.add("d.open = 1 AND d.first_seq > ?", int(after));
        conditions.of_executions(query);
        let statement = format!(
            "SELECT d.first_seq FROM commits d {} ORDER BY d.first_seq DESC",
            conditions.text()
        );
        let numbers = || -> Rows<Vec<u64>> {
            let connection = self.connection();
            let mut select = connection.prepare_cached(&statement)?;
            let values = rusqlite::params_from_iter(&conditions.values);
            select.query_map(values, |row| unsigned(row, 0))?.collect()
        };
        let mut found = Vec::new();
        for first_seq in numbers().map_err(|error| self.failed_to_read(error))? {
            if found.len() >= query.limit() {
                break;
            }
            self.waiting_in(first_seq, query, &mut found)?;
        }
        Ok(found)
    }

    fn waiting_in(
        &self,
        first_seq: u64,
        query: &DeliveryQuery,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        for commit in self.left(first_seq - 1, 1, 1)? {
            let Some(execution) = self.execution(commit.execution)? else { continue };
            let info = Arc::new(execution.info);
            let entries =
                commit.calls.iter().map(|call| call.item.entry(commit.seed, Status::Pending));
            found.extend(
                entries.filter(|entry| query.admits(entry)).map(|entry| (Arc::clone(&info), entry)),
            );
        }
        Ok(())
    }
}

fn info_of(
    connection: &Connection,
    serial: u64,
    known: &mut HashMap<u64, Arc<ExecutionInfo>>,
) -> Rows<Arc<ExecutionInfo>> {
    if let Some(info) = known.get(&serial) {
        return Ok(Arc::clone(info));
    }
    let found = execution(connection, serial)?.map(|execution| execution.info);
    let info = Arc::new(found.unwrap_or_else(|| ExecutionInfo {
        execution_id: "".into(),
        workflow_id: "".into(),
        attempt: 1,
        started_at: Timestamp::default(),
        emit_depth: 0,
        trace: None,
    }));
    known.insert(serial, Arc::clone(&info));
    Ok(info)
}

/// What a row must fulfil, and the values to compare with.
#[derive(Default)]
struct Conditions {
    clauses: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn of_deliveries(query: &DeliveryQuery) -> Self {
        let mut conditions = Self::default();
        conditions.of_executions(query);
        conditions.equal("d.step", query.step.as_ref());
        conditions.equal("d.destination", query.destination.as_ref());
        conditions.equal("d.status", query.status.as_ref());
        conditions
    }

    fn of_query(query: &ExecutionQuery) -> Self {
        let mut conditions = Self::default();
        conditions.equal("workflow_id", query.workflow_id.as_ref());
        conditions.equal("execution_id", query.execution_id.as_ref());
        conditions
    }

    fn add(&mut self, clause: &str, value: impl ToSql + 'static) {
        self.clauses.push(clause.to_owned());
        self.values.push(Box::new(value));
    }

    fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(&format!("{column} = ?"), value.clone());
        }
    }

    fn of_executions(&mut self, query: &DeliveryQuery) {
        if let Some(serial) = query.execution {
            self.add("d.execution = ?", int(serial));
        }
        for (column, value) in
            [("workflow_id", &query.workflow_id), ("execution_id", &query.execution_id)]
        {
            if let Some(value) = value {
                let within =
                    format!("d.execution IN (SELECT serial FROM executions WHERE {column} = ?)");
                self.add(&within, value.clone());
            }
        }
    }

    fn text(&self) -> String {
        if self.clauses.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.clauses.join(" AND "))
    }
}

fn entry(row: &Row<'_>) -> Rows<Entry> {
    let warnings: Option<String> = row.get(20)?;
    let head: String = row.get(9)?;
    let status: String = row.get(5)?;
    Ok(Entry {
        id: id(row, 1)?.unwrap_or_default(),
        index: row.get(2)?,
        replay_of: id(row, 21)?.map(Box::new),
        step: row.get(3)?,
        kind: Kind::from_name(&row.get::<_, String>(4)?).unwrap_or(Kind::Http),
        status: Status::from_name(&status).unwrap_or(Status::Failed),
        request: Request::Sent(Logged::restored(&head, body(row, 10)?)),
        response: response(row)?.map(Box::new),
        failure: failure(row)?.map(Box::new),
        replayable: None,
        warnings: warnings
            .and_then(|text| serde_json::from_str::<Vec<String>>(&text).ok())
            .unwrap_or_default()
            .into(),
        attempts: row.get(6)?,
        recorded_at: Timestamp::from_millis(unsigned(row, 7)?),
        settled_at: Some(Timestamp::from_millis(unsigned(row, 8)?)),
    })
}

fn id(row: &Row<'_>, column: usize) -> Rows<Option<Uuid>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok()))
}

fn body(row: &Row<'_>, column: usize) -> Rows<Option<LoggedBody>> {
    let Some(total) = row.get::<_, Option<i64>>(column + 1)? else { return Ok(None) };
    let bytes: Option<Vec<u8>> = row.get(column)?;
    let complete = row.get::<_, Option<bool>>(column + 2)?.unwrap_or_default();
    Ok(Some(LoggedBody::partial(bytes.unwrap_or_default().into(), total.cast_unsigned(), complete)))
}

fn response(row: &Row<'_>) -> Rows<Option<Logged>> {
    let Some(head) = row.get::<_, Option<String>>(13)? else { return Ok(None) };
    Ok(Some(Logged::restored(&head, body(row, 14)?)))
}

fn failure(row: &Row<'_>) -> Rows<Option<Failure>> {
    let Some(code) = row.get::<_, Option<String>>(17)? else { return Ok(None) };
    let kind = ErrorKind::from_code(&code).unwrap_or(ErrorKind::Internal);
    let phase: Option<String> = row.get(19)?;
    Ok(Some(Failure {
        kind,
        message: row.get::<_, Option<String>>(18)?.unwrap_or_default(),
        phase: phase.and_then(|name| Phase::from_name(&name)),
        status: None,
        is_local: false,
    }))
}
