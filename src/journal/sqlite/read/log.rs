//! The log: what the file holds, and what only memory knows yet.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JournalReader, beside};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{
    Before, DeliveryQuery, ExecutionLog, ExecutionQuery, ExecutionView, Found, Log, OpenBuffer,
    Sample, Selection, SettledPage, SettlementCursor, Status, array,
};
use crate::journal::crypto::{Cipher, JournalKey};
use crate::journal::sqlite::{SqliteJournal, file_in};
use crate::journal::{History, Promise, Selected};
use crate::private;
use crate::time::Timestamp;

/// Reads the log of a data directory without opening it for deliveries: also while another process
/// has it open. What is not terminal shows as pending. Without a key, and without a key file in
/// the directory, what waits is left out.
///
/// # Errors
/// `Journal`.
pub fn read_log(directory: &Path, key: Option<&[u8]>, query: &DeliveryQuery) -> Result<Vec<Found>> {
    let path = existing_file(directory)?;
    let key = JournalKey::find(directory, key)?;
    let cipher = key.as_ref().map(Cipher::new).transpose()?;
    let readable = cipher.is_some();
    let reader = JournalReader::open(&path, cipher)?;
    let mut found = reader.deliveries(query)?;
    if readable && wants_waiting(query) {
        found.extend(reader.waiting(query, 0)?);
    }
    Ok(newest(found, query.limit()))
}

/// Reads the deliveries of a data directory that became terminal after a place. An engine may have it
/// open.
///
/// # Errors
/// `Journal`.
pub fn read_settled(
    directory: &Path,
    after: Option<SettlementCursor>,
    query: &DeliveryQuery,
) -> Result<SettledPage> {
    let reader = JournalReader::open(&existing_file(directory)?, None)?;
    reader.check_numbered()?;
    reader.settled(after, query)
}

/// Reads executions of a data directory as a JSON array, newest first. An engine may have it open.
///
/// # Errors
/// `Journal`.
pub fn read_executions(directory: &Path, query: &ExecutionQuery) -> Result<String> {
    let reader = JournalReader::open(&existing_file(directory)?, None)?;
    let before = match &query.before {
        None => None,
        Some(Before::Cursor(cursor)) => Some(cursor.0),
        Some(Before::ExecutionId(id)) => Some(reader.serial_of(id)?.unwrap_or(0)),
    };
    let found = reader.executions(query, before)?;
    let views = found.iter().map(|(serial, row)| {
        ExecutionView::of(*serial, &row.info, row.completion.as_ref(), row.tally, row.total)
    });
    Ok(array(&views.collect::<Vec<_>>()))
}

fn existing_file(directory: &Path) -> Result<PathBuf> {
    let path = file_in(directory);
    let failed = |what: String| {
        Err(Error::new(ErrorKind::Journal, format!("{} {what}", directory.display())))
    };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            failed(format!("cannot be read: {}", private::reason(&error)))
        }
        _ => failed("holds no journal".to_owned()),
    }
}

fn wants_waiting(query: &DeliveryQuery) -> bool {
    query.settled_since.is_none()
        && query.status.as_deref().is_none_or(|status| status == Status::Pending.as_str())
}

fn newest(mut found: Vec<Found>, limit: usize) -> Vec<Found> {
    found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
    found.truncate(limit);
    found
}

impl SqliteJournal {
    async fn find_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> Result<Vec<Found>> {
        // Memory first: what is settled after this look is in the file at the next one.
        let mut found = self.memory.log().deliveries(query, open);
        let cursor = self.backlog.cursor();
        let whole = self.backlog.remaining() == 0;
        let asked = query.clone();
        let stored = self
            .read(move |reader| {
                let mut stored = reader.deliveries(&asked)?;
                if !whole && wants_waiting(&asked) {
                    stored.extend(reader.waiting(&asked, cursor)?);
                }
                Ok(stored)
            })
            .await?;
        let known: HashSet<_> = found.iter().map(|(_, entry)| entry.id).collect();
        found.extend(stored.into_iter().filter(|(_, entry)| !known.contains(&entry.id)));
        Ok(newest(found, query.limit()))
    }

