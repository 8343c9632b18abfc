//! `$send.sql`: rows in batches, each batch loaded into its table once.
//!
//! The way of a call: `item` reads it and checks the table's name, `rows` adds it to the batch of
//! that table and `types` widens the union of its fields; when the batch is closed, a `warehouse`
//! loads it: `plan` says what the table has to become for it, `names` what new columns are called.
//! `pace` finds the rows that a server refuses. `query` is the way back.

mod clickhouse;
mod config;
pub mod duckdb;
mod escapes;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod item;
mod names;
mod pace;
mod plan;
mod postgres;
mod query;
mod rows;
mod types;
mod warehouse;

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde::Serialize;
use uuid::Uuid;

use super::json;
use super::{
    Attempt, Backend, BackendChoice, BatchCheckpoint, BatchLimits, Batching, BuiltIn, DeadLetter,
    Destination, Encoded, OpenBatch, Outcome, Resources, StoreOutcome, forward,
};
use crate::delivery::{Failure, Payload, Verdict};
use crate::egress::Egress;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::RequestLog;
use crate::jobs::{Jobs, Thread};
use crate::time::{millis, within};
use clickhouse::ClickHouse;
use duckdb::DuckDb;
use postgres::PostgreSql;
use warehouse::{BatchLoad, Loaded};

pub use clickhouse::ClickHouseServer;
pub use config::{ClickHouseConfig, Config, DuckDbConfig, PostgreSqlConfig, Warehouse};
pub(in crate::destinations) use item::without_surrogates;
pub use postgres::PostgreSqlServer;
pub use query::{Answered, Column, Format, Query};
use rows::RowBatch;
pub use rows::RowSet;

/// Batches that are loaded into a server at once.
const SERVER_CONCURRENCY: usize = 4;
/// The message for a query to a warehouse that is a server of its own.
const ASK_THE_SERVER: &str = "the warehouse is a server of its own: query it there, with its own client or with a read-only \
     user of its own. Only DuckDB is queried through dollar-send";

/// The SQL destination.
#[derive(Debug)]
pub struct Sql {
    config: Config,
    target: Option<WarehouseClient>,
}

/// The warehouse that it has.
#[derive(Debug)]
enum WarehouseClient {
    DuckDb(DuckDb),
    PostgreSql(PostgreSql),
    ClickHouse(ClickHouse),
}

/// The response in the log for each record of a batch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SqlResponse<'a> {
    warehouse: &'static str,
    table: &'a str,
    batch_id: &'a str,
    /// True if an earlier attempt had loaded it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    duration_ms: f64,
}

impl Sql {
    fn new(config: Config, egress: Egress, jobs: &Arc<Jobs>) -> Result<Self> {
        let timeout = config.timeout;
        let target = match config.warehouse.clone() {
            None => None,
            Some(Warehouse::DuckDb(duckdb)) => {
                Some(WarehouseClient::DuckDb(DuckDb::new(duckdb, timeout, Arc::clone(jobs))))
            }
            Some(Warehouse::PostgreSql(server)) => {
                Some(WarehouseClient::PostgreSql(PostgreSql::new(server, timeout, egress)?))
            }
            Some(Warehouse::ClickHouse(server)) => {
                Some(WarehouseClient::ClickHouse(ClickHouse::new(server, egress)?))
            }
        };
        Ok(Self { config, target })
    }

    /// Returns DuckDB, if it is the warehouse.
    #[must_use]
    pub const fn duckdb(&self) -> Option<&DuckDb> {
        match &self.target {
            Some(WarehouseClient::DuckDb(duckdb)) => Some(duckdb),
            _ => None,
        }
    }

    /// Forgets a thread that ran the warehouse.
    pub fn forget(&self, thread: &Arc<dyn Thread>) {
        if let Some(duckdb) = self.duckdb() {
            duckdb.threads().detach(thread);
        }
    }

    async fn load(&self, batch: &Encoded) -> StoreOutcome {
        let table = batch.name.split('/').next().unwrap_or_default();
        let Some(rows) = &batch.rows else {
            let message = "a defect of dollar-send: a batch without rows. Please report it";
            let failure = Failure::new(ErrorKind::Internal, message);
            return StoreOutcome::without_response(Verdict::Rejected(failure));
        };
        let load = BatchLoad { table, batch: &batch.name, rows };
        let begun = Instant::now();
        let (warehouse, loaded) = match &self.target {
            Some(WarehouseClient::DuckDb(duckdb)) => self.in_time(duckdb, load).await,
            Some(WarehouseClient::PostgreSql(server)) => self.in_time(server, load).await,
            Some(WarehouseClient::ClickHouse(server)) => self.in_time(server, load).await,
            None => {
                return StoreOutcome::without_response(Verdict::Rejected(self.not_configured()));
            }
        };
        let Loaded { repeated, refused } = match loaded {
            Ok(loaded) => loaded,
            Err(verdict) => return StoreOutcome::without_response(verdict),
        };
        let landed = SqlResponse {
            warehouse,
            table,
            batch_id: &batch.name,
            repeated,
            duration_ms: millis(begun.elapsed()),
        };
        StoreOutcome {
            response: serde_json::value::to_raw_value(&landed).ok(),
            exceptions: refused.into_iter().map(|(place, why)| (place, Some(why))).collect(),
            ..StoreOutcome::without_response(Verdict::Delivered)
        }
    }

