//! The threads that can run DuckDB, and the jobs for them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::super::plan::Plan;
use super::super::query::Query;
use super::super::rows::RowSet;
use super::dialect::{changes, insert};
use super::transfer::RowTransfer;
use crate::delivery::{Failure, Kind, Verdict};
use crate::destinations::custom::THREAD_GONE;
use crate::error::ErrorKind;
use crate::jobs::{Jobs, Thread};
use crate::time::Timestamp;

/// Bytes of rows that one statement adds.
const PIECE_BYTES: usize = 512 << 10;
/// Additional bytes for each column: the cost of a statement grows with them.
const PIECE_BYTES_A_COLUMN: usize = 4 << 10;

/// A request to the DuckDB thread.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum DuckDbJob<'a> {
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
pub(super) enum JobResult<T> {
    Done(T),
    Failed(JobError),
}

#[derive(Deserialize)]
pub(super) struct JobError {
    pub code: String,
    pub message: String,
    #[serde(default)]
    pub retryable: bool,
}

/// Rows that are added to a table.
pub(super) struct Insertion<'a> {
    pub table: &'a str,
    pub plan: &'a Plan,
    pub rows: &'a Arc<RowSet>,
    pub now: Timestamp,
}

/// The threads that can run DuckDB for one destination.
pub struct DuckDbThreads {
    kind: Kind,
    /// The name of what a batch waits for while there is none.
    missing: &'static str,
    jobs: Arc<Jobs>,
    /// The first one does the work.
    known: Mutex<Vec<Arc<dyn Thread>>>,
}

impl DuckDbThreads {
    pub(super) fn new(kind: Kind, missing: &'static str, jobs: Arc<Jobs>) -> Self {
        Self { kind, missing, jobs, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<dyn Thread>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a thread.
    pub fn attach(&self, thread: Arc<dyn Thread>) {
        self.known().push(thread);
    }

    /// Forgets a thread: it is gone. What it was doing is done again by the next one.
    pub fn detach(&self, thread: &Arc<dyn Thread>) {
        let mut threads = self.known();
        let before = threads.len();
        threads.retain(|known| !Arc::ptr_eq(known, thread));
        if threads.len() < before {
            self.jobs.forget(&[self.kind]);
        }
    }

    /// Sends a request. `None`: there is no thread, or it exited.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        work: &DuckDbJob<'_>,
    ) -> Option<JobResult<T>> {
        // Before its thread is looked for, so that it is forgotten with it.
        let mut waiting = self.jobs.begin(self.kind);
        let thread = self.known().first().cloned()?;
        waiting.hand_to(thread.as_ref(), work);
        let answer = waiting.answered().await?;
        Some(serde_json::from_str(&answer).unwrap_or_else(|error| {
            let message = format!("DuckDB's result cannot be read: {error}");
            let code = ErrorKind::Internal.code().to_owned();
            JobResult::Failed(JobError { code, message, retryable: false })
        }))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The verdict of the attempt.
    pub(super) async fn step<T: serde::de::DeserializeOwned>(
        &self,
        work: &DuckDbJob<'_>,
    ) -> Result<T, Verdict> {
        let gone = || Verdict::Later { after: THREAD_GONE, reason: self.missing.to_owned() };
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

    /// Makes a table what it has to be, adds rows, and runs the statements `after`, in one transaction. The
    /// rows cross in a file beside `beside`.
    ///
    /// # Errors
    /// The verdict of the attempt.
    pub(super) async fn insert(
        &self,
        Insertion { table, plan, rows, now }: &Insertion<'_>,
        after: Vec<String>,
        beside: &Path,
        timeout: Duration,
    ) -> Result<(), Verdict> {
        let columns = plan.after.columns();
        let size = PIECE_BYTES + columns * PIECE_BYTES_A_COLUMN;
        let transfer = RowTransfer::write(plan, rows, beside, size).await;
        let transfer = transfer.map_err(|error| not_written(&error))?;
        let work = DuckDbJob::Load {
            before: changes(table, plan),
            insert: insert(table, plan, &rows.fields, *now),
            file: transfer.path(),
            pieces: transfer.pieces(),
            after,
            columns,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        self.step::<IgnoredAny>(&work).await.map(drop)
    }
}

fn not_written(error: &io::Error) -> Verdict {
    let message = format!("the rows of the batch cannot be written for DuckDB: {error}");
    Verdict::Retry { failure: Failure::new(ErrorKind::Unavailable, message), after: None }
}