    async fn find_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> Result<String> {
        let mut live = self.memory.log().executions(query, open);
        let live_before = match &query.before {
            Some(Before::ExecutionId(id)) => self.memory.log().newest_with_id(id, open),
            Some(Before::Cursor(_)) | None => None,
        };
        let asked = query.clone();
        let (stored, before) = self
            .read(move |reader| {
                let before = match &asked.before {
                    None => None,
                    Some(Before::Cursor(cursor)) => Some(cursor.0),
                    Some(Before::ExecutionId(id)) => {
                        // Nothing comes after an execution that is forgotten.
                        Some(live_before.max(reader.serial_of(id)?).unwrap_or(0))
                    }
                };
                Ok((reader.executions(&asked, before)?, before))
            })
            .await?;
        live.retain(|(log, _)| before.is_none_or(|before| log.serial() < before));
        let known: HashMap<u64, &(Arc<ExecutionLog>, usize)> =
            live.iter().map(|row| (row.0.serial(), row)).collect();
        let states: Vec<_> = live.iter().map(|(log, _)| log.state()).collect();
        let of_live = live.iter().zip(&states).map(|((log, recorded), state)| {
            (log.serial(), ExecutionView::new(log, state, *recorded))
        });
        let of_file =
            stored.iter().filter(|(serial, _)| !known.contains_key(serial)).map(|(serial, row)| {
                let completion = row.completion.as_ref();
                (*serial, ExecutionView::of(*serial, &row.info, completion, row.tally, row.total))
            });
        let mut views: Vec<_> = of_live.chain(of_file).collect();
        views.sort_by_key(|(serial, _)| Reverse(*serial));
        views.truncate(query.limit());
        Ok(array(&views.into_iter().map(|(_, view)| view).collect::<Vec<_>>()))
    }

    async fn count_found_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
        most: usize,
    ) -> Result<usize> {
        // What is terminal is in the file, and only that.
        let live = self.memory.log().count_deliveries(query, open, |status| !status.is_terminal());
        let asked = query.clone();
        let stored = self.read(move |reader| reader.count_deliveries(&asked, most)).await?;
        Ok((live + stored).min(most))
    }

    async fn count_found_executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
        most: usize,
    ) -> Result<usize> {
        let log = self.memory.log();
        // The file knows an execution from its first hand-over on.
        let new = open.iter().filter(|(execution, _)| {
            query.admits(&execution.info) && log.execution(execution.serial()).is_none()
        });
        let new = new.count();
        let asked = query.clone();
        let stored = self.read(move |reader| reader.count_executions(&asked, most)).await?;
        Ok((new + stored).min(most))
    }

    /// Reads the file after all earlier operations are written.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&JournalReader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !self.is_closed() {
            self.writer.sync().await?;
        }
        let reader = self.readers.get()?;
        let answer = beside(move || read(&reader)).await;
        answer.unwrap_or_else(|panic| {
            let message = "reading the journal panicked";
            Err(Error::new(ErrorKind::Internal, message).with_source(panic))
        })
    }
}

impl History for SqliteJournal {
    fn log(&self) -> &Log {
        self.memory.log()
    }

    fn deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<Vec<Found>>> {
        Box::pin(self.find_deliveries(query, open))
    }

    fn executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<String>> {
        Box::pin(self.find_executions(query, open))
    }

    fn count_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(self.count_found_deliveries(query, open, most))
    }

    fn count_executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(self.count_found_executions(query, open, most))
    }

    fn count_dead_letters(&self) -> Promise<'_, Result<usize>> {
        Box::pin(self.read(JournalReader::count_dead_letters))
    }

    fn parts<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Vec<Selection>>> {
        Box::pin(self.divide(selection))
    }

    fn samples(&self, since: Timestamp) -> Promise<'_, Result<Vec<Sample>>> {
        Box::pin(self.read(move |reader| reader.samples(since)))
    }

    fn replayable<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Selected>> {
        Box::pin(self.find_replayable(selection))
    }

    fn dismiss<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<usize>> {
        Box::pin(self.dismiss_selected(selection))
    }
}
