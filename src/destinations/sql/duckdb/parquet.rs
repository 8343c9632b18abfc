//! Rows as Parquet: DuckDB infers and writes it, as it does for its own tables.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use super::super::plan::Plan;
use super::super::rows::RowSet;
use super::super::types::MAX_COLUMNS;
use super::dialect::{NAMING, exports};
use super::threads::{DuckDbThreads, Insertion};
use crate::delivery::{Failure, Kind, Verdict};
use crate::error::ErrorKind;
use crate::jobs::Jobs;
use crate::private;
use crate::time::Timestamp;

/// The table that holds the rows of one object.
const TABLE: &str = "object";

/// The writer of Parquet. It is read by the JavaScript that runs DuckDB.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParquetConfig {
    /// The folder of rows and objects while they are converted. No other process uses it.
    pub folder: PathBuf,
    /// Bytes of memory that DuckDB may use.
    pub memory_bytes: usize,
    /// Threads that it may use.
    pub threads: usize,
}

/// Writes rows as Parquet.
pub struct ParquetWriter {
    config: ParquetConfig,
    /// The time-out of one object; then its process is killed.
    timeout: Duration,
    threads: DuckDbThreads,
    /// Clears the folder: an earlier process may have left files in it.
    prepared: Once,
    /// `true` if the folder is removed with the writer. One in a data directory is not: the next engine may
    /// use it already.
    is_temporary: bool,
}

impl fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetWriter").field("config", &self.config).finish_non_exhaustive()
    }
}

/// An object, and the rows that it does not hold, by their places, and why.
pub(in crate::destinations) type Written = (Bytes, BTreeMap<u32, Failure>);

impl ParquetWriter {
    /// Returns a writer with this folder, or one of its own in the temporary directory.
    pub(in crate::destinations) fn new(
        folder: Option<PathBuf>,
        timeout: Duration,
        jobs: Arc<Jobs>,
    ) -> Self {
        let own = || private::temporary_folder().join(format!("parquet-{}", Uuid::now_v7()));
        let is_temporary = folder.is_none();
        let folder = folder.unwrap_or_else(own);
        let config = ParquetConfig { folder, memory_bytes: 256 << 20, threads: 2 };
        let missing = "DuckDB, which writes Parquet and which no thread has open";
        let threads = DuckDbThreads::new(Kind::S3, missing, jobs);
        Self { config, timeout, threads, prepared: Once::new(), is_temporary }
    }

    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &ParquetConfig {
        &self.config
    }

    /// Returns the threads that can run it.
    #[must_use]
    pub const fn threads(&self) -> &DuckDbThreads {
        &self.threads
    }

    /// Writes rows as one object.
    ///
    /// # Errors
    /// The verdict of the attempt.
    pub(in crate::destinations) async fn write(
        &self,
        rows: &Arc<RowSet>,
    ) -> Result<Written, Verdict> {
        let folder = &self.config.folder;
        self.prepared.call_once(|| {
            let _ = fs::remove_dir_all(folder);
        });
        private::create_folder(folder).map_err(|error| unwritable(folder, &error))?;
        let plan = Plan::new(None, rows, NAMING, MAX_COLUMNS);
        let object = Converted(folder.join(format!("{}.parquet", Uuid::now_v7())));
        let insertion = Insertion { table: TABLE, plan: &plan, rows, now: Timestamp::now() };
        let after = exports(TABLE, &plan, &object.0);
        self.threads.insert(&insertion, after, &folder.join(TABLE), self.timeout).await?;
        let read = tokio::fs::read(&object.0).await;
        Ok((read.map_err(|error| unwritable(&object.0, &error))?.into(), plan.refused))
    }
}

impl Drop for ParquetWriter {
    fn drop(&mut self) {
        if self.is_temporary && self.prepared.is_completed() {
            let _ = fs::remove_dir_all(&self.config.folder);
        }
    }
}

/// The file of an object, until it was read.
struct Converted(PathBuf);

impl Drop for Converted {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Verdict {
    let message = format!("{} cannot be used to write Parquet: {error}", path.display());
    Verdict::Retry { failure: Failure::new(ErrorKind::Unavailable, message), after: None }
}
