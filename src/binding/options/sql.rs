//! JavaScript options of the SQL destination, `sql`, and of queries.

use std::path::Path;

use napi_derive::napi;
use serde::Deserialize;

use super::place::{Function, MAX_BYTES, MAX_TIMEOUT_MS, Place, parse};
use super::s3::BatchOptions;
use crate::destinations::BatchLimits;
use crate::destinations::sql::{
    ClickHouseConfig, ClickHouseServer, Config, DuckDbConfig, Format, PostgreSqlConfig,
    PostgreSqlServer, Query, Warehouse,
};
use crate::error::Result;

/// The SQL destination: a data warehouse, whose tables are created from the rows sent to them.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SqlOptions {
    /// DuckDB, through the package `@duckdb/node-api`, which has to be installed. Default: used with
    /// `dataDir`, unless `postgres` or `clickhouse` is given.
    pub duckdb: Option<DuckDbOptions>,
    /// A PostgreSQL server, 11 or later.
    pub postgres: Option<PostgresOptions>,
    /// A ClickHouse server, 23.3 or later.
    pub clickhouse: Option<ClickHouseOptions>,
    /// Limits at which a batch is closed and loaded.
    pub batch: Option<BatchOptions>,
    /// Days to keep rows after their arrival in DuckDB; 0 keeps them forever. Refused for servers, which
    /// have their own retention. Default: 30.
    pub retention_days: Option<f64>,
    /// Deadline of one attempt to load a batch, in milliseconds, from 1 to 3,600,000. Default: 300000.
    pub timeout_ms: Option<f64>,
    /// Bytes of each call to keep in the log. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
}

/// DuckDB.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DuckDbOptions {
    /// The file of the database. Default: `warehouse/warehouse.duckdb` in `dataDir`.
    #[napi(ts_type = "string | { readonly href: string }")]
    pub file: Option<String>,
    /// Memory limit in bytes, at least 32 MiB; past it queries use the disk. Default: 128 MiB.
    pub memory_bytes: Option<f64>,
    /// Threads. Default: 2.
    pub threads: Option<f64>,
}

/// A PostgreSQL server.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PostgresOptions {
    /// The URL: `postgres://user:password@host:5432/database`, as providers print it: several hosts,
    /// and the parameters of libpq such as `sslmode`, `sslrootcert`, `channel_binding`, `options` and
    /// `target_session_attrs`. Required. Connections are encrypted; on this machine only if the server
    /// offers it. `sslmode` overrides that. The certificate is always checked. A host that is not
    /// public needs `egress.allow`.
    pub url: Option<String>,
    /// Certificate authorities to trust instead of the machine's, in PEM. Default: those in the file
    /// of `sslrootcert`, or the machine's.
    pub ca: Option<String>,
    /// The schema of the tables; it is created if it does not exist. Default: `public`.
    pub schema: Option<String>,
}

/// A ClickHouse server.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClickHouseOptions {
    /// The URL of its HTTP interface: `https://user:password@host:8443/database`. Required. User and
    /// database are `default` by default. A host that is not public needs `egress.allow`.
    pub url: Option<String>,
    /// The name of a cluster in the server's configuration. Its tables are created on each of its hosts
    /// (`ON CLUSTER`), as `ReplicatedMergeTree`. Default: none.
    pub cluster: Option<String>,
}

/// DuckDB needs some room for a batch.
const MIN_MEMORY_BYTES: u64 = 32 << 20;
/// Bytes of the name of a schema.
const MAX_SCHEMA: usize = 63;
/// The default of `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 300_000;
/// A century.
const MAX_RETENTION_DAYS: f64 = 36_525.0;

impl SqlOptions {
    /// Returns `true` if the warehouse is DuckDB.
    pub(super) const fn is_duckdb(&self) -> bool {
        self.postgres.is_none() && self.clickhouse.is_none()
    }

    /// Reads the configuration; the warehouse is in `data_dir` by default.
    pub(super) fn read(given: Option<Self>, data_dir: Option<&str>) -> Result<Config> {
        let default = Config::default();
        let inside =
            data_dir.map(|directory| DuckDbConfig::inside(&Path::new(directory).join("warehouse")));
        let Some(options) = given else {
            return Ok(Config { warehouse: inside.map(Warehouse::DuckDb), ..default });
        };
        let place = Place::open("sql");
        let timeout = place.timeout(options.timeout_ms, DEFAULT_TIMEOUT_MS)?;
        let warehouse_is_chosen = options.duckdb.is_some();
        let warehouse = match (options.duckdb, options.postgres, options.clickhouse) {
            (duckdb, None, None) => {
                let retention_days = retention(options.retention_days)?;
                let duckdb = duckdb.unwrap_or_default().read(inside)?;
                Warehouse::DuckDb(DuckDbConfig { retention_days, ..duckdb })
            }
            (None, Some(_), None) | (None, None, Some(_)) if options.retention_days.is_some() => {
                return Err(place.refuse("retentionDays", "is for DuckDB; a server keeps its rows"));
            }
            (None, Some(postgres), None) => Warehouse::PostgreSql(postgres.read()?),
            (None, None, Some(clickhouse)) => Warehouse::ClickHouse(clickhouse.read()?),
            _ => {
                let reason = "duckdb, postgres and clickhouse are different warehouses: choose one";
                return Err(place.refuse("", reason));
            }
        };
        Ok(Config {
            warehouse: Some(warehouse),
            warehouse_is_chosen,
            batch: match &options.batch {
                Some(batch) => batch.read(&place.at("batch"))?,
                None => BatchLimits::default(),
            },
            timeout,
            log_body_bytes: place.bytes(
                "logBodyBytes",
                options.log_body_bytes,
                default.log_body_bytes,
            )?,
        })
    }
}

