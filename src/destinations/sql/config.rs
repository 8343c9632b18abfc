//! How the SQL destination behaves.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{clickhouse, postgres};
use crate::destinations::BatchLimits;

/// The options of the SQL destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The warehouse; `None`: there is none, and calls fail.
    pub warehouse: Option<Warehouse>,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Deadline of one attempt to load a batch. Default: 300 s.
    pub timeout: Duration,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

/// What holds the tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Warehouse {
    /// DuckDB in this process, in a file.
    DuckDb(DuckDb),
    /// A PostgreSQL server.
    PostgreSql(PostgreSql),
    /// A ClickHouse server.
    ClickHouse(ClickHouse),
}

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgreSql {
    /// Where it is, and how to log in.
    pub server: postgres::Server,
    /// The schema that the tables are in. Default: `public`.
    pub schema: String,
}

/// A ClickHouse server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouse {
    /// Where it is, how to log in, and the database that the tables are in.
    pub server: clickhouse::Server,
}

/// DuckDB in this process. It is read by the JavaScript that runs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DuckDb {
    /// The file of the database.
    pub file: PathBuf,
    /// The directory for results of queries.
    pub results: PathBuf,
    /// Days after which rows are deleted; `None`: never. Default: 30.
    pub retention_days: Option<f64>,
    /// Bytes of memory that it may use. Default: 128 MiB.
    pub memory_bytes: usize,
    /// Threads that it may use. Default: 2.
    pub threads: usize,
}

impl DuckDb {
    /// The database in this directory.
    #[must_use]
    pub fn inside(directory: &std::path::Path) -> Self {
        Self {
            file: directory.join("warehouse.duckdb"),
            results: directory.join("results"),
            retention_days: Some(30.0),
            memory_bytes: 128 << 20,
            threads: 2,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            warehouse: None,
            batch: BatchLimits::default(),
            timeout: Duration::from_secs(300),
            log_body_bytes: 64 << 10,
        }
    }
}
