//! `sql`: the mirror of its spelling.

use std::path::Path;
use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;

use super::options::{MAX_BYTES, MAX_TIMEOUT_MS, bytes, count, invalid, whole};
use super::s3_options::BatchOptions;
use crate::destinations::BatchLimits;
use crate::destinations::sql::{
    ClickHouseConfig, ClickHouseServer, Config, DuckDbConfig, Format, PostgreSqlConfig,
    PostgreSqlServer, Query, Warehouse,
};
use crate::error::{Error, ErrorKind, Result};

/// The SQL destination: a data warehouse, whose tables are made of what is sent to them.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SqlOptions {
    /// DuckDB in this process, through the package `@duckdb/node-api`, which is installed beside this
    /// one. Default: what is used with `dataDir`, unless there is a server.
    pub duckdb: Option<DuckDbOptions>,
    /// A PostgreSQL server, 11 or later.
    pub postgres: Option<PostgresOptions>,
    /// A ClickHouse server, 23.3 or later.
    pub clickhouse: Option<ClickHouseOptions>,
    /// When a batch is closed and loaded.
    pub batch: Option<BatchOptions>,
    /// Days after which rows are deleted, counted from their arrival in the warehouse; 0 keeps them.
    /// For DuckDB: what a server keeps is the server's. Default: 30.
    pub retention_days: Option<f64>,
    /// Milliseconds that one attempt to load a batch may take. Default: 300000.
    pub timeout_ms: Option<f64>,
    /// Bytes of each call that the log keeps. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// DuckDB in this process.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DuckDbOptions {
    /// The file of the database. Default: `warehouse/warehouse.duckdb` in `dataDir`.
    pub file: Option<String>,
    /// Bytes of memory that it may use, from 32 MiB; past it, queries use the disk. Default: 128 MiB.
    pub memory_bytes: Option<f64>,
    /// Threads that it may use. Default: 2.
    pub threads: Option<f64>,
}

/// A PostgreSQL server.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:5432/database`. The connection is encrypted, and on this machine
    /// if the server offers it; `?sslmode=disable`, `prefer` or `require` says otherwise. The
    /// certificate is always checked. A host that is not public needs `egress.allow`.
    pub url: Option<String>,
    /// The schema that the tables are in; it is made if it is not there. Default: `public`.
    pub schema: Option<String>,
}

/// A ClickHouse server.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClickHouseOptions {
    /// Its HTTP interface: `https://user:password@host:8443/database`. User and database are `default`
    /// by default. A host that is not public needs `egress.allow`.
    pub url: Option<String>,
}

/// DuckDB needs some room for a batch.
const MIN_MEMORY_BYTES: u64 = 32 << 20;
/// Bytes of the name of a schema.
const MAX_SCHEMA: usize = 63;
/// A century.
const MAX_RETENTION_DAYS: f64 = 36_525.0;

impl SqlOptions {
    /// The configuration; the warehouse is in `data_dir` unless something else is said.
    pub(super) fn read(given: Option<Self>, data_dir: Option<&str>) -> Result<Config> {
        let default = Config::default();
        let inside =
            data_dir.map(|directory| DuckDbConfig::inside(&Path::new(directory).join("warehouse")));
        let Some(options) = given else {
            return Ok(Config { warehouse: inside.map(Warehouse::DuckDb), ..default });
        };
        let timeout = whole("sql.timeoutMs", options.timeout_ms, 1..=MAX_TIMEOUT_MS, 300_000)?;
        let warehouse = match (options.duckdb, options.postgres, options.clickhouse) {
            (duckdb, None, None) => {
                let retention_days = retention(options.retention_days)?;
                let duckdb = duckdb.unwrap_or_default().read(inside)?;
                Warehouse::DuckDb(DuckDbConfig { retention_days, ..duckdb })
            }
            (None, Some(_), None) | (None, None, Some(_)) if options.retention_days.is_some() => {
                return Err(invalid("sql.retentionDays: is for DuckDB; a server keeps its rows"));
            }
            (None, Some(postgres), None) => Warehouse::PostgreSql(postgres.read()?),
            (None, None, Some(clickhouse)) => Warehouse::ClickHouse(clickhouse.read()?),
            _ => {
                return Err(invalid(
                    "sql: duckdb, postgres and clickhouse are different warehouses: choose one",
                ));
            }
        };
        Ok(Config {
            warehouse: Some(warehouse),
            batch: match &options.batch {
                Some(batch) => batch.read("sql.batch")?,
                None => BatchLimits::default(),
            },
            timeout: Duration::from_millis(timeout),
            log_body_bytes: bytes(
                "sql.logBodyBytes",
                options.log_body_bytes,
                default.log_body_bytes,
            )?,
        })
    }
}

