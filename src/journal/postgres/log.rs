//! The log: what the database has, and what only the memory of this process knows yet.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::conditions::{Conditions, first_at};
use super::error::{failed, is_end};
use super::op::Op;
use super::params::{Columns, int};
use super::row::{RowReader, StoredExecution};
use super::session::run;
use super::{PostgresJournal, Shared};
use crate::error::Result;
use crate::execution::{
    Before, DeliveryQuery, Entry, ExecutionInfo, ExecutionQuery, ExecutionView, Found, Log,
    MAX_SAMPLES, OpenBuffer, Sample, Search, Selection, Status, Subject, Target, array,
};
use crate::journal::{History, Promise, Selected, codec};
use crate::time::Timestamp;

/// The time after which a search gives up.
const MAX_SEARCH: Duration = Duration::from_secs(5);
/// The longest time of a query, a little longer than the server's limit of a statement.
const READ_LIMIT: Duration = Duration::from_secs(65);
/// Rows that a search reads at once.
const PAGE: usize = 500;

/// The columns of a delivery and of the description of its execution.
pub(super) const FOUND: &str = "d.*, e.execution_id, e.workflow_id, e.attempt, e.started_at, \
                                e.emit_depth, e.trace, e.trigger";
/// The tables that have them.
pub(super) const TABLES: &str = "deliveries d JOIN executions e ON e.serial = d.execution";

/// Reads a delivery and its execution's description.
pub(super) fn found(row: &Row) -> Result<Found> {
    let row = RowReader::new("deliveries", row);
    Ok((Arc::new(row.info()?), row.entry()?))
}

/// Returns `true` if a delivery of the log matches a search.
fn matches(search: &Search, info: &ExecutionInfo, row: &Row) -> Result<bool> {
    let row = RowReader::new("deliveries", row);
    let text = |column: &str| row.get::<Option<String>>(column).map(Option::unwrap_or_default);
    let target = Target::of(&text("request")?);
    let (status, destination, step) = (text("status")?, text("destination")?, text("step")?);
    let (code, error) = (text("error_code")?, text("error_message")?);
    let subject = Subject {
        status: &status,
        host: target.host().into(),
        target: target.into_text().into(),
        destination: &destination,
        step: &step,
        code: &code,
        error: &error,
    };
    Ok(search.admits_subject(info, &subject))
}

/// The deadline of a search.
struct Deadline(Instant);

impl Deadline {
    fn check(&self) -> Result<()> {
        if self.0.elapsed() < MAX_SEARCH {
            return Ok(());
        }
        let seconds = MAX_SEARCH.as_secs();
        Err(super::error::journal(format!(
            "the search did not end within {seconds} s: add since:, workflow: or status:"
        )))
    }
}

impl Shared {
    /// Runs a query, after all earlier operations are written.
    pub(super) async fn read_written(&self, sql: &str, columns: &Columns) -> Result<Vec<Row>> {
        self.written().await?;
        self.read(sql, columns).await
    }

    pub(super) async fn written(&self) -> Result<()> {
        if self.is_closed() { Ok(()) } else { self.ops.wait(Op::Sync).await }
    }

    /// Runs a query that changes nothing. If the database does not respond it is made again, on another
    /// connection, for as long as commits wait.
    pub(super) async fn read(&self, sql: &str, columns: &Columns) -> Result<Vec<Row>> {
        let begun = Instant::now();
        loop {
            if let Some(read) = self.try_read(&[(sql, columns)]).await {
                return Ok(read?.pop().unwrap_or_default());
            }
            if begun.elapsed() >= self.options.patience || self.is_closed() {
                return Err(super::error::silent());
            }
        }
    }

    /// Runs statements in one transaction. Returns the rows of each.
    pub(super) async fn read_all(&self, all: &[(&str, &Columns)]) -> Result<Vec<Vec<Row>>> {
        self.try_read(all).await.unwrap_or_else(|| Err(super::error::silent()))
    }

    /// Does the same. Returns `None` if the database does not respond, or ends the session.
    async fn try_read(&self, all: &[(&str, &Columns)]) -> Option<Result<Vec<Vec<Row>>>> {
        let reading = async {
            let client = match self.reader().await {
                Ok(client) => client,
                Err(error) => return Some(Err(error)),
            };
            let read = run(&client, &self.begin, all).await;
            let is_over = |error: &tokio_postgres::Error| error.as_db_error().is_some_and(is_end);
            match read {
                Err(error) if is_over(&error) => None,
                read => Some(read.map_err(|error| failed(&error))),
            }
        };
        tokio::select! {
            read = tokio::time::timeout(READ_LIMIT, reading) => {
                if let Ok(Some(read)) = read {
                    return Some(read);
                }
            }
            () = self.silent.notified() => {}
        }
        *self.reader.lock().await = None;
        None
    }

