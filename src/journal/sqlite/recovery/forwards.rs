//! The failed deliveries that an earlier process was to forward.

use rusqlite::{Connection, Result as Rows, Row};
use uuid::Uuid;

use crate::error::Result;
use crate::journal::sqlite::read::JournalReader;
use crate::journal::sqlite::row::SqliteRow;

/// Removes the notes of deliveries that the log does not have any more.
pub(crate) fn forget_lost_forwards(connection: &Connection) -> Rows<usize> {
    let statement = "DELETE FROM unforwarded WHERE delivery NOT IN (SELECT id FROM deliveries)";
    connection.execute(statement, [])
}

impl JournalReader {
    /// Returns the deliveries that are to be forwarded, the oldest first.
    pub(crate) fn unforwarded(&self) -> Result<Vec<Uuid>> {
        let connection = self.connection();
        let id = |row: &Row<'_>| {
            let row = SqliteRow::new("unforwarded", row);
            row.parse("delivery", |bytes: Vec<u8>| Uuid::from_slice(&bytes).ok())
        };
        let read = || -> Rows<Vec<Uuid>> {
            let mut select =
                connection.prepare("SELECT delivery FROM unforwarded ORDER BY delivery")?;
            select.query_map([], id)?.collect()
        };
        read().map_err(|error| self.failed_to_read(error))
    }
}
