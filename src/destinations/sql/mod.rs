//! `$send.sql`: rows in batches, each batch loaded into its table once.
//!
//! The way of a call: `item` reads it and checks the table's name, `rows` adds it to the batch of
//! that table and `types` widens the union of its fields; when the batch is closed, a `warehouse`
//! loads it: `plan` says what the table has to become for it, `names` what new columns are called.
//! `query` is the way back.

mod clickhouse;
mod config;
pub mod duckdb;
mod escapes;
mod item;
mod names;
mod plan;
mod postgres;
mod query;
mod rows;
mod types;
mod warehouse;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use super::jobs::{Jobs, Thread};
use super::json;
use super::{BatchLimits, Encoded, Failure, Payload, Stored, Verdict};
use crate::egress::Door;
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::RequestLog;
use clickhouse::ClickHouse;
use duckdb::DuckDb;
use postgres::PostgreSql;
use warehouse::{Load, Loaded};

pub use clickhouse::Server as ClickHouseServer;
pub use config::{
    ClickHouse as ClickHouseConfig, Config, DuckDb as DuckDbConfig, PostgreSql as PostgreSqlConfig,
    Warehouse,
};
pub use postgres::Server as PostgreSqlServer;
pub use query::{Answered, Column, Format, Query};
pub use rows::{RowSet, Rows};

/// Batches that are loaded into a server at once.
const SERVER_CONCURRENCY: usize = 4;
/// Why a query is not answered.
const ASK_THE_SERVER: &str = "the warehouse is a server of its own: query it there, with its own client or with a read-only \
     user of its own. Only DuckDB is queried through dollar-send";

/// The SQL destination.
#[derive(Debug)]
pub struct Sql {
    config: Config,
    target: Option<Target>,
}

/// The warehouse that it has.
#[derive(Debug)]
enum Target {
    DuckDb(DuckDb),
    PostgreSql(PostgreSql),
    ClickHouse(ClickHouse),
}

/// What the log shows of a batch as the response to each of its records.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Landed<'a> {
    warehouse: &'static str,
    table: &'a str,
    batch_id: &'a str,
    /// Whether an earlier attempt had loaded it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    duration_ms: u128,
}