    async fn reader(&self) -> Result<Arc<Client>> {
        let mut reader = self.reader.lock().await;
        if let Some(open) = reader.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let connector = self.connector.clone();
        let connect = async move { super::connect::connect(&connector).await };
        let connected = self.handle.spawn(connect).await;
        let client = connected.unwrap_or_else(|_| Err(super::error::closed()))?;
        Ok(Arc::clone(reader.insert(Arc::new(client))))
    }

    async fn find_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> Result<Vec<Found>> {
        // Memory first: what is settled after this look is in the database at the next one.
        let mut all = self.waiting_here(query, open);
        self.written().await?;
        all.extend(self.find_terminal(query).await?);
        let is_pending = |status: &str| status == Status::Pending.as_str();
        if query.settled_since.is_none() && query.status.as_deref().is_none_or(is_pending) {
            all.extend(self.find_waiting(query).await?);
        }
        // A terminal delivery goes before what memory had of it.
        all.sort_by_key(|(_, entry)| (Reverse(entry.id), !entry.status.is_terminal()));
        all.dedup_by_key(|(_, entry)| entry.id);
        all.truncate(query.limit());
        Ok(all)
    }

    /// Returns the deliveries in memory that are not terminal.
    fn waiting_here(&self, query: &DeliveryQuery, open: &[OpenBuffer]) -> Vec<Found> {
        let mut here = self.memory.log().deliveries(query, open);
        let withdrawn = self.withdrawn();
        here.retain(|(_, entry)| !entry.status.is_terminal() && !withdrawn.contains(&entry.id));
        here
    }

    async fn find_terminal(&self, query: &DeliveryQuery) -> Result<Vec<Found>> {
        let (mut all, mut before) = (Vec::new(), query.before);
        let deadline = Deadline(Instant::now());
        loop {
            let mut conditions = Conditions::of_deliveries(query);
            if let Some(before) = before {
                conditions.id("d.id < ", before);
            }
            let limit = if query.search.is_some() { PAGE } else { query.limit() };
            let sql = format!(
                "SELECT {FOUND} FROM {TABLES} {} ORDER BY d.id DESC LIMIT {limit}",
                conditions.text()
            );
            let rows = self.read(&sql, &conditions.columns).await?;
            for row in &rows {
                let info = RowReader::new("executions", row).info()?;
                let admitted = match &query.search {
                    Some(search) => matches(search, &info, row)?,
                    None => true,
                };
                if admitted && all.len() < query.limit() {
                    all.push(found(row)?);
                }
            }
            if query.search.is_none() || rows.len() < limit || all.len() >= query.limit() {
                return Ok(all);
            }
            deadline.check()?;
            let last = rows.last().map(|row| RowReader::new("deliveries", row).get("id"));
            before = last.transpose()?;
        }
    }

    /// Finds the calls that wait at other nodes, or that are in no lane yet.
    async fn find_waiting(&self, query: &DeliveryQuery) -> Result<Vec<Found>> {
        let mut conditions = Conditions::default();
        if let Some(serial) = query.execution {
            conditions.number("c.execution = ", int(serial));
        }
        conditions.equal("e.workflow_id", query.workflow_id.as_deref());
        conditions.equal("e.execution_id", query.execution_id.as_deref());
        let place = conditions.place();
        let known: Vec<i64> = self.ownership().open.keys().map(|seq| int(*seq)).collect();
        conditions.columns.numbers(known);
        conditions.and(&format!("c.is_open AND c.first_seq <> ALL(${place})"));
        let sql = format!(
            "SELECT c.first_seq, c.seed, c.sealed, e.execution_id, e.workflow_id, e.attempt,
                e.started_at, e.emit_depth, e.trace, e.trigger,
                (SELECT coalesce(array_agg(d.seq), '{{}}') FROM deliveries d
                    WHERE d.execution = c.execution AND d.seq >= c.first_seq
                        AND d.seq < c.first_seq + c.calls) AS settled
            FROM commits c JOIN executions e ON e.serial = c.execution {}
            ORDER BY c.execution DESC LIMIT {}",
            conditions.text(),
            query.limit()
        );
        let mut all = Vec::new();
        for row in &self.read(&sql, &conditions.columns).await? {
            let row = RowReader::new("commits", row);
            let first_seq = row.unsigned("first_seq")?;
            let info = Arc::new(row.info()?);
            let settled: Vec<i64> = row.get("settled")?;
            let sealed = row.get::<Vec<u8>>("sealed")?;
            let calls = codec::decode(&self.cipher.decrypt(&first_seq.to_le_bytes(), &sealed)?)?;
            let seed = row.unsigned("seed")?;
            let waiting = (first_seq..).zip(calls);
            let waiting = waiting.filter(|(seq, _)| !settled.contains(&int(*seq)));
            let entries = waiting.map(|(_, (_, item))| item.entry(seed, Status::Pending));
            let admitted = entries.filter(|entry| query.admits(&info, entry));
            all.extend(admitted.map(|entry: Entry| (Arc::clone(&info), entry)));
        }
        Ok(all)
    }

