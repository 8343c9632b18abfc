//! The file's layout, and how an older one becomes it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::trouble::trouble;
use crate::error::{Error, ErrorKind, Result};
use crate::private;

/// What survives what, once a completion hook resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Each hand-over is on the disk: it survives a crash of the process and of the machine, and a
    /// loss of power.
    #[default]
    Fsync,
    /// Each hand-over is with the operating system: it survives a crash of the process. A crash of
    /// the machine or a loss of power may take the last ones.
    Os,
}

/// The steps from each version of the layout to the next. The version of a file is its
/// `user_version`; a step is never changed once it was released.
const STEPS: [&str; 4] = [
    "
    CREATE TABLE executions (
        serial INTEGER PRIMARY KEY,
        execution_id TEXT NOT NULL,
        workflow_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        ended TEXT,
        completed_at INTEGER,
        error TEXT,
        total INTEGER NOT NULL,
        delivered INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        discarded INTEGER NOT NULL DEFAULT 0,
        finished_at INTEGER
    );
    CREATE INDEX executions_of_workflow ON executions (workflow_id, serial);
    CREATE INDEX executions_by_id ON executions (execution_id);
    CREATE INDEX executions_running ON executions (serial) WHERE ended IS NULL;

    CREATE TABLE commits (
        first_seq INTEGER PRIMARY KEY,
        calls INTEGER NOT NULL,
        open INTEGER NOT NULL,
        execution INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE INDEX commits_open ON commits (first_seq, calls) WHERE open = 1;
    CREATE INDEX commits_of_execution ON commits (execution);

    CREATE TABLE leases (
        seq INTEGER PRIMARY KEY,
        attempts INTEGER NOT NULL
    );
    CREATE TABLE retries (
        seq INTEGER PRIMARY KEY,
        attempts INTEGER NOT NULL,
        due_at INTEGER NOT NULL
    );

    CREATE TABLE deliveries (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        execution INTEGER NOT NULL,
        call_index INTEGER NOT NULL,
        step TEXT NOT NULL,
        destination TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        settled_at INTEGER NOT NULL,
        request TEXT NOT NULL,
        request_body BLOB,
        request_body_bytes INTEGER,
        request_body_complete INTEGER,
        response TEXT,
        response_body BLOB,
        response_body_bytes INTEGER,
        response_body_complete INTEGER,
        error_code TEXT,
        error_message TEXT,
        error_phase TEXT,
        warnings TEXT
    );
    CREATE UNIQUE INDEX deliveries_by_id ON deliveries (id);
    CREATE INDEX deliveries_of_execution ON deliveries (execution);
    ",
    "ALTER TABLE deliveries ADD COLUMN replay_of BLOB;",
    "
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        destination TEXT NOT NULL,
        lane TEXT NOT NULL,
        name TEXT NOT NULL,
        reason TEXT NOT NULL,
        sealed_at INTEGER NOT NULL,
        records TEXT NOT NULL,
        note TEXT,
        conclusion TEXT
    );
    ",
    "
    ALTER TABLE executions ADD COLUMN emit_depth INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE executions ADD COLUMN trace TEXT;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        workflow_id TEXT NOT NULL,
        delivery BLOB NOT NULL,
        name TEXT NOT NULL,
        depth INTEGER NOT NULL,
        content BLOB NOT NULL
    );
    CREATE TABLE registrations (
        id TEXT PRIMARY KEY,
        sealed BLOB NOT NULL
    );
    ",
];

/// The version that this code writes.
pub(super) const VERSION: usize = STEPS.len();

/// `dsnd`: so that `file` and the like can tell what the file is.
const APPLICATION_ID: i64 = 0x6473_6e64;

/// Opens the file for writing, makes it if it is not there, and brings it to this version.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection> {
    let failed = |error: rusqlite::Error| trouble(path, "cannot be opened", error);
    // SQLite gives the files beside it the mode of this one.
    private::ensure_file(path).map_err(|source| {
        let message = format!("the journal {} cannot be opened", path.display());
        Error::new(ErrorKind::Journal, message).with_source(source)
    })?;
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    let level = match durability {
        Durability::Fsync => "FULL",
        Durability::Os => "NORMAL",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = {level};
             PRAGMA cache_size = -16384;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;
             PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(failed)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the file for reading alone. `Err`: there is none, or it is no journal.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let failed = |error: rusqlite::Error| trouble(path, "cannot be read", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF").map_err(failed)?;
    let version = version(&connection).map_err(failed)?;
    if version == VERSION { Ok(connection) } else { Err(unreadable_version(path, version)) }
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let failed = |error: rusqlite::Error| trouble(path, "cannot be opened", error);
    let from = version(connection).map_err(failed)?;
    let steps = STEPS.get(from..).ok_or_else(|| unreadable_version(path, from))?;
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(failed)?;
    for step in steps {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn unreadable_version(path: &Path, version: usize) -> Error {
    let what = if version > VERSION {
        "a newer version of dollar-send wrote it: use that version"
    } else {
        "open it once with Engine.open() to bring it to this version"
    };
    Error::new(
        ErrorKind::Journal,
        format!("the journal {} has layout {version}, not {VERSION}: {what}", path.display()),
    )
}
