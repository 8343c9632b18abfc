//! Queries that the search index answers.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Result as Rows};
use uuid::Uuid;

use super::lookup::{Kinds, Segment};
use super::segment::millis_of;
use super::token::{Clause, Space};
use crate::execution::{
    DeliveryQuery, ExecutionInfo, ExecutionQuery, Found, Search, SearchField, SearchTerm,
};
use crate::journal::sqlite::read::{
    Conditions, RecoveredExecution, Scan, entry, execution, first_at, id, info_of, read_execution,
};
use crate::journal::sqlite::row::{COLUMNS, SqliteRow, int};

/// Rows without a segment that a query looks at. While there are more, the index is not used.
const MAX_TAIL: usize = 32_768;

/// The deliveries without a segment, between two ids. `CROSS JOIN` has SQLite begin with them: it
/// would go through the ids of all deliveries otherwise.
const TAIL: &str = "SELECT d.seq, d.id FROM unindexed u CROSS JOIN deliveries d ON d.seq = u.number
     WHERE u.number > 0 AND d.id >= ?1 AND d.id < ?2";
/// The executions of deliveries without a segment.
const RUNS_OF_TAIL: &str = "SELECT DISTINCT d.execution
     FROM unindexed u CROSS JOIN deliveries d ON d.seq = u.number ORDER BY 1 DESC";
/// The executions without a segment, and those that go on: they have no row.
const TAIL_OF_RUNS: &str = "SELECT serial FROM executions WHERE ended IS NULL
     UNION SELECT -1 - number FROM unindexed WHERE number < 0 ORDER BY 1 DESC";

/// Executions with their numbers.
type Runs = Vec<(u64, RecoveredExecution)>;

/// Returns `true` if the index helps with a query. An execution has few deliveries, and an index of
/// the table.
pub(in crate::journal::sqlite) fn serves(query: &DeliveryQuery) -> bool {
    let is_of_execution = query.execution.is_some() || query.execution_id.is_some();
    !is_of_execution && (query.search.is_some() || !Clause::of(query).is_empty())
}

/// Returns `true` if all rows are in segments, but for so few that a query can look at them.
pub(in crate::journal::sqlite) fn is_complete(connection: &Connection) -> Rows<bool> {
    Ok(unindexed(connection, MAX_TAIL + 1)? <= MAX_TAIL)
}

/// Counts the rows without a segment, up to a limit.
fn unindexed(connection: &Connection, limit: usize) -> Rows<usize> {
    let statement = "SELECT count(*) FROM (SELECT 1 FROM unindexed LIMIT ?1)";
    connection.prepare_cached(statement)?.query_row([limit], |row| row.get(0))
}

/// Finds deliveries, newest first. The connection is in a transaction.
pub(in crate::journal::sqlite) fn deliveries(
    connection: &Connection,
    query: &DeliveryQuery,
) -> Rows<Vec<Found>> {
    let clauses = Clause::of(query);
    let mut finder = Finder::new(connection, query);
    finder.look_at_tail()?;
    let (since, until) = finder.period();
    let mut select = connection.prepare_cached(
        "SELECT * FROM segments WHERE newest >= ?1 AND oldest < ?2 ORDER BY newest DESC",
    )?;
    let mut rows = select.query([since.as_bytes().as_slice(), until.as_bytes().as_slice()])?;
    while let Some(row) = rows.next()? {
        let mut segment = Segment::read(connection, row)?;
        if finder.least().is_some_and(|least| segment.newest < least) {
            break;
        }
        finder.look_at(&mut segment, &clauses)?;
    }
    finder.finish()
}

/// The deliveries that a query has found.
struct Finder<'a> {
    connection: &'a Connection,
    query: &'a DeliveryQuery,
    scan: Scan<'a>,
    known: HashMap<u64, Arc<ExecutionInfo>>,
    /// Ids and numbers, the newest first, not more than the limit.
    found: BTreeSet<(Reverse<Uuid>, i64)>,
}

