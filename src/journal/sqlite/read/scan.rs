//! The rows that a search finds, one by one in their order, for a bounded time.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error, Result as Rows, params};

use super::RecoveredExecution;
use crate::execution::{ExecutionInfo, ExecutionView, Search, Subject, Target};
use crate::journal::sqlite::row::{SqliteRow, int};

/// The time after which a search gives up.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Deliveries of one execution that a search for executions looks at.
const MAX_DELIVERIES: u32 = 10_000;

/// A search that goes through rows; without one, every row is found.
pub(in crate::journal::sqlite) struct Scan<'a> {
    search: Option<&'a Search>,
    begun: Instant,
}

impl<'a> Scan<'a> {
    pub(in crate::journal::sqlite) fn begin(search: Option<&'a Search>) -> Self {
        Self { search, begun: Instant::now() }
    }

    /// Returns `true` if a row of `deliveries` is found.
    pub(in crate::journal::sqlite) fn admits(
        &self,
        info: &ExecutionInfo,
        row: SqliteRow<'_>,
    ) -> Rows<bool> {
        match self.search {
            None => Ok(true),
            Some(search) => self.matches(search, info, row),
        }
    }

    /// Returns `true` if an execution is found: by its own texts, or by one of its deliveries.
    pub(in crate::journal::sqlite) fn admits_execution(
        &self,
        connection: &Connection,
        serial: u64,
        execution: &RecoveredExecution,
    ) -> Rows<bool> {
        let Some(search) = self.search else { return Ok(true) };
        self.check_time()?;
        let RecoveredExecution { info, completion, tally, total } = execution;
        let view = ExecutionView::of(serial, info, completion.as_ref(), *tally, *total);
        let rest = search.rest_of(info, &view);
        if rest.terms.is_empty() {
            return Ok(true);
        }
        let mut select = connection.prepare_cached(
            "SELECT step, destination, status, request, error_code, error_message
             FROM deliveries WHERE execution = ?1 LIMIT ?2",
        )?;
        let mut rows = select.query(params![int(serial), MAX_DELIVERIES])?;
        while let Some(row) = rows.next()? {
            if self.matches(&rest, info, SqliteRow::new("deliveries", row))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns `true` if an execution may be found by its own row, see [`Search::admits_row`].
    pub(in crate::journal::sqlite) fn admits_row(
        &self,
        serial: u64,
        execution: &RecoveredExecution,
    ) -> bool {
        let RecoveredExecution { info, completion, tally, total } = execution;
        let view = ExecutionView::of(serial, info, completion.as_ref(), *tally, *total);
        self.search.is_none_or(|search| search.admits_row(info, &view))
    }

    fn matches(&self, search: &Search, info: &ExecutionInfo, row: SqliteRow<'_>) -> Rows<bool> {
        self.check_time()?;
        Ok(search.admits_subject(info, &subject(row)?))
    }

    fn check_time(&self) -> Rows<()> {
        if self.begun.elapsed() < MAX_TIME {
            return Ok(());
        }
        let reason: Cow<'_, str> = format!(
            "the search did not end within {} s, without its index (log.search), which is off or is \
             being made: add since:",
            MAX_TIME.as_secs()
        )
        .into();
        Err(Error::ToSqlConversionFailure(reason.into()))
    }
}

/// Returns the searchable texts of a row of `deliveries`.
pub(in crate::journal::sqlite) fn subject(row: SqliteRow<'_>) -> Rows<Subject<'_>> {
    let target = Target::of(row.text("request")?);
    Ok(Subject {
        status: row.text("status")?,
        host: target.host().into(),
        target: target.into_text().into(),
        destination: row.text("destination")?,
        step: row.text("step")?,
        code: row.text("error_code")?,
        error: row.text("error_message")?,
    })
}