    async fn find_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<String> {
        self.written().await?;
        let before = match &query.before {
            None => None,
            Some(Before::Cursor(cursor)) => Some(cursor.0),
            Some(Before::ExecutionId(id)) => {
                let newest = self.memory.log().newest_with_id(id, open);
                // Nothing comes after an execution that is forgotten.
                Some(newest.max(self.serial_of(id).await?).unwrap_or(0))
            }
        };
        let stored = self.stored_executions(query, before).await?;
        let recorded: HashMap<u64, &OpenBuffer> =
            open.iter().map(|buffer| (buffer.0.serial(), buffer)).collect();
        let known: HashSet<u64> = stored.iter().map(|(serial, _)| *serial).collect();
        let mut views: Vec<(u64, ExecutionView<'_>)> = stored
            .iter()
            .map(|(serial, execution)| {
                let more = recorded.get(serial).map_or(0, |(_, entries)| entries.len());
                let StoredExecution { info, completion, tally, total } = execution;
                let completion = completion.as_ref();
                (*serial, ExecutionView::of(*serial, info, completion, *tally, total + more))
            })
            .collect();
        let new: Vec<_> = open
            .iter()
            .filter(|(log, entries)| {
                !known.contains(&log.serial())
                    && before.is_none_or(|before| log.serial() < before)
                    && query.admits_log(log, entries)
            })
            .map(|(log, entries)| (log, log.state(), entries.len()))
            .collect();
        views.extend(
            new.iter()
                .map(|(log, state, count)| (log.serial(), ExecutionView::new(log, state, *count))),
        );
        views.sort_by_key(|(serial, _)| Reverse(*serial));
        views.truncate(query.limit());
        Ok(array(&views.into_iter().map(|(_, view)| view).collect::<Vec<_>>()))
    }

    async fn stored_executions(
        &self,
        query: &ExecutionQuery,
        mut before: Option<u64>,
    ) -> Result<Vec<(u64, StoredExecution)>> {
        let mut all = Vec::new();
        let deadline = Deadline(Instant::now());
        loop {
            let mut conditions = Conditions::of_executions(query);
            if let Some(before) = before {
                conditions.number("e.serial < ", int(before));
            }
            let limit = if query.search.is_some() { PAGE } else { query.limit() };
            let sql = format!(
                "SELECT e.* FROM executions e {} ORDER BY e.serial DESC LIMIT {limit}",
                conditions.text()
            );
            let rows = self.read(&sql, &conditions.columns).await?;
            for row in &rows {
                let row = RowReader::new("executions", row);
                let (serial, execution) = (row.unsigned("serial")?, row.execution()?);
                before = Some(serial);
                if all.len() < query.limit()
                    && self.admits(query.search.as_deref(), serial, &execution).await?
                {
                    all.push((serial, execution));
                }
            }
            if query.search.is_some() {
                deadline.check()?;
            }
            if query.search.is_none() || rows.len() < limit || all.len() >= query.limit() {
                return Ok(all);
            }
        }
    }

    /// Returns `true` if a search finds an execution: by its own texts, or by one of its deliveries.
    async fn admits(
        &self,
        search: Option<&Search>,
        serial: u64,
        execution: &StoredExecution,
    ) -> Result<bool> {
        let Some(search) = search else { return Ok(true) };
        let rest = {
            let StoredExecution { info, completion, tally, total } = execution;
            let view = ExecutionView::of(serial, info, completion.as_ref(), *tally, *total);
            search.rest_of(info, &view)
        };
        if rest.terms.is_empty() {
            return Ok(true);
        }
        let limit = Some(10_000);
        let query = DeliveryQuery { execution: Some(serial), limit, ..DeliveryQuery::default() };
        let waiting = self.waiting_here(&query, &[]);
        if waiting.iter().any(|(info, entry)| rest.admits_entry(info, entry)) {
            return Ok(true);
        }
        let mut columns = Columns::default();
        columns.number(int(serial));
        let ask = "SELECT step, destination, status, request, error_code, error_message
            FROM deliveries WHERE execution = $1 LIMIT 10000";
        for row in &self.read(ask, &columns).await? {
            if matches(&rest, &execution.info, row)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn serial_of(&self, id: &str) -> Result<Option<u64>> {
        let mut columns = Columns::default();
        columns.text(id);
        let ask = "SELECT max(serial) AS serial FROM executions WHERE execution_id = $1";
        let rows = self.read(ask, &columns).await?;
        let serial: Option<i64> = RowReader::new("executions", &rows[0]).get("serial")?;
        Ok(serial.map(i64::cast_unsigned))
    }

    async fn count_all_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
        most: usize,
    ) -> Result<usize> {
        let live = self.memory.log().count_deliveries(query, open, |status| !status.is_terminal());
        let conditions = Conditions::of_deliveries(query);
        let found = format!("SELECT 1 FROM {TABLES} {} LIMIT {most}", conditions.text());
        let sql = format!("SELECT count(*) AS n FROM ({found}) AS found");
        let rows = self.read_written(&sql, &conditions.columns).await?;
        Ok((live + RowReader::new("deliveries", &rows[0]).count("n")?).min(most))
    }

    async fn count_all_executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
        most: usize,
    ) -> Result<usize> {
        let log = self.memory.log();
        let is_new = |(execution, _): &&OpenBuffer| {
            query.admits(&execution.info) && log.execution(execution.serial()).is_none()
        };
        let new = open.iter().filter(is_new).count();
        let conditions = Conditions::of_executions(query);
        let found = format!("SELECT 1 FROM executions e {} LIMIT {most}", conditions.text());
        let sql = format!("SELECT count(*) AS n FROM ({found}) AS found");
        let rows = self.read_written(&sql, &conditions.columns).await?;
        Ok((new + RowReader::new("executions", &rows[0]).count("n")?).min(most))
    }

    async fn find_samples(&self, since: Timestamp) -> Result<Vec<Sample>> {
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, [first_at(since)]);
        let ask = format!(
            "SELECT settled_at, status, destination, request, response FROM deliveries
             WHERE id >= ($1::uuid[])[1] AND status IN ('delivered', 'failed')
             ORDER BY id DESC LIMIT {MAX_SAMPLES}"
        );
        let sample = |row| {
            let row = RowReader::new("deliveries", row);
            let status = row.parse("status", |name: String| Status::from_name(&name))?;
            let response: Option<String> = row.get("response")?;
            let (destination, request) =
                (row.get::<String>("destination")?, row.get::<String>("request")?);
            let at = row.time("settled_at")?;
            Ok(Sample::new(at, status, &destination, &request, response.as_deref()))
        };
        self.read_written(&ask, &columns).await?.iter().map(sample).collect()
    }
}

impl History for PostgresJournal {
    fn log(&self) -> &Log {
        self.shared.memory.log()
    }

    fn deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<Vec<Found>>> {
        Box::pin(self.shared.find_deliveries(query, open))
    }

    fn executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<String>> {
        Box::pin(self.shared.find_executions(query, open))
    }

    fn count_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(self.shared.count_all_deliveries(query, open, most))
    }

    fn count_executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(self.shared.count_all_executions(query, open, most))
    }

    fn count_dead_letters(&self) -> Promise<'_, Result<usize>> {
        Box::pin(self.shared.count_dead_letters())
    }

    fn parts<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Vec<Selection>>> {
        Box::pin(self.shared.divide(selection))
    }

    fn samples(&self, since: Timestamp) -> Promise<'_, Result<Vec<Sample>>> {
        Box::pin(self.shared.find_samples(since))
    }

    fn replayable<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Selected>> {
        Box::pin(self.shared.find_replayable(selection))
    }

    fn dismiss<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<usize>> {
        Box::pin(self.shared.dismiss_selected(selection))
    }
}