impl Sql {
    /// A destination with the warehouse of the options, which is reached through `door` or run by
    /// `jobs`.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn new(config: Config, door: Door, jobs: &Arc<Jobs>) -> Result<Self> {
        let timeout = config.timeout;
        let target = match config.warehouse.clone() {
            None => None,
            Some(Warehouse::DuckDb(duckdb)) => {
                Some(Target::DuckDb(DuckDb::new(duckdb, timeout, Arc::clone(jobs))))
            }
            Some(Warehouse::PostgreSql(server)) => {
                Some(Target::PostgreSql(PostgreSql::new(server, timeout, door)))
            }
            Some(Warehouse::ClickHouse(server)) => {
                Some(Target::ClickHouse(ClickHouse::new(server, door)?))
            }
        };
        Ok(Self { config, target })
    }

    /// DuckDB, if that is the warehouse.
    #[must_use]
    pub const fn duckdb(&self) -> Option<&DuckDb> {
        match &self.target {
            Some(Target::DuckDb(duckdb)) => Some(duckdb),
            _ => None,
        }
    }

    /// Forgets a thread that ran the warehouse.
    pub fn forget(&self, thread: &Arc<dyn Thread>) {
        if let Some(duckdb) = self.duckdb() {
            duckdb.detach(thread);
        }
    }

    /// When batches are closed; `None`: there is no warehouse.
    #[must_use]
    pub fn limits(&self) -> Option<BatchLimits> {
        self.target.as_ref().map(|_| self.config.batch)
    }

    /// How many batches are loaded at once.
    #[must_use]
    pub const fn concurrency(&self) -> usize {
        match self.target {
            // It has one writer, and uses several threads for it.
            Some(Target::DuckDb(_)) | None => 1,
            Some(Target::PostgreSql(_) | Target::ClickHouse(_)) => SERVER_CONCURRENCY,
        }
    }

    /// The batch that a call belongs to: its table; empty if it belongs to none.
    #[must_use]
    pub fn lane(&self, payload: &Payload) -> String {
        item::table(payload).unwrap_or_default()
    }

    /// What the log shows of a call that is not in the warehouse yet.
    #[must_use]
    pub fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.config.log_body_bytes)
    }

    /// An empty batch whose first record will have this id.
    #[must_use]
    pub fn begin(&self, first: Uuid) -> Rows {
        Rows::new(first)
    }

    /// Adds a call of a lane to its batch.
    ///
    /// # Errors
    /// Why it can be in none.
    pub fn add(
        &self,
        lane: &str,
        rows: &mut Rows,
        payload: &Payload,
    ) -> std::result::Result<(), Failure> {
        if lane.is_empty() {
            item::table(payload)?;
        }
        rows.add(payload)
    }

    /// Closes a batch.
    #[must_use]
    pub fn finish(&self, lane: &str, rows: Rows) -> Encoded {
        rows.finish(lane)
    }

    /// Makes one attempt to load a batch.
    pub async fn store(&self, batch: &Encoded) -> Stored {
        let table = batch.name.split('/').next().unwrap_or_default();
        let Some(rows) = &batch.rows else {
            let message = "a defect of dollar-send: a batch without rows. Please report it";
            let failure = Failure::new(ErrorKind::Internal, message);
            return Stored::nowhere(Verdict::Rejected(failure));
        };
        let load = Load { table, batch: &batch.name, rows };
        let begun = Instant::now();
        let (warehouse, loaded) = match &self.target {
            Some(Target::DuckDb(duckdb)) => self.in_time(duckdb, load).await,
            Some(Target::PostgreSql(server)) => self.in_time(server, load).await,
            Some(Target::ClickHouse(server)) => self.in_time(server, load).await,
            None => return Stored::nowhere(Verdict::Rejected(self.not_configured())),
        };
        let Loaded { repeated, refused } = match loaded {
            Ok(loaded) => loaded,
            Err(verdict) => return Stored::nowhere(verdict),
        };
        let landed = Landed {
            warehouse,
            table,
            batch_id: &batch.name,
            repeated,
            duration_ms: begun.elapsed().as_millis(),
        };
        Stored {
            response: serde_json::value::to_raw_value(&landed).ok(),
            exceptions: refused.into_iter().map(|(place, why)| (place, Some(why))).collect(),
            ..Stored::nowhere(Verdict::Delivered)
        }
    }

    /// Makes one attempt, no longer than it may take; answers the warehouse's name too.
    async fn in_time<W: warehouse::Warehouse>(
        &self,
        warehouse: &W,
        load: Load<'_>,
    ) -> (&'static str, std::result::Result<Loaded, Verdict>) {
        let limit = self.config.timeout;
        let loaded = tokio::time::timeout(limit, warehouse.load(load)).await;
        let loaded = loaded.unwrap_or_else(|_| {
            let (name, limit) = (W::NAME, limit.as_millis());
            let message =
                format!("{name} did not take the batch within {limit} ms (sql.timeoutMs)");
            let failure = Failure::new(ErrorKind::Timeout, message);
            Err(Verdict::Retry { failure, after: None })
        });
        (W::NAME, loaded)
    }

    /// Answers a query.
    ///
    /// # Errors
    /// `NotConfigured`, `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`.
    pub async fn query(&self, query: &Query) -> Result<Answered> {
        match &self.target {
            Some(Target::DuckDb(duckdb)) => duckdb.query(query).await,
            Some(_) => Err(Error::new(ErrorKind::NotConfigured, ASK_THE_SERVER)),
            None => Err(Error::new(ErrorKind::NotConfigured, self.not_configured().message)),
        }
    }

    /// Why there is no warehouse.
    #[must_use]
    pub fn not_configured(&self) -> Failure {
        let message = "there is no warehouse: open the engine with `dataDir`, which then holds it, or \
                       with `sql`";
        Failure::new(ErrorKind::NotConfigured, message)
    }
}