/// Reads the days that rows are kept; `None`: for good.
fn retention(given: Option<f64>) -> Result<Option<f64>> {
    match given {
        None => Ok(Some(30.0)),
        Some(0.0) => Ok(None),
        Some(days) if days > 0.0 && days <= MAX_RETENTION_DAYS => Ok(Some(days)),
        Some(days) => {
            let reason = format!("{days} is not between 0 and {MAX_RETENTION_DAYS}");
            Err(Place::open("sql").refuse("retentionDays", reason))
        }
    }
}

impl PostgresOptions {
    fn read(self) -> Result<PostgreSqlConfig> {
        let place = Place::open("sql.postgres");
        let url = self.url.ok_or_else(|| place.refuse("url", "is needed"))?;
        let server = PostgreSqlServer::parse(&url).map_err(|reason| place.refuse("url", reason))?;
        let schema = self.schema.unwrap_or_else(|| "public".to_owned());
        if schema.is_empty() || schema.len() > MAX_SCHEMA || schema.contains('\0') {
            return Err(place.refuse("schema", format!("must have 1 to {MAX_SCHEMA} bytes")));
        }
        if schema == "dollar_send" || schema.starts_with("pg_") {
            return Err(place.refuse("schema", format!("{schema} has another use")));
        }
        let ca = match (self.ca, server.authorities()) {
            (Some(pem), _) => Some(pem),
            (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                place.refuse("url", format!("sslrootcert: {file} cannot be read: {error}"))
            })?),
            (None, None) => None,
        };
        Ok(PostgreSqlConfig { server, ca, schema })
    }
}

impl ClickHouseOptions {
    fn read(self) -> Result<ClickHouseConfig> {
        let place = Place::open("sql.clickhouse");
        let url = self.url.ok_or_else(|| place.refuse("url", "is needed"))?;
        let server = ClickHouseServer::parse(&url).map_err(|reason| place.refuse("url", reason))?;
        if self.cluster.as_ref().is_some_and(|name| name.is_empty() || name.contains('\0')) {
            return Err(place.refuse("cluster", "is not the name of a cluster"));
        }
        Ok(ClickHouseConfig { server, cluster: self.cluster })
    }
}

impl DuckDbOptions {
    fn read(self, inside: Option<DuckDbConfig>) -> Result<DuckDbConfig> {
        let place = Place::open("sql.duckdb");
        let chosen = match (self.file, inside) {
            (Some(file), _) if file.is_empty() => {
                return Err(place.refuse("file", "must not be empty"));
            }
            (Some(file), _) => {
                let results = format!("{file}.results").into();
                DuckDbConfig { file: file.into(), results, ..DuckDbConfig::inside(Path::new("")) }
            }
            (None, Some(inside)) => inside,
            (None, None) => {
                let reason = "is needed without dataDir, which would hold the warehouse";
                return Err(place.refuse("file", reason));
            }
        };
        let memory = place.integer(
            "memoryBytes",
            self.memory_bytes,
            MIN_MEMORY_BYTES..=MAX_BYTES,
            chosen.memory_bytes as u64,
        )?;
        Ok(DuckDbConfig {
            memory_bytes: usize::try_from(memory).unwrap_or(usize::MAX),
            threads: place.count("threads", self.threads, 1, chosen.threads)?,
            ..chosen
        })
    }
}

/// A query of `engine.sql()`, as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryText {
    query: String,
    format: Format,
    timeout_ms: Option<f64>,
    max_bytes: Option<f64>,
}

/// Reads a query; JavaScript has checked names and types.
pub(in crate::binding) fn query(text: &str) -> Result<Query> {
    let given: QueryText = parse(Function::Sql, text)?;
    let number = |member: &str, value: Option<f64>, most: u64, default: u64| {
        Place::root(Function::Sql).integer(member, value, 1..=most, default)
    };
    Ok(Query {
        query: given.query,
        format: given.format,
        timeout_ms: number("timeoutMs", given.timeout_ms, MAX_TIMEOUT_MS, Query::TIMEOUT_MS)?,
        max_bytes: number("maxBytes", given.max_bytes, MAX_BYTES, Query::MAX_BYTES)?,
        preview: 0,
    })
}
