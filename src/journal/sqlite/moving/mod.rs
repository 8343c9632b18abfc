//! A data directory as the source of a move: its lock, the mark of the move, and what it has.

mod mark;
mod numbering;
mod rows;

pub(super) use mark::refuse_moved;
pub(in crate::journal) use numbering::Numbering;

use std::path::Path;

use rusqlite::Connection;

use super::error::storage_error;
use super::file::{self, DataDir, Durability};
use super::key::unlock;
use super::read::JournalReader;
use super::{file_in, recovery};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::crypto::{Cipher, JournalKey};
use crate::journal::moving::DirectoryContent;

/// The use of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) enum Access {
    /// It is only looked at.
    Read,
    /// It is prepared as an engine would do it, and marked.
    Write,
}

/// A data directory that is moved. No other process opens it meanwhile.
#[derive(Debug)]
pub(in crate::journal) struct Source {
    directory: DataDir,
    /// The connection that writes.
    connection: Option<Connection>,
    reader: JournalReader,
}

/// Calls that one look decrypts, and their bytes.
const CALLS: usize = 2048;
const BYTES: usize = 16 << 20;

impl Source {
    /// Opens and locks a data directory.
    ///
    /// # Errors
    /// `DataDirLocked`, `Journal`.
    pub(in crate::journal) fn open(
        directory: &Path,
        key: Option<&[u8]>,
        access: Access,
    ) -> Result<Self> {
        if !file_in(directory).is_file() {
            let directory = directory.display();
            let message = format!("{directory} is not a data directory: it has no journal.sqlite");
            return Err(Error::new(ErrorKind::Journal, message));
        }
        let directory = DataDir::open(directory)?;
        let path = file_in(directory.path());
        let (connection, key) = match access {
            Access::Read => (None, JournalKey::find(directory.path(), key)?),
            Access::Write => {
                let connection = file::open(&path, Durability::Fsync)?;
                let key = unlock(&connection, directory.path(), key)?;
                (Some(connection), Some(key))
            }
        };
        let reader = JournalReader::open(&path, key.as_ref().map(Cipher::new).transpose()?)?;
        let mut source = Self { directory, connection, reader };
        if source.mark()?.is_none() {
            source.prepare()?;
        }
        Ok(source)
    }

    /// Returns the canonical path of the directory.
    pub(in crate::journal) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Does what an engine does that opens the directory after a crash.
    fn prepare(&mut self) -> Result<()> {
        let path = file_in(self.directory.path());
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let failed = |error| storage_error(&path, "cannot be opened", error);
        recovery::end_interrupted_executions(connection).map_err(failed)?;
        recovery::forget_finished_batches(connection).map_err(failed)?;
        recovery::forget_lost_forwards(connection).map_err(failed)?;
        recovery::link_replays(connection, &self.reader)
    }

    /// Counts what the directory has, and reads every call that waits.
    ///
    /// # Errors
    /// `Journal`, if a call cannot be read.
    pub(in crate::journal) fn content(&self) -> Result<DirectoryContent> {
        let count = |what: &str| {
            let count = format!("SELECT count(*) FROM {what}");
            let counted = self.reader.connection().query_row(&count, [], |row| row.get(0));
            counted.map_err(|error| self.reader.failed_to_read(error))
        };
        self.numbers()?;
        Ok(DirectoryContent {
            executions: count("executions")?,
            deliveries: count("deliveries")?,
            calls: self.check_kept().and_then(|()| self.count_calls()).map_err(|error| {
                error.within(&format!("the data directory {}", self.path().display()))
            })?,
            batches: count("batches")?,
            pauses: count("registrations WHERE id GLOB 'pause:*'")?,
            events: count("events")?,
            subscriptions: count("registrations WHERE id GLOB 'sub_*'")?,
            webhooks: count("registrations WHERE id GLOB 'wh_*'")?,
        })
    }

    fn count_calls(&self) -> Result<u64> {
        let (mut after, mut calls) = (0, 0);
        loop {
            let commits = self.reader.unsettled(after, CALLS, BYTES)?;
            let Some(last) = commits.last() else { return Ok(calls) };
            after = last.first_seq;
            calls += commits.iter().map(|commit| commit.calls.len() as u64).sum::<u64>();
        }
    }
}
