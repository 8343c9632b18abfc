//! The file's layout, and how an older one becomes it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorKind, Result};
use crate::journal::sqlite::error::storage_error;
use crate::private;

/// The events that a commit survives.
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
const STEPS: [&str; 11] = [
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
    "
    ALTER TABLE executions ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN call BLOB;
    ALTER TABLE deliveries ADD COLUMN replayed_by BLOB;
    ALTER TABLE deliveries ADD COLUMN resolved_by BLOB;
    ALTER TABLE deliveries ADD COLUMN dismissed_at INTEGER;
    ALTER TABLE retries ADD COLUMN error_code TEXT;
    ALTER TABLE retries ADD COLUMN error_message TEXT;
    ALTER TABLE retries ADD COLUMN error_phase TEXT;

    -- Replays until now named the delivery before them, which may be a replay, too.
    WITH RECURSIVE chain (seq, up) AS (
        SELECT seq, replay_of FROM deliveries WHERE replay_of IS NOT NULL
        UNION
        SELECT chain.seq, d.replay_of FROM chain JOIN deliveries d ON d.id = chain.up
        WHERE d.replay_of IS NOT NULL
    )
    UPDATE deliveries SET call = root.up
    FROM (SELECT seq, up FROM chain WHERE NOT EXISTS
            (SELECT 1 FROM deliveries d WHERE d.id = up AND d.replay_of IS NOT NULL)) root
    WHERE root.seq = deliveries.seq;
    CREATE INDEX deliveries_of_call ON deliveries (call) WHERE call IS NOT NULL;

    -- A call could be replayed while another replay of it was under way: they become one chain.
    UPDATE deliveries SET replayed_by = following.id
    FROM (SELECT seq, lead(id) OVER (PARTITION BY coalesce(call, id) ORDER BY seq) AS id
          FROM deliveries
          WHERE call IS NOT NULL
              OR id IN (SELECT call FROM deliveries WHERE call IS NOT NULL)) following
    WHERE following.seq = deliveries.seq AND following.id IS NOT NULL;
    UPDATE deliveries SET resolved_by = delivered.id
    FROM (SELECT call, id, min(seq) FROM deliveries
          WHERE call IS NOT NULL AND status = 'delivered' GROUP BY call) delivered
    WHERE status = 'failed' AND coalesce(deliveries.call, deliveries.id) = delivered.call;
    CREATE INDEX deliveries_dead ON deliveries (id) WHERE status = 'failed'
        AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL;

    UPDATE executions SET
        total = total - (SELECT count(*) FROM deliveries
                         WHERE execution = serial AND call IS NOT NULL),
        delivered = (SELECT count(DISTINCT coalesce(call, id)) FROM deliveries
                     WHERE execution = serial AND status = 'delivered'),
        failed = (SELECT count(*) FROM deliveries
                  WHERE execution = serial AND status = 'failed' AND replayed_by IS NULL
                      AND resolved_by IS NULL AND dismissed_at IS NULL)
    WHERE serial IN (SELECT execution FROM deliveries WHERE call IS NOT NULL);

    -- Their calls are encrypted: the next opening links the replays among them.
    CREATE TABLE unlinked_commits (first_seq INTEGER PRIMARY KEY);
    INSERT INTO unlinked_commits SELECT first_seq FROM commits WHERE open = 1;
    ",
    "
    ALTER TABLE executions ADD COLUMN trigger TEXT;
    ALTER TABLE executions ADD COLUMN message TEXT;
    ",
    "
    CREATE TABLE unforwarded (delivery BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE INDEX deliveries_by_end ON deliveries (settled_at);
    ",
    "
    -- The search index: rows of the log that no segment has, and the segments.
    CREATE TABLE unindexed (number INTEGER PRIMARY KEY);
    INSERT INTO unindexed SELECT seq FROM deliveries;
    INSERT INTO unindexed SELECT -1 - serial FROM executions WHERE ended IS NOT NULL;
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY,
        rows INTEGER NOT NULL,
        dead_rows INTEGER NOT NULL,
        oldest BLOB NOT NULL,
        newest BLOB NOT NULL,
        min_serial INTEGER NOT NULL,
        max_serial INTEGER NOT NULL,
        dead BLOB NOT NULL,
        directory BLOB NOT NULL
    );
    CREATE TABLE segment_rows (
        segment INTEGER PRIMARY KEY,
        numbers BLOB NOT NULL,
        serials BLOB NOT NULL,
        times BLOB NOT NULL
    );
    CREATE TABLE postings (
        block INTEGER PRIMARY KEY,
        data BLOB NOT NULL
    );

    ALTER TABLE deliveries ADD COLUMN attempt_log TEXT;
    ALTER TABLE retries ADD COLUMN attempt_log TEXT;
    ",
    "
    CREATE TABLE key_check (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE probes (id INTEGER PRIMARY KEY, content BLOB NOT NULL);
    -- Finished executions without a dead letter.
    CREATE INDEX executions_removable ON executions (workflow_id, serial)
        WHERE finished_at IS NOT NULL AND failed = 0;
    ",
    "
    -- The move of everything into a shared journal: no row, or one.
    CREATE TABLE moves (
        id BLOB PRIMARY KEY,
        target TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        finished_at INTEGER
    ) WITHOUT ROWID;
    ",
    "
    -- The order of settlements, without gaps; the newest number that the log has forgotten.
    ALTER TABLE deliveries ADD COLUMN settlement INTEGER;
    CREATE UNIQUE INDEX deliveries_by_settlement ON deliveries (settlement)
        WHERE settlement IS NOT NULL;
    CREATE TABLE numbering (only_row INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    INSERT INTO numbering VALUES (1, 0);
    ",
];

/// The version that this code writes.
pub(crate) const VERSION: usize = STEPS.len();
/// The oldest version that is read as it is: what was added since is not read.
const READABLE: usize = 8;
/// The first version that numbers settlements.
const NUMBERED: usize = 11;

/// `dsnd`: so that `file` and the like can tell what the file is.
const APPLICATION_ID: i64 = 0x6473_6e64;

/// Opens the file for writing, makes it if it is not there, and brings it to this version.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<Connection> {
    let failed = |error: rusqlite::Error| storage_error(path, "cannot be opened", error);
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
             PRAGMA secure_delete = FAST;
             PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(failed)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the file for reading alone. `Err`: there is none, or it is no journal.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection> {
    let failed = |error: rusqlite::Error| storage_error(path, "cannot be read", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF").map_err(failed)?;
    let version = version(&connection).map_err(failed)?;
    if (READABLE..=VERSION).contains(&version) {
        Ok(connection)
    } else {
        Err(unreadable_version(path, version))
    }
}

/// Checks that a file which is read as it is numbers its settlements.
pub(crate) fn check_numbered(connection: &Connection, path: &Path) -> Result<()> {
    match version(connection) {
        Ok(version) if version < NUMBERED => Err(unreadable_version(path, version)),
        Ok(_) => Ok(()),
        Err(error) => Err(storage_error(path, "cannot be read", error)),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let failed = |error: rusqlite::Error| storage_error(path, "cannot be opened", error);
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
