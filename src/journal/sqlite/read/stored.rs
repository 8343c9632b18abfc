//! The rows of a file that a simulated process left: its executions, and what belongs to none.

use std::path::Path;

use rusqlite::{Connection, Result, Row};
use uuid::Uuid;

use crate::journal::sqlite::file_in;
use crate::journal::sqlite::row::TALLY;

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct StoredRows {
    pub(crate) executions: Vec<StoredExecution>,
    /// The numbers of settlements, each with its delivery.
    pub(crate) settlements: Vec<(u64, Uuid)>,
    /// The number of executions that have ended and have no calls that wait, and are not finished.
    pub(crate) unfinished: usize,
    /// Descriptions of rows that should not be there.
    pub(crate) leftovers: Vec<String>,
}

/// An execution of a file.
#[derive(Debug)]
pub(crate) struct StoredExecution {
    pub(crate) execution_id: String,
    pub(crate) workflow_id: String,
    pub(crate) started_at: u64,
    pub(crate) finished_at: Option<u64>,
    /// The number of its dead letters.
    pub(crate) failed: u64,
}

/// Rows that should not be there, as statements that return their numbers.
const LEFTOVERS: [(&str, &str); 8] = [
    (
        "a delivery without its execution",
        "SELECT seq FROM deliveries WHERE execution NOT IN (SELECT serial FROM executions)",
    ),
    (
        "calls without their execution",
        "SELECT first_seq FROM commits WHERE execution NOT IN (SELECT serial FROM executions)",
    ),
    (
        "calls that nothing can replay",
        "SELECT first_seq FROM commits WHERE open = 0 AND NOT EXISTS
            (SELECT 1 FROM deliveries WHERE seq >= first_seq AND seq < first_seq + calls
                AND status = 'failed')",
    ),
    (
        "a lease of a call that does not wait",
        "SELECT seq FROM leases WHERE NOT EXISTS
            (SELECT 1 FROM commits WHERE open = 1 AND seq >= first_seq AND seq < first_seq + calls)",
    ),
    (
        "a retry of a call that does not wait",
        "SELECT seq FROM retries WHERE NOT EXISTS
            (SELECT 1 FROM commits WHERE open = 1 AND seq >= first_seq AND seq < first_seq + calls)",
    ),
    (
        "a replay without its failed delivery",
        "SELECT seq FROM deliveries WHERE replay_of NOT IN (SELECT id FROM deliveries)",
    ),
    (
        "an unindexed delivery that is not there",
        "SELECT number FROM unindexed WHERE number >= 0 AND number NOT IN
            (SELECT seq FROM deliveries)",
    ),
    (
        "an unindexed execution that is not there",
        "SELECT number FROM unindexed WHERE number < 0 AND -1 - number NOT IN
            (SELECT serial FROM executions)",
    ),
];

impl StoredRows {
    /// Reads the rows of a directory that nothing else uses.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let connection = Connection::open(file_in(directory))?;
        let mut leftovers = Vec::new();
        for (what, statement) in LEFTOVERS {
            for number in collect(&connection, statement, |row| row.get::<_, i64>(0))? {
                leftovers.push(format!("{what}: {number}"));
            }
        }
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if check != "ok" {
            leftovers.push(check);
        }
        let miscounted = format!(
            "SELECT serial FROM executions WHERE finished_at IS NOT NULL
                AND (delivered, failed, discarded, dismissed) IS NOT
                    (SELECT {TALLY} FROM deliveries WHERE execution = serial)
                AND NOT EXISTS (SELECT 1 FROM commits WHERE execution = serial AND open = 1)"
        );
        for serial in collect(&connection, &miscounted, |row| row.get::<_, i64>(0))? {
            leftovers.push(format!("a wrong count of execution {serial}"));
        }
        let unfinished = "SELECT serial FROM executions WHERE ended IS NOT NULL
            AND finished_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM commits WHERE execution = serial AND open = 1)";
        let unfinished = collect(&connection, unfinished, |row| row.get::<_, i64>(0))?;
        Ok(Self {
            executions: collect(
                &connection,
                "SELECT execution_id, workflow_id, started_at, finished_at, failed FROM executions
                 ORDER BY serial",
                execution,
            )?,
            settlements: collect(
                &connection,
                "SELECT settlement, id FROM deliveries WHERE settlement IS NOT NULL",
                |row| {
                    Ok((
                        row.get(0)?,
                        Uuid::from_slice(&row.get::<_, Vec<u8>>(1)?).unwrap_or_default(),
                    ))
                },
            )?,
            unfinished: unfinished.len(),
            leftovers,
        })
    }
}

fn execution(row: &Row<'_>) -> Result<StoredExecution> {
    Ok(StoredExecution {
        execution_id: row.get(0)?,
        workflow_id: row.get(1)?,
        started_at: row.get(2)?,
        finished_at: row.get(3)?,
        failed: row.get(4)?,
    })
}

fn collect<T>(
    connection: &Connection,
    statement: &str,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare(statement)?.query_map([], read)?.collect()
}
