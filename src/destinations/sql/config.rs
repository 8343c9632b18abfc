//! Configuration of the SQL destination.

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
    /// True if the options name the warehouse.
    pub warehouse_is_chosen: bool,
    /// The limits of a batch.
    pub batch: BatchLimits,
    /// Deadline of one attempt to load a batch. Default: 300 s.
    pub timeout: Duration,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
}

/// The warehouse that holds the tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Warehouse {
    /// DuckDB in this process, in a file.
    DuckDb(DuckDbConfig),
    /// A PostgreSQL server.
    PostgreSql(PostgreSqlConfig),
    /// A ClickHouse server.
    ClickHouse(ClickHouseConfig),
}

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgreSqlConfig {
    /// Its address and credentials.
    pub server: postgres::PostgreSqlServer,
    /// The authorities to trust instead of the machine's, in PEM.
    pub ca: Option<String>,
    /// The schema that the tables are in. Default: `public`.
    pub schema: String,
}

/// A ClickHouse server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouseConfig {
    /// Its address and credentials, and the database of the tables.
    pub server: clickhouse::ClickHouseServer,
    /// The cluster that has the tables on each of its hosts.
    pub cluster: Option<String>,
}

/// DuckDB in this process. It is read by the JavaScript that runs it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DuckDbConfig {
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

impl DuckDbConfig {
    /// Returns the database in this directory.
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
            warehouse_is_chosen: false,
            batch: BatchLimits::default(),
            timeout: Duration::from_secs(300),
            log_body_bytes: 64 << 10,
        }
    }
}
