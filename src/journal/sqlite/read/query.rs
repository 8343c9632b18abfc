//! Questions to the log in the file.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Result as Rows, Row, ToSql, params};
use uuid::Uuid;

use super::reader::{JournalReader, RecoveredExecution, id, info, read_execution};
use super::scan::Scan;
use crate::delivery::{Failure, Kind, Phase};
use crate::error::{ErrorKind, Result};
use crate::execution::{
    AttemptLog, CallState, DeliveryQuery, DeliveryRequest, Entry, ExecutionInfo, ExecutionQuery,
    Found, Logged, LoggedBody, MAX_SAMPLES, Sample, Search, Status,
};
use crate::journal::sqlite::row::{COLUMNS, SqliteRow, int};
use crate::journal::sqlite::search;
use crate::time::Timestamp;

impl JournalReader {
    /// Terminal deliveries, newest first.
    pub(crate) fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<Found>> {
        let mut conditions = Conditions::of_deliveries(query);
        if let Some(before) = query.before {
            conditions.add("d.id < ?", before.as_bytes().to_vec());
        }
        let statement = format!(
            "SELECT {COLUMNS} FROM deliveries d {} {} ORDER BY d.id DESC LIMIT {}",
            walk(query),
            conditions.text(),
            limit(query.search.as_deref(), query.limit())
        );
        let connection = self.connection();
        let read = || -> Rows<Vec<Found>> {
            let snapshot = connection.unchecked_transaction()?;
            if search::serves(query) && search::is_complete(&snapshot)? {
                return search::deliveries(&snapshot, query);
            }
            let mut select = connection.prepare_cached(&statement)?;
            let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
            let (mut found, mut known) = (Vec::new(), HashMap::new());
            let scan = Scan::begin(query.search.as_deref());
            while found.len() < query.limit()
                && let Some(row) = rows.next()?
            {
                let row = SqliteRow::new("deliveries", row);
                let info = info_of(&connection, row, &mut known)?;
                if scan.admits(&info, row)? {
                    found.push((info, entry(row)?));
                }
            }
            Ok(found)
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// Executions, newest first, with their numbers.
    /// `before`: only those with smaller numbers.
    pub(crate) fn executions(
        &self,
        query: &ExecutionQuery,
        before: Option<u64>,
    ) -> Result<Vec<(u64, RecoveredExecution)>> {
        let mut conditions = Conditions::of_query(query);
        if let Some(before) = before {
            conditions.add("serial < ?", int(before));
        }
        let statement = format!(
            "SELECT * FROM executions {} ORDER BY serial DESC LIMIT {}",
            conditions.text(),
            limit(query.search.as_deref(), query.limit())
        );
        let connection = self.connection();
        let read = || -> Rows<Vec<(u64, RecoveredExecution)>> {
            let snapshot = connection.unchecked_transaction()?;
            if let Some(search) = query.search.as_deref().filter(|search| !search.terms.is_empty())
                && query.execution_id.is_none()
                && search::is_complete(&snapshot)?
            {
                return search::executions(&snapshot, query, search, before);
            }
            let mut select = connection.prepare_cached(&statement)?;
            let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
            let mut found = Vec::new();
            let scan = Scan::begin(query.search.as_deref());
            while found.len() < query.limit()
                && let Some(row) = rows.next()?
            {
                let (serial, execution) = read_execution(&connection, row)?;
                if scan.admits_execution(&connection, serial, &execution)? {
                    found.push((serial, execution));
                }
            }
            Ok(found)
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// Counts the terminal deliveries of a query up to `most`.
    pub(crate) fn count_deliveries(&self, query: &DeliveryQuery, most: usize) -> Result<usize> {
        if query.search.is_none() && search::serves(query) {
            let connection = self.connection();
            let count = || -> Rows<Option<usize>> {
                let snapshot = connection.unchecked_transaction()?;
                let is_complete = search::is_complete(&snapshot)?;
                is_complete.then(|| search::count(&snapshot, query, most)).transpose()
            };
            if let Some(count) = count().map_err(|error| self.failed_to_read(error))? {
                return Ok(count);
            }
        }
        self.count("deliveries d", &Conditions::of_deliveries(query), most)
    }

    /// Counts the executions of a query up to `most`.
    pub(crate) fn count_executions(&self, query: &ExecutionQuery, most: usize) -> Result<usize> {
        self.count("executions", &Conditions::of_query(query), most)
    }

    fn count(&self, table: &str, conditions: &Conditions, most: usize) -> Result<usize> {
        let found = format!("SELECT 1 FROM {table} {} LIMIT {most}", conditions.text());
        let statement = format!("SELECT count(*) FROM ({found})");
        let values = rusqlite::params_from_iter(&conditions.values);
        let connection = self.connection();
        let count = connection.query_row(&statement, values, |row| row.get(0));
        count.map_err(|error| self.failed_to_read(error))
    }

    /// Returns the figures of terminal deliveries recorded since then, the newest.
    pub(crate) fn samples(&self, since: Timestamp) -> Result<Vec<Sample>> {
        let statement = "SELECT status, destination, settled_at, request, response
             FROM deliveries INDEXED BY deliveries_by_id WHERE id >= ?1 AND status <> 'discarded'
             ORDER BY id DESC LIMIT ?2";
        let sample = |row: &Row<'_>| {
            let row = SqliteRow::new("deliveries", row);
            let at = Timestamp::from_millis(row.unsigned("settled_at")?);
            let status = row.parse("status", |name: String| Status::from_name(&name))?;
            let response = row.text("response")?;
            let response = (!response.is_empty()).then_some(response);
            Ok(Sample::new(at, status, row.text("destination")?, row.text("request")?, response))
        };
        let read = || -> Rows<Vec<Sample>> {
            let connection = self.connection();
            let mut select = connection.prepare_cached(statement)?;
            let first = first_at(since);
            let rows =
                select.query_map(params![first.as_bytes().as_slice(), MAX_SAMPLES], sample)?;
            rows.collect()
        };
        read().map_err(|error| self.failed_to_read(error))
    }

    /// The number of the newest execution with this id.
    pub(crate) fn serial_of(&self, id: &str) -> Result<Option<u64>> {
        let statement = "SELECT max(serial) FROM executions WHERE execution_id = ?1";
        let connection = self.connection();
        let found = connection.query_row(statement, [id], |row| row.get::<_, Option<i64>>(0));
        found
            .map(|serial| serial.map(i64::cast_unsigned))
            .map_err(|error| self.failed_to_read(error))
    }

    /// Finds waiting calls in commits after `after`, newest commit first, up to the limit of the
    /// query.
    pub(crate) fn waiting(&self, query: &DeliveryQuery, after: u64) -> Result<Vec<Found>> {
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
            select
                .query_map(values, |row| SqliteRow::new("commits", row).unsigned("first_seq"))?
                .collect()
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
        for commit in self.unsettled(first_seq - 1, 1, 1)? {
            let Some(execution) = self.execution(commit.execution)? else { continue };
            let info = Arc::new(execution.info);
            let entries = commit.calls.iter().map(|call| call.entry(commit.seed, Status::Pending));
            found.extend(
                entries
                    .filter(|entry| query.admits(&info, entry))
                    .map(|entry| (Arc::clone(&info), entry)),
            );
        }
        Ok(())
    }
}

/// Returns the limit of a statement: a search counts only what it finds.
fn limit(search: Option<&Search>, limit: usize) -> i64 {
    if search.is_some() { -1 } else { i64::try_from(limit).unwrap_or(i64::MAX) }
}

/// Returns the index that a search walks along, which the planner would not take without a limit.
const fn walk(query: &DeliveryQuery) -> &'static str {
    if query.settled_since.is_some() {
        return "INDEXED BY deliveries_by_end";
    }
    let is_restricted =
        query.execution.is_some() || query.execution_id.is_some() || query.workflow_id.is_some();
    if query.search.is_some() && !is_restricted { "INDEXED BY deliveries_by_id" } else { "" }
}

pub(in crate::journal::sqlite) fn info_of(
    connection: &Connection,
    row: SqliteRow<'_>,
    known: &mut HashMap<u64, Arc<ExecutionInfo>>,
) -> Rows<Arc<ExecutionInfo>> {
    let serial = row.unsigned("execution")?;
    if let Some(info) = known.get(&serial) {
        return Ok(Arc::clone(info));
    }
    let found = info(connection, serial)?.ok_or_else(|| row.damaged("execution"))?;
    let info = Arc::new(found);
    known.insert(serial, Arc::clone(&info));
    Ok(info)
}

/// Returns the smallest id of a call that is recorded then: ids begin with the time.
pub(in crate::journal::sqlite) fn first_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.as_millis()) << 80)
}

