//! Has DuckDB do things.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::config;
use super::super::plan::Plan;
use super::super::query::{Answered, Query};
use super::super::types::{Fields, MAX_COLUMNS};
use super::super::warehouse::{BatchLoad, BatchLoader, Loaded};
use super::dialect::{NAMING, changes, insert, records};
use super::transfer::RowTransfer;
use crate::delivery::{Failure, Kind, Verdict};
use crate::destinations::custom::THREAD_GONE;
use crate::error::{Error, ErrorKind};
use crate::jobs::{Jobs, Thread};
use crate::time::Timestamp;

/// Bytes of rows that one statement adds.
const PIECE_BYTES: usize = 512 << 10;
/// Additional bytes for each column: the cost of a statement grows with them.
const PIECE_BYTES_A_COLUMN: usize = 4 << 10;
/// The time that a response may take beyond the query's own time-out.
const GRACE: Duration = Duration::from_secs(10);

/// DuckDB, as the threads that can run it reach it.
pub struct DuckDb {
    config: config::DuckDbConfig,
    /// The time-out of one step of a load; then its process is killed.
    timeout: Duration,
    jobs: Arc<Jobs>,
    /// The first one does the work.
    threads: Mutex<Vec<Arc<dyn Thread>>>,
}

impl fmt::Debug for DuckDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuckDb").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A request to the DuckDB thread.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum DuckDbJob<'a> {
    /// Returns the state of a batch and the shape of its table.
    Look { table: &'a str, batch: &'a str, timeout_ms: u64 },
    /// Load it, in a transaction that also writes down its id.
    Load {
        before: Vec<String>,
        insert: String,
        /// The file that holds the rows.
        file: &'a Path,
        /// Bytes of each piece of it.
        pieces: &'a [usize],
        after: Vec<String>,
        columns: usize,
        timeout_ms: u64,
    },
    /// Runs a query.
    Query(&'a Query),
}

/// The result of a job.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum JobResult<T> {
    Done(T),
    Failed(JobError),
}

#[derive(Deserialize)]
struct JobError {
    code: String,
    message: String,
    #[serde(default)]
    retryable: bool,
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
        Self { config, timeout, jobs, threads: Mutex::default() }
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &config::DuckDbConfig {
        &self.config
    }

    /// Adds a thread that can run it.
    pub fn attach(&self, thread: Arc<dyn Thread>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// Forgets a thread: it is gone. What it was doing is done again by the next one.
    pub fn detach(&self, thread: &Arc<dyn Thread>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let before = threads.len();
        threads.retain(|known| !Arc::ptr_eq(known, thread));
        if threads.len() < before {
            self.jobs.forget(&[Kind::Sql]);
        }
    }

    /// Runs a query.
    ///
    /// # Errors
    /// `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`, `NotConfigured`.
    ///
    /// # Errors
    /// `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`, `NotConfigured`.
    pub(in crate::destinations::sql) async fn query(
        &self,
        query: &Query,
    ) -> Result<Answered, Error> {
        let limit = Duration::from_millis(query.timeout_ms) + GRACE;
        match tokio::time::timeout(limit, self.ask(&DuckDbJob::Query(query))).await {
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
                format!("the query gave no answer within {} ms", limit.as_millis()),
            )),
        }
    }

    /// Sends a request. `None`: there is no thread, or it exited.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        work: &DuckDbJob<'_>,
    ) -> Option<JobResult<T>> {
        // Before its thread is looked for, so that it is forgotten with it.
        let mut waiting = self.jobs.begin(Kind::Sql);
        let thread =
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()?;
        waiting.hand_to(thread.as_ref(), work);
        let answer = waiting.answered().await?;
        Some(serde_json::from_str(&answer).unwrap_or_else(|error| {
            let message = format!("the warehouse's answer cannot be read: {error}");
            let code = ErrorKind::Internal.code().to_owned();
            JobResult::Failed(JobError { code, message, retryable: false })
        }))
    }

    async fn step<T: serde::de::DeserializeOwned>(
        &self,
        work: &DuckDbJob<'_>,
    ) -> Result<T, Verdict> {
        let gone = || Verdict::Later {
            after: THREAD_GONE,
            reason: "the warehouse, which no thread has open".to_owned(),
        };
        match self.ask(work).await.ok_or_else(gone)? {
            JobResult::Done(done) => Ok(done),
            JobResult::Failed(JobError { code, message, retryable }) => {
                let kind = ErrorKind::from_code(&code).unwrap_or(ErrorKind::Refused);
                let failure = Failure::new(kind, message);
                Err(if retryable {
                    Verdict::Retry { failure, after: None }
                } else {
                    Verdict::Rejected(failure)
                })
            }
        }
    }
}

fn not_written(error: &io::Error) -> Verdict {
    let message = format!("the rows of the batch cannot be written for DuckDB: {error}");
    Verdict::Retry { failure: Failure::new(ErrorKind::Unavailable, message), after: None }
}

impl BatchLoader for DuckDb {
    const NAME: &'static str = "duckdb";

    async fn load(&self, load: BatchLoad<'_>) -> Result<Loaded, Verdict> {
        let BatchLoad { table, batch, rows } = load;
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let look = DuckDbJob::Look { table, batch, timeout_ms };
        let TableState { loaded, shape } = self.step(&look).await?;
        // Of a batch that is there, what the table does not hold was refused.
        let plan = Plan::new(shape, rows, NAMING, MAX_COLUMNS);
        if loaded {
            return Ok(Loaded { repeated: true, refused: plan.refused });
        }
        let columns = plan.after.columns();
        let size = PIECE_BYTES + columns * PIECE_BYTES_A_COLUMN;
        let transfer = RowTransfer::write(&plan, rows, &self.config.file, size).await;
        let transfer = transfer.map_err(|error| not_written(&error))?;
        let now = Timestamp::now();
        let work = DuckDbJob::Load {
            before: changes(table, &plan),
            insert: insert(table, &plan, &rows.fields, now),
            file: transfer.path(),
            pieces: transfer.pieces(),
            after: records(table, batch, &plan, now),
            columns,
            timeout_ms,
        };
        let _: Box<RawValue> = self.step(&work).await?;
        Ok(Loaded { repeated: false, refused: plan.refused })
    }
}