/// Days that rows are kept; `None`: for good.
fn retention(given: Option<f64>) -> Result<Option<f64>> {
    match given {
        None => Ok(Some(30.0)),
        Some(0.0) => Ok(None),
        Some(days) if days > 0.0 && days <= MAX_RETENTION_DAYS => Ok(Some(days)),
        Some(days) => Err(invalid(format!(
            "sql.retentionDays: {days} must be from 0 to {MAX_RETENTION_DAYS}"
        ))),
    }
}

impl PostgresOptions {
    fn read(self) -> Result<PostgreSqlConfig> {
        let url = self.url.ok_or_else(|| invalid("sql.postgres.url: is needed"))?;
        let server = PostgreSqlServer::parse(&url)
            .map_err(|reason| invalid(format!("sql.postgres.url: {reason}")))?;
        let schema = self.schema.unwrap_or_else(|| "public".to_owned());
        if schema.is_empty() || schema.len() > MAX_SCHEMA || schema.contains('\0') {
            return Err(invalid(format!("sql.postgres.schema: must have 1 to {MAX_SCHEMA} bytes")));
        }
        if schema == "dollar_send" || schema.starts_with("pg_") {
            return Err(invalid(format!("sql.postgres.schema: {schema} has another use")));
        }
        Ok(PostgreSqlConfig { server, schema })
    }
}

impl ClickHouseOptions {
    fn read(self) -> Result<ClickHouseConfig> {
        let url = self.url.ok_or_else(|| invalid("sql.clickhouse.url: is needed"))?;
        let server = ClickHouseServer::parse(&url)
            .map_err(|reason| invalid(format!("sql.clickhouse.url: {reason}")))?;
        Ok(ClickHouseConfig { server })
    }
}

impl DuckDbOptions {
    fn read(self, inside: Option<DuckDbConfig>) -> Result<DuckDbConfig> {
        let chosen = match (self.file, inside) {
            (Some(file), _) if file.is_empty() => {
                return Err(invalid("sql.duckdb.file: must not be empty"));
            }
            (Some(file), _) => {
                let results = format!("{file}.results").into();
                DuckDbConfig { file: file.into(), results, ..DuckDbConfig::inside(Path::new("")) }
            }
            (None, Some(inside)) => inside,
            (None, None) => {
                return Err(invalid(
                    "sql.duckdb.file: is needed without dataDir, which would hold the warehouse",
                ));
            }
        };
        let memory = whole(
            "sql.duckdb.memoryBytes",
            self.memory_bytes,
            MIN_MEMORY_BYTES..=MAX_BYTES,
            chosen.memory_bytes as u64,
        )?;
        Ok(DuckDbConfig {
            memory_bytes: usize::try_from(memory).unwrap_or(usize::MAX),
            threads: count("sql.duckdb.threads", self.threads, 1, chosen.threads)?,
            ..chosen
        })
    }
}

/// What `engine.sql()` passes, as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryText {
    query: String,
    format: Format,
    timeout_ms: Option<f64>,
    max_bytes: Option<f64>,
}

/// Reads a query; names and types were checked in JavaScript.
pub(super) fn query(text: &str) -> Result<Query> {
    let refused = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let given: QueryText =
        serde_json::from_str(text).map_err(|error| refused(format!("engine.sql(): {error}")))?;
    let number = |name: &str, value: Option<f64>, most: u64, default: u64| {
        whole(name, value, 1..=most, default)
            .map_err(|error| refused(error.to_string().replace("Engine.open()", "engine.sql()")))
    };
    Ok(Query {
        query: given.query,
        format: given.format,
        timeout_ms: number("timeoutMs", given.timeout_ms, MAX_TIMEOUT_MS, Query::TIMEOUT_MS)?,
        max_bytes: number("maxBytes", given.max_bytes, MAX_BYTES, Query::MAX_BYTES)?,
        preview: 0,
    })
}
