//! Has DuckDB do things.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::super::config;
use super::super::plan::Plan;
use super::super::query::{Answered, Query};
use super::super::types::{Fields, MAX_COLUMNS};
use super::super::warehouse::{BatchLoad, BatchLoader, Loaded};
use super::dialect::{NAMING, records};
use super::threads::{DuckDbJob, DuckDbThreads, Insertion, JobResult};
use crate::delivery::{Kind, Verdict};
use crate::error::{Error, ErrorKind};
use crate::jobs::Jobs;
use crate::time::Timestamp;

/// The time that a response may take beyond the query's own time-out.
const GRACE: Duration = Duration::from_secs(10);

/// DuckDB, as the threads that can run it reach it.
pub struct DuckDb {
    config: config::DuckDbConfig,
    /// The time-out of one step of a load; then its process is killed.
    timeout: Duration,
    threads: DuckDbThreads,
}

impl fmt::Debug for DuckDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuckDb").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The result of `Look`.
#[derive(Deserialize)]
struct TableState {
    loaded: bool,
    shape: Option<Fields>,
}

impl DuckDb {
    pub(in crate::destinations::sql) fn new(
        config: config::DuckDbConfig,
        timeout: Duration,
        jobs: Arc<Jobs>,
    ) -> Self {
        let missing = "the warehouse, which no thread has open";
        Self { config, timeout, threads: DuckDbThreads::new(Kind::Sql, missing, jobs) }
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &config::DuckDbConfig {
        &self.config
    }

    /// Returns the threads that can run it.
    #[must_use]
    pub const fn threads(&self) -> &DuckDbThreads {
        &self.threads
    }

    /// Runs a query.
    ///
    /// # Errors
    /// `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`, `NotConfigured`.
    pub(in crate::destinations::sql) async fn query(
        &self,
        query: &Query,
    ) -> Result<Answered, Error> {
        let limit = Duration::from_millis(query.timeout_ms) + GRACE;
        match tokio::time::timeout(limit, self.threads.ask(&DuckDbJob::Query(query))).await {
            Ok(Some(JobResult::Done(answered))) => Ok(answered),
            Ok(Some(JobResult::Failed(said))) => {
                // Queries are not retried.
                let kind = ErrorKind::from_code(&said.code);
                let kind = kind.filter(|_| !said.retryable).unwrap_or(ErrorKind::QueryFailed);
                Err(Error::new(kind, said.message))
            }
            Ok(None) => {
                let message = "no thread has the warehouse open any more: open the engine again";
                Err(Error::new(ErrorKind::QueryFailed, message))
            }
            Err(_) => Err(Error::new(
                ErrorKind::QueryTimeout,
                format!("the query gave no result within {} ms", limit.as_millis()),
            )),
        }
    }
}

impl BatchLoader for DuckDb {
    const NAME: &'static str = "duckdb";

    async fn load(&self, load: BatchLoad<'_>) -> Result<Loaded, Verdict> {
        let BatchLoad { table, batch, rows } = load;
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let look = DuckDbJob::Look { table, batch, timeout_ms };
        let TableState { loaded, shape } = self.threads.step(&look).await?;
        // Of a batch that is there, what the table does not hold was refused.
        let plan = Plan::new(shape, rows, NAMING, MAX_COLUMNS);
        if loaded {
            return Ok(Loaded { repeated: true, refused: plan.refused });
        }
        let now = Timestamp::now();
        let after = records(table, batch, &plan, now);
        let insertion = Insertion { table, plan: &plan, rows, now };
        self.threads.insert(&insertion, after, &self.config.file, self.timeout).await?;
        Ok(Loaded { repeated: false, refused: plan.refused })
    }
}