impl<'a> Finder<'a> {
    fn new(connection: &'a Connection, query: &'a DeliveryQuery) -> Self {
        let scan = Scan::begin(query.search.as_deref());
        Self { connection, query, scan, known: HashMap::new(), found: BTreeSet::new() }
    }

    /// Returns the ids between which those of the result are: from the first, before the second.
    fn period(&self) -> (Uuid, Uuid) {
        let search = self.query.search.as_deref();
        let since = search.and_then(|search| search.since).map_or(Uuid::nil(), first_at);
        let until = search.and_then(|search| search.until).map_or(Uuid::max(), first_at);
        (since, self.query.before.map_or(until, |before| until.min(before)))
    }

    /// Returns the smallest id in the result, if nothing smaller has room.
    fn least(&self) -> Option<Uuid> {
        let is_full = self.found.len() >= self.query.limit();
        self.found.last().filter(|_| is_full).map(|(id, _)| id.0)
    }

    fn look_at_tail(&mut self) -> Rows<()> {
        let (since, until) = self.period();
        let mut select = self.connection.prepare_cached(TAIL)?;
        let bounds = [since.as_bytes().as_slice(), until.as_bytes().as_slice()];
        let rows = select.query_map(bounds, |row| {
            let row = SqliteRow::new("deliveries", row);
            Ok((row.parse("id", id)?, row.get("seq")?))
        })?;
        let mut rows = rows.collect::<Rows<Vec<(Uuid, i64)>>>()?;
        rows.sort_unstable_by(|a, b| b.cmp(a));
        for (id, number) in rows {
            if self.least().is_some_and(|least| id < least) {
                break;
            }
            self.look_at_row(number)?;
        }
        Ok(())
    }

    fn look_at(&mut self, segment: &mut Segment<'_>, clauses: &[Clause]) -> Rows<()> {
        let candidates = segment.candidates(clauses, Kinds::Deliveries)?;
        if candidates.is_empty() {
            return Ok(());
        }
        let (numbers, times) = (segment.numbers()?, segment.times()?);
        let (since, until) = self.period();
        let (since, until) = (int(millis_of(since)), int(millis_of(until)));
        for row in candidates.descending() {
            let time = times[row];
            let is_past = self.least().is_some_and(|least| time < int(millis_of(least)));
            if time < since || is_past {
                break;
            }
            if time <= until {
                self.look_at_row(numbers[row])?;
            }
        }
        Ok(())
    }

    /// Reads a delivery, and adds it to the result if it matches.
    fn look_at_row(&mut self, number: i64) -> Rows<()> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, execution, step, destination, status, request, error_code, error_message
             FROM deliveries WHERE seq = ?1",
        )?;
        let mut rows = select.query([number])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let row = SqliteRow::new("deliveries", row);
        let id = row.parse("id", id)?;
        let (since, until) = self.period();
        if id < since || id >= until || self.least().is_some_and(|least| id < least) {
            return Ok(());
        }
        let info = info_of(self.connection, row, &mut self.known)?;
        if admits_values(self.query, &info, row)? && self.scan.admits(&info, row)? {
            self.found.insert((Reverse(id), number));
            if self.found.len() > self.query.limit() {
                self.found.pop_last();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Rows<Vec<Found>> {
        let statement = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.seq = ?1");
        let mut select = self.connection.prepare_cached(&statement)?;
        let mut found = Vec::with_capacity(self.found.len());
        for (_, number) in &self.found {
            let read = select.query_row([number], |row| {
                let row = SqliteRow::new("deliveries", row);
                Ok((info_of(self.connection, row, &mut self.known)?, entry(row)?))
            });
            found.extend(read.optional()?);
        }
        Ok(found)
    }
}

fn admits_values(query: &DeliveryQuery, info: &ExecutionInfo, row: SqliteRow<'_>) -> Rows<bool> {
    let admits =
        |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|w| w == actual);
    Ok(admits(&query.workflow_id, &info.workflow_id)
        && admits(&query.step, row.text("step")?)
        && admits(&query.destination, row.text("destination")?)
        && admits(&query.status, row.text("status")?))
}

