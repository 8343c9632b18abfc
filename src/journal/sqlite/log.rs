//! The log: what the file holds, and what only memory knows yet.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::key::Key;
use super::reader::Reader;
use super::seal::Sealer;
use super::{SqliteJournal, file_in};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::{
    Before, DeliveryQuery, ExecutionLog, ExecutionQuery, ExecutionView, Found, OpenBuffer, Status,
    array,
};

/// Reads the log of a data directory without opening it for deliveries: also while another process
/// has it open. What is not terminal shows as pending. Without a key, and without a key file in
/// the directory, what waits is left out.
///
/// # Errors
/// `Journal`.
pub fn read_log(directory: &Path, key: Option<&[u8]>, query: &DeliveryQuery) -> Result<Vec<Found>> {
    let path = file_in(directory);
    if !path.is_file() {
        let message = format!("{} holds no journal", directory.display());
        return Err(Error::new(ErrorKind::Journal, message));
    }
    let key = match key {
        Some(key) => Some(Key::load(directory, Some(key))?),
        None => Key::existing(directory)?,
    };
    let sealer = key.as_ref().map(Sealer::new).transpose()?;
    let readable = sealer.is_some();
    let reader = Reader::open(&path, sealer)?;
    let mut found = reader.deliveries(query)?;
    if readable && wants_waiting(query) {
        found.extend(reader.waiting(query, 0)?);
    }
    Ok(newest(found, query.limit()))
}

fn wants_waiting(query: &DeliveryQuery) -> bool {
    query.status.as_deref().is_none_or(|status| status == Status::Pending.as_str())
}

fn newest(mut found: Vec<Found>, limit: usize) -> Vec<Found> {
    found.sort_unstable_by_key(|(_, entry)| Reverse(entry.id));
    found.truncate(limit);
    found
}

impl SqliteJournal {
    pub(super) async fn find_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> Result<Vec<Found>> {
        // Memory first: what is settled after this look is in the file at the next one.
        let mut found = self.memory.log().deliveries(query, open);
        let looked_at = self.backlog.looked_at();
        let whole = self.backlog.left() == 0;
        let asked = query.clone();
        let stored = self
            .read(move |reader| {
                let mut stored = reader.deliveries(&asked)?;
                if !whole && wants_waiting(&asked) {
                    stored.extend(reader.waiting(&asked, looked_at)?);
                }
                Ok(stored)
            })
            .await?;
        let known: HashSet<_> = found.iter().map(|(_, entry)| entry.id).collect();
        found.extend(stored.into_iter().filter(|(_, entry)| !known.contains(&entry.id)));
        Ok(newest(found, query.limit()))
    }

    pub(super) async fn find_executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
    ) -> Result<String> {
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

    pub(super) async fn count_found_deliveries(
        &self,
        query: &DeliveryQuery,
        open: &[OpenBuffer],
    ) -> Result<usize> {
        // What is terminal is in the file, and only that.
        let live = self.memory.log().count_deliveries(query, open, |status| !status.is_terminal());
        let asked = query.clone();
        let stored = self.read(move |reader| reader.count_deliveries(&asked)).await?;
        Ok(live + stored)
    }

    pub(super) async fn count_found_executions(
        &self,
        query: &ExecutionQuery,
        open: &[OpenBuffer],
    ) -> Result<usize> {
        let log = self.memory.log();
        // The file knows an execution from its first hand-over on.
        let new = open.iter().filter(|(execution, _)| {
            query.admits(&execution.info) && log.execution(execution.serial()).is_none()
        });
        let new = new.count();
        let asked = query.clone();
        let stored = self.read(move |reader| reader.count_executions(&asked)).await?;
        Ok(new + stored)
    }

    /// Reads the file as it is after everything that was asked of the writer before.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !self.is_closed() {
            self.writer.sync().await?;
        }
        let reader = self.readers.get()?;
        let answer = tokio::task::spawn_blocking(move || read(&reader)).await;
        answer.unwrap_or_else(|panic| {
            let message = "reading the journal panicked";
            Err(Error::new(ErrorKind::Internal, message).with_source(panic))
        })
    }
}