/// The conditions of a query and their values.
#[derive(Default)]
pub(in crate::journal::sqlite) struct Conditions {
    clauses: Vec<String>,
    pub(in crate::journal::sqlite) values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    pub(in crate::journal::sqlite) fn of_deliveries(query: &DeliveryQuery) -> Self {
        let mut conditions = Self::default();
        conditions.of_executions(query);
        if let Some(ids) = &query.ids {
            let marks = vec!["?"; ids.len()].join(", ");
            conditions.clauses.push(format!("d.id IN ({marks})"));
            for id in ids {
                conditions.values.push(Box::new(id.as_bytes().to_vec()));
            }
        }
        if let Some(since) = query.settled_since {
            conditions.add("d.settled_at >= ?", int(since.as_millis()));
        }
        conditions.equal("d.step", query.step.as_ref());
        conditions.equal("d.destination", query.destination.as_ref());
        conditions.equal("d.status", query.status.as_ref());
        if let Some(search) = &query.search {
            conditions.of_search(search);
        }
        conditions
    }

    /// Adds what an index knows of a search; a [`Scan`] does the rest.
    fn of_search(&mut self, search: &Search) {
        for (clause, at) in [("d.id >= ?", search.since), ("d.id < ?", search.until)] {
            if let Some(at) = at {
                self.add(clause, first_at(at).as_bytes().to_vec());
            }
        }
        if let Some(statuses) = search.statuses() {
            let names: Vec<_> = statuses.iter().map(|s| format!("'{}'", s.as_str())).collect();
            self.clauses.push(format!("d.status IN ({})", names.join(", ")));
        }
    }