/// Counts the deliveries of a query without a search up to `most`. The connection is in a transaction.
pub(in crate::journal::sqlite) fn count(
    connection: &Connection,
    query: &DeliveryQuery,
    most: usize,
) -> Rows<usize> {
    let clauses = Clause::values(query);
    let mut select = connection.prepare_cached("SELECT * FROM segments")?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while count < most
        && let Some(row) = rows.next()?
    {
        count += Segment::read(connection, row)?.count(&clauses)?;
    }
    let conditions = Conditions::of_deliveries(query);
    let statement = count_of_tail(&conditions);
    let mut select = connection.prepare_cached(&statement)?;
    let values = rusqlite::params_from_iter(&conditions.values);
    let tail: usize = select.query_row(values, |row| row.get(0))?;
    Ok((count + tail).min(most))
}

fn count_of_tail(conditions: &Conditions) -> String {
    let text = conditions.text();
    format!("SELECT count(*) FROM unindexed u CROSS JOIN deliveries d ON d.seq = u.number {text}")
}

/// Finds executions with matching texts or deliveries, newest first. The connection is in a
/// transaction. `before`: only those with smaller numbers.
pub(in crate::journal::sqlite) fn executions(
    connection: &Connection,
    query: &ExecutionQuery,
    search: &Search,
    before: Option<u64>,
) -> Rows<Runs> {
    let mut finder = RunFinder {
        connection,
        query,
        scan: Scan::begin(Some(search)),
        search,
        before,
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    finder.look_at_tail()?;
    let looks = looks_for_runs(query, search);
    let mut select =
        connection.prepare_cached("SELECT * FROM segments ORDER BY max_serial DESC")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let mut segment = Segment::read(connection, row)?;
        if finder.least().is_some_and(|least| segment.max_serial < least) {
            break;
        }
        finder.look_at(&mut segment, &looks)?;
    }
    Ok(finder.found)
}

/// Returns the looks that together find each execution that may match.
///
/// The terms that an execution does not match itself are all matched by one of its deliveries, and
/// each row has the ids of its execution. Its own row alone has its error and its status: a status is
/// not looked for beside other terms, and an error by itself.
fn looks_for_runs(query: &ExecutionQuery, search: &Search) -> Vec<(Vec<Clause>, Kinds)> {
    let is_status = |term: &&SearchTerm| term.field == SearchField::Status;
    let of_workflow =
        query.workflow_id.as_ref().map(|id| Clause::part(Space::Workflow, &id.to_lowercase()));
    let rest: Vec<_> = search.terms.iter().filter(|term| !is_status(term)).collect();
    let terms = match (rest.is_empty(), search.terms.first()) {
        (true, Some(first)) => vec![Clause::term(first)],
        (true, None) => Vec::new(),
        (false, _) => rest.iter().map(|term| Clause::term(term)).collect(),
    };
    let with_workflow = |clauses: Vec<Clause>| of_workflow.iter().cloned().chain(clauses).collect();
    let mut looks = vec![(with_workflow(terms), Kinds::Both)];
    if rest.len() > 1 {
        let free = rest.iter().filter(|term| term.field == SearchField::Any);
        let errors = free.map(|term| Clause::part(Space::RunEnd, &term.text));
        looks.extend(errors.map(|clause| (with_workflow(vec![clause]), Kinds::Runs)));
    }
    looks
}

/// The executions that a query has found.
struct RunFinder<'a> {
    connection: &'a Connection,
    query: &'a ExecutionQuery,
    search: &'a Search,
    scan: Scan<'a>,
    before: Option<u64>,
    seen: BTreeSet<u64>,
    /// The newest first, not more than the limit.
    found: Runs,
}