    /// Makes one attempt within its time-out; returns the warehouse's name too.
    async fn in_time<W: warehouse::BatchLoader>(
        &self,
        warehouse: &W,
        load: BatchLoad<'_>,
    ) -> (&'static str, std::result::Result<Loaded, Verdict>) {
        let limit = self.config.timeout;
        let loaded = within(limit, pin!(warehouse.load(load))).await;
        let loaded = loaded.unwrap_or_else(|| {
            let (name, limit) = (W::NAME, limit.as_millis());
            let message =
                format!("{name} did not take the batch within {limit} ms (sql.timeoutMs)");
            let failure = Failure::new(ErrorKind::Timeout, message);
            Err(Verdict::Retry { failure, after: None })
        });
        (W::NAME, loaded)
    }

    /// Runs a query.
    ///
    /// # Errors
    /// `NotConfigured`, `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`.
    pub async fn query(&self, query: &Query) -> Result<Answered> {
        match &self.target {
            Some(WarehouseClient::DuckDb(duckdb)) => duckdb.query(query).await,
            Some(_) => Err(Error::new(ErrorKind::NotConfigured, ASK_THE_SERVER)),
            None => Err(Error::new(ErrorKind::NotConfigured, self.not_configured().message)),
        }
    }

    /// Returns the failure of a missing warehouse.
    #[must_use]
    pub fn not_configured(&self) -> Failure {
        let message = "there is no warehouse: open the engine with `dataDir`, which then holds it, or \
                       with `sql`";
        Failure::new(ErrorKind::NotConfigured, message)
    }
}

impl BuiltIn for Sql {
    type Config = Config;

    const DEAD_LETTER: DeadLetter = Ok(forward::record);

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"table":"t","payload":{"a":1}}"#;

    fn open(config: &Config, resources: &Resources) -> Result<Self> {
        Self::new(config.clone(), resources.egress.clone(), &resources.jobs)
    }
}

impl Destination for Sql {
    /// Calls come here only if there is no warehouse.
    fn deliver<'a>(&'a self, _: &'a Payload, _: &'a Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(ready(Outcome::rejected(self.not_configured())))
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.config.log_body_bytes)
    }

    /// Returns the table; empty if the call names none.
    fn lane(&self, payload: &Payload) -> Option<String> {
        Some(item::table(payload).unwrap_or_default())
    }

    fn batching(&self) -> Option<&dyn Batching> {
        Some(self)
    }

    fn backend(&self) -> Option<Backend> {
        let (has_server, is_chosen) = match self.config.warehouse {
            Some(Warehouse::PostgreSql(_) | Warehouse::ClickHouse(_)) => (true, false),
            Some(Warehouse::DuckDb(_)) => (false, self.config.warehouse_is_chosen),
            None => (false, false),
        };
        Some(Backend {
            transport: BackendChoice::of(has_server, is_chosen),
            noun: "a database server",
            options: "sql.postgres or sql.clickhouse, or sql.duckdb to use DuckDB instead",
            file_warning: None,
        })
    }
}

impl Batching for Sql {
    fn limits(&self) -> Option<BatchLimits> {
        self.target.as_ref().map(|_| self.config.batch)
    }

    fn begin(&self, lane: &str, first: Uuid, _name: Option<&str>) -> Box<dyn OpenBatch> {
        Box::new(RowBatch::new(lane, first))
    }

    fn store<'a>(
        &'a self,
        batch: &'a Encoded,
        _left: Option<&'a str>,
        _checkpoint: &'a dyn BatchCheckpoint,
    ) -> BoxFuture<'a, StoreOutcome> {
        Box::pin(self.load(batch))
    }

    fn concurrency(&self) -> usize {
        match self.target {
            // It has one writer, and uses several threads for it.
            Some(WarehouseClient::DuckDb(_)) | None => 1,
            Some(WarehouseClient::PostgreSql(_) | WarehouseClient::ClickHouse(_)) => {
                SERVER_CONCURRENCY
            }
        }
    }
}