    fn of_query(query: &ExecutionQuery) -> Self {
        let mut conditions = Self::default();
        conditions.equal("workflow_id", query.workflow_id.as_ref());
        conditions.equal("execution_id", query.execution_id.as_ref());
        let search = query.search.as_deref();
        for (clause, at) in [
            ("started_at >= ?", search.and_then(|search| search.since)),
            ("started_at < ?", search.and_then(|search| search.until)),
        ] {
            if let Some(at) = at {
                conditions.add(clause, int(at.as_millis()));
            }
        }
        conditions
    }

    pub(super) fn add(&mut self, clause: &str, value: impl ToSql + 'static) {
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

    pub(in crate::journal::sqlite) fn text(&self) -> String {
        if self.clauses.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.clauses.join(" AND "))
    }
}

pub(in crate::journal::sqlite) fn entry(row: SqliteRow<'_>) -> Rows<Entry> {
    let warnings = |text: String| serde_json::from_str::<Vec<String>>(&text).ok();
    Ok(Entry {
        id: row.parse("id", id)?,
        index: row.get("call_index")?,
        call_state: call_state(row)?.map(Box::new),
        step: row.get("step")?,
        kind: row.parse("destination", |name: String| Kind::from_name(&name))?,
        status: row.parse("status", |name: String| Status::from_name(&name))?,
        request: DeliveryRequest::Sent(
            logged(row, REQUEST)?.ok_or_else(|| row.damaged("request"))?,
        ),
        response: logged(row, RESPONSE)?.map(Box::new),
        failure: failure(row)?.map(Box::new),
        replayable: None,
        waiting: None,
        batch: None,
        warnings: row.parse_optional("warnings", warnings)?.unwrap_or_default().into(),
        attempts: row.get("attempts")?,
        attempt_log: row
            .parse_optional("attempt_log", |text: String| AttemptLog::from_text(&text, None))?
            .map(Box::new),
        recorded_at: Timestamp::from_millis(row.unsigned("recorded_at")?),
        settled_at: Some(Timestamp::from_millis(row.unsigned("settled_at")?)),
    })
}

fn call_state(row: SqliteRow<'_>) -> Rows<Option<CallState>> {
    let state = CallState {
        replay_of: row.parse_optional("replay_of", id)?,
        call: row.parse_optional("call", id)?,
        base: None,
        replayed_by: row.parse_optional("replayed_by", id)?,
        resolved_by: row.parse_optional("resolved_by", id)?,
        dismissed_at: row
            .parse_optional("dismissed_at", |at: i64| Some(at.cast_unsigned()))?
            .map(Timestamp::from_millis),
    };
    Ok((state != CallState::default()).then_some(state))
}

/// The columns of one side of an exchange: its head, and the body, its length, and whether that is all.
type SideColumns = [&'static str; 4];

const REQUEST: SideColumns =
    ["request", "request_body", "request_body_bytes", "request_body_complete"];
const RESPONSE: SideColumns =
    ["response", "response_body", "response_body_bytes", "response_body_complete"];

/// Reads one side of an exchange.
fn logged(row: SqliteRow<'_>, [head, body, bytes, complete]: SideColumns) -> Rows<Option<Logged>> {
    let body = match row.get::<Option<i64>>(bytes)? {
        Some(total) => {
            let kept: Vec<u8> = row.get(body)?;
            Some(LoggedBody::partial(kept.into(), total.cast_unsigned(), row.get(complete)?))
        }
        None => None,
    };
    row.parse_optional(head, |head: String| Logged::restored(&head, body))
}

/// Reads the failure in the columns `error_code`, `error_message` and `error_phase`.
pub(super) fn failure(row: SqliteRow<'_>) -> Rows<Option<Failure>> {
    let kind = row.parse_optional("error_code", |code: String| ErrorKind::from_code(&code))?;
    let Some(kind) = kind else { return Ok(None) };
    let phase = row.parse_optional("error_phase", |name: String| Phase::from_name(&name))?;
    let message = row.get("error_message")?;
    Ok(Some(Failure { kind, message, phase, status: None, is_local: false }))
}