impl RunFinder<'_> {
    fn least(&self) -> Option<u64> {
        let is_full = self.found.len() >= self.query.limit();
        self.found.last().filter(|_| is_full).map(|(serial, _)| *serial)
    }

    fn look_at_tail(&mut self) -> Rows<()> {
        let serials = self.serials(RUNS_OF_TAIL)?;
        self.look_at_each(serials, Self::look_at_execution)?;
        let serials = self.serials(TAIL_OF_RUNS)?;
        self.look_at_each(serials, Self::look_at_row)
    }

    fn serials(&self, statement: &str) -> Rows<Vec<i64>> {
        let mut select = self.connection.prepare_cached(statement)?;
        select.query_map([], |row| row.get(0))?.collect()
    }

    fn look_at(&mut self, segment: &mut Segment<'_>, looks: &[(Vec<Clause>, Kinds)]) -> Rows<()> {
        let mut places = BTreeSet::new();
        for (clauses, kinds) in looks {
            places.extend(segment.candidates(clauses, *kinds)?.descending());
        }
        if places.is_empty() {
            return Ok(());
        }
        let serials = segment.serials()?;
        let mut of_places: Vec<_> = places.into_iter().map(|place| serials[place]).collect();
        of_places.sort_unstable_by_key(|serial| Reverse(*serial));
        of_places.dedup();
        self.look_at_each(of_places, Self::look_at_execution)
    }

    /// Looks at executions, the newest first.
    fn look_at_each(
        &mut self,
        serials: Vec<i64>,
        look: fn(&mut Self, u64) -> Rows<()>,
    ) -> Rows<()> {
        for serial in serials.into_iter().map(i64::cast_unsigned) {
            if self.least().is_some_and(|least| serial < least) {
                break;
            }
            if self.before.is_none_or(|before| serial < before) && !self.seen.contains(&serial) {
                look(self, serial)?;
            }
        }
        Ok(())
    }

    /// Looks at an execution if its own row may have it found. Otherwise the row of a delivery leads to
    /// it, which spares a look at each of its deliveries.
    fn look_at_row(&mut self, serial: u64) -> Rows<()> {
        let found = execution(self.connection, serial)?;
        if found.is_some_and(|found| self.scan.admits_row(serial, &found)) {
            self.look_at_execution(serial)?;
        }
        Ok(())
    }

    fn look_at_execution(&mut self, serial: u64) -> Rows<()> {
        self.seen.insert(serial);
        let mut select =
            self.connection.prepare_cached("SELECT * FROM executions WHERE serial = ?1")?;
        let read = select.query_row([int(serial)], |row| read_execution(self.connection, row));
        let Some((serial, execution)) = read.optional()? else { return Ok(()) };
        let is_wanted = self.query.admits(&execution.info)
            && self.search.admits_time(execution.info.started_at)
            && self.scan.admits_execution(self.connection, serial, &execution)?;
        if is_wanted {
            let place = self.found.partition_point(|(found, _)| *found > serial);
            self.found.insert(place, (serial, execution));
            self.found.truncate(self.query.limit());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sqlite::file::{self, Durability};

    #[test]
    fn a_look_at_the_rows_without_a_segment_reads_no_other_delivery() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let connection = file::open(&path, Durability::Os).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let query = DeliveryQuery {
            status: text("failed"),
            destination: text("http"),
            step: text("s"),
            workflow_id: text("p_1"),
            ..DeliveryQuery::default()
        };
        let count = count_of_tail(&Conditions::of_deliveries(&query));
        for statement in [TAIL, RUNS_OF_TAIL, &count] {
            let explained = format!("EXPLAIN QUERY PLAN {statement}");
            let mut explained = connection.prepare(&explained).unwrap();
            let (mut rows, mut looks) = (explained.raw_query(), 0);
            while let Some(row) = rows.next().unwrap() {
                let look: String = row.get("detail").unwrap();
                if look.contains(" d ") {
                    looks += 1;
                    assert_eq!(look, "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)", "{statement}");
                }
            }
            assert_eq!(looks, 1, "{statement}");
        }
    }
}
