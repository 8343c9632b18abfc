//! The journal in a data directory: one SQLite file that holds the queue and the log.
//!
//! What waits is in the lanes of memory as well, which is where it is leased from; the file is what
//! makes it last. A hand-over is in the file before it is in a lane. What an earlier process left
//! is brought into the lanes in parts, in its order.
//!
//! [`file`] has the layout and the size of the file, [`write`] the one thread that writes, [`read`] the
//! queries, [`recovery`] the rest of an earlier process.
//! `docs/design/journal-format.md` describes the file.

mod error;
mod file;
mod key;
mod moving;
mod queue;
mod read;
mod records;
mod recovery;
mod row;
mod search;
mod write;

#[cfg(test)]
pub(crate) use file::{
    DiskFault, DiskFaults, die_in_upkeep, has_disk_faults, live_on, set_disk_faults,
};
pub use file::{Durability, announce, create_directory};
pub(super) use moving::{Access, Source};
#[cfg(test)]
pub(crate) use read::{StoredExecution, StoredRows};
pub use read::{read_executions, read_log, read_settled};
#[cfg(test)]
pub(crate) use write::{has_upkeep, set_upkeep};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::crypto::Cipher;
use error::storage_error;
use file::{DataDir, Upkeep};
use read::ReaderPool;
use recovery::{Backlog, RecoveredBatches};
use search::{Indexer, Kick};
use write::Writer;

use super::{MemoryJournal, Report};
use crate::delivery::{Kind, Payload};
use crate::error::Result;
use crate::execution::{ExecutionLog, RequestLog, Retention};

/// The file in a data directory.
const FILE: &str = "journal.sqlite";

/// The treatment of a delivery that was in progress when the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupted {
    /// It is sent again, with the same id: at least once.
    #[default]
    Resend,
    /// It fails as interrupted: at most once. Each attempt waits until its beginning is on disk.
    Fail,
}

/// The search index of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchIndex {
    /// A thread keeps it.
    #[default]
    Kept,
    /// It gets no more rows.
    Off,
}

/// The options of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory.
    pub directory: PathBuf,
    /// The durability of a commit.
    pub durability: Durability,
    /// Bytes of the file past which hand-overs are refused.
    pub max_bytes: Option<u64>,
    /// The key for what is secret, 32 bytes; `None`: the one in the directory.
    pub key: Option<Vec<u8>>,
    /// The treatment of a delivery that was in progress when the process ended.
    pub on_interrupted: OnInterrupted,
    /// The retention of the log.
    pub retention: Retention,
    /// The search index of the log.
    pub search: SearchIndex,
}

#[cfg(test)]
impl Options {
    /// A directory, and the default for everything else.
    #[must_use]
    pub fn bare(directory: PathBuf) -> Self {
        Self {
            directory,
            durability: Durability::default(),
            max_bytes: None,
            key: None,
            on_interrupted: OnInterrupted::default(),
            retention: Retention::default(),
            search: SearchIndex::default(),
        }
    }
}

/// Shows a call as the log may keep it: the destinations know what is secret.
pub type Describe = Box<dyn Fn(Kind, &Payload) -> RequestLog + Send + Sync>;

/// A journal that lasts.
pub struct SqliteJournal {
    memory: MemoryJournal,
    path: PathBuf,
    writer: Arc<Writer>,
    indexer: Mutex<Option<Indexer>>,
    readers: ReaderPool,
    cipher: Cipher,
    describe: Describe,
    on_interrupted: OnInterrupted,
    next_seq: AtomicU64,
    /// Commits with calls that are not terminal, by the number of their first call.
    open: Mutex<BTreeMap<u64, OpenCommit>>,
    backlog: Backlog,
    recovered_batches: RecoveredBatches,
    closed: AtomicBool,
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal").finish_non_exhaustive()
    }
}

/// The calls of a commit that are not terminal.
#[derive(Debug, Clone, Copy)]
struct OpenCommit {
    left: usize,
    failed: bool,
}

impl SqliteJournal {
    /// Opens a data directory, making it if it is not there. Nothing is in a lane yet:
    /// [`Journal::refill`] brings what an earlier process left.
    ///
    /// # Errors
    /// `DataDirLocked`, `Journal`, `JournalFull`.
    pub fn open(options: &Options, describe: Describe, report: Report) -> Result<Self> {
        let directory = DataDir::open(&options.directory)?;
        let path = directory.path().join(FILE);
        let mut connection = file::open(&path, options.durability)?;
        moving::refuse_moved(&connection, &path)?;
        let key = key::unlock(&connection, directory.path(), options.key.as_deref())?;
        let failed = |error| storage_error(&path, "cannot be opened", error);
        let upkeep =
            Upkeep::new(&connection, options.retention, options.max_bytes).map_err(failed)?;
        recovery::end_interrupted_executions(&connection).map_err(failed)?;
        recovery::finish_settled_executions(&connection).map_err(failed)?;
        recovery::forget_finished_batches(&connection).map_err(failed)?;
        recovery::forget_lost_forwards(&connection).map_err(failed)?;
        let recovered_batches = RecoveredBatches::read(&connection).map_err(failed)?;
        let cipher = Cipher::new(&key)?;
        let readers = ReaderPool::open(path.clone(), key)?;
        let reader = readers.get()?;
        recovery::link_replays(&mut connection, &reader)?;
        let (last_seq, last_serial) = reader.last_numbers()?;
        let backlog = Backlog::new(reader.count_unsettled(0)?, last_seq);
        ExecutionLog::number_after(last_serial);
        // Executions that are over are in the file; memory need not keep them.
        let (kick, kicks) = Kick::channel();
        let writer = Writer::start(connection, directory, path.clone(), upkeep, kick, report)?;
        let writer = Arc::new(writer);
        let indexer = match options.search {
            SearchIndex::Kept => Some(Indexer::start(&path, Arc::clone(&writer), kicks)?),
            SearchIndex::Off => None,
        };
        let live = Retention { max_executions_per_workflow: 0, ..options.retention };
        Ok(Self {
            memory: MemoryJournal::new(live),
            path,
            writer,
            indexer: Mutex::new(indexer),
            readers,
            cipher,
            describe,
            on_interrupted: options.on_interrupted,
            next_seq: AtomicU64::new(last_seq + 1),
            open: Mutex::default(),
            backlog,
            recovered_batches,
            closed: AtomicBool::new(false),
        })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn open_commits(&self) -> MutexGuard<'_, BTreeMap<u64, OpenCommit>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal's file in a data directory.
fn file_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

#[cfg(test)]
mod tests;
