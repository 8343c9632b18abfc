//! The mark of a move in the file: an engine that finds it refuses to open the directory.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Result as Rows, params};
use uuid::Uuid;

use super::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::sqlite::error::storage_error;
use crate::journal::sqlite::file_in;
use crate::journal::sqlite::read::id;
use crate::journal::sqlite::row::{SqliteRow, int};
use crate::time::Timestamp;

/// A move that has begun.
#[derive(Debug, Clone)]
pub(in crate::journal) struct MoveMark {
    /// Its id in the shared journal, too.
    pub id: Uuid,
    /// The name of the shared journal.
    pub target: String,
    pub finished_at: Option<Timestamp>,
}

fn read(connection: &Connection) -> Rows<Option<MoveMark>> {
    let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'moves')";
    if !connection.query_row(exists, [], |row| row.get(0))? {
        return Ok(None);
    }
    let mark = |row: &rusqlite::Row<'_>| {
        let row = SqliteRow::new("moves", row);
        let time = |at: i64| Some(Timestamp::from_millis(at.cast_unsigned()));
        Ok(MoveMark {
            id: row.parse("id", id)?,
            target: row.get("target")?,
            finished_at: row.parse_optional("finished_at", time)?,
        })
    };
    connection.query_row("SELECT * FROM moves", [], mark).optional()
}

/// Refuses a directory whose calls another journal has, or is to have.
///
/// # Errors
/// `Journal`.
pub(in crate::journal::sqlite) fn refuse_moved(connection: &Connection, path: &Path) -> Result<()> {
    let mark = read(connection).map_err(|error| storage_error(path, "cannot be opened", error))?;
    let Some(MoveMark { target, finished_at, .. }) = mark else { return Ok(()) };
    let directory = path.parent().unwrap_or(path).display();
    let message = match finished_at {
        Some(at) => format!(
            "the data directory {directory} was moved to {target} at {at}: open that journal \
             (journal.postgres instead of dataDir)"
        ),
        None => format!(
            "the data directory {directory} is being moved to {target}: run dollar-send migrate again, \
             which goes on with it"
        ),
    };
    Err(Error::new(ErrorKind::Journal, message))
}

impl Source {
    /// Returns the mark of a move.
    pub(in crate::journal) fn mark(&self) -> Result<Option<MoveMark>> {
        read(&self.reader.connection()).map_err(|error| self.reader.failed_to_read(error))
    }

    /// Marks that a move begins. Returns the mark of one that has begun.
    pub(in crate::journal) fn begin(&self, target: &str) -> Result<MoveMark> {
        if let Some(mark) = self.mark()? {
            return Ok(mark);
        }
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| Error::new(ErrorKind::Journal, "the system has no random numbers"))?;
        let id = uuid::Builder::from_random_bytes(random).into_uuid();
        self.write(
            "INSERT INTO moves (id, target, started_at) VALUES (?1, ?2, ?3)",
            params![id.as_bytes().as_slice(), target, int(Timestamp::now().as_millis())],
        )?;
        Ok(MoveMark { id, target: target.to_owned(), finished_at: None })
    }

    /// Marks that everything was moved.
    pub(in crate::journal) fn finish(&self) -> Result<()> {
        let now = int(Timestamp::now().as_millis());
        self.write("UPDATE moves SET finished_at = ?1 WHERE finished_at IS NULL", params![now])
    }

    fn write(&self, statement: &str, params: &[&dyn rusqlite::ToSql]) -> Result<()> {
        let path = file_in(self.path());
        let Some(connection) = &self.connection else { return Ok(()) };
        let written = connection.execute(statement, params);
        written.map(drop).map_err(|error| storage_error(&path, "cannot be written", error))
    }
}
