//! Failed deliveries as the calls they were: their payloads stay sealed in the file for this.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Result as Rows, params};
use uuid::Uuid;

use super::SqliteJournal;
use super::reader::{LeftExecution, Reader, unsigned};
use super::tables::int;
use crate::error::Result;
use crate::journal::{Lane, Replayable};
use crate::observability::log::{DeliveryQuery, ExecutionLog, Selection, Status};
use crate::observability::time::Timestamp;
use crate::recording::Item;

/// A failed delivery: its execution and the call that it was.
struct Failed {
    id: Uuid,
    execution: u64,
    row: LeftExecution,
    item: Item,
}

impl SqliteJournal {
    pub(super) async fn find_replayable(&self, selection: &Selection) -> Result<Vec<Replayable>> {
        let selection = selection.clone();
        let failed = self.read(move |reader| reader.failed(&selection)).await?;
        let mut restored: HashMap<u64, Arc<ExecutionLog>> = HashMap::new();
        Ok(failed
            .into_iter()
            .map(|Failed { id, execution: serial, row, item }| {
                let execution = restored.entry(serial).or_insert_with(|| {
                    self.memory.log().execution(serial).unwrap_or_else(|| {
                        let LeftExecution { info, completion, tally, .. } = row;
                        Arc::new(ExecutionLog::restored(info, serial, completion, tally))
                    })
                });
                Replayable { id, execution: Arc::clone(execution), item }
            })
            .collect())
    }
}

impl Reader {
    fn failed(&self, selection: &Selection) -> Result<Vec<Failed>> {
        let ids = match selection {
            Selection::Ids(ids) => ids.clone(),
            Selection::Query(query) => {
                let status = Some(Status::Failed.as_str().to_owned());
                let query = DeliveryQuery { status, ..query.clone() };
                let found = self.deliveries(&query)?;
                found.into_iter().rev().map(|(_, entry)| entry.id).collect()
            }
        };
        let mut commits = HashMap::new();
        let mut found = Vec::new();
        for id in ids {
            let place = self.place_of_failed(id).map_err(|error| self.failed_to_read(error))?;
            let Some((seq, serial)) = place else { continue };
            let (Some(item), Some(row)) = (self.call(seq, &mut commits)?, self.execution(serial)?)
            else {
                continue;
            };
            let item = Item {
                replay_of: Some(id),
                recorded_at: Timestamp::now(),
                warnings: Vec::new(),
                refused: None,
                ..item
            };
            found.push(Failed { id, execution: serial, row, item });
        }
        Ok(found)
    }

    fn place_of_failed(&self, id: Uuid) -> Rows<Option<(u64, u64)>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT seq, execution FROM deliveries WHERE id = ?1 AND status = 'failed'",
        )?;
        let bytes = id.as_bytes().as_slice();
        select.query_row([bytes], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?))).optional()
    }

    /// The call with this number, if its payload is still there.
    fn call(
        &self,
        seq: u64,
        commits: &mut HashMap<u64, Vec<(Lane, Item)>>,
    ) -> Result<Option<Item>> {
        let found = self.commit_of(seq).map_err(|error| self.failed_to_read(error))?;
        let Some((first_seq, sealed)) = found else { return Ok(None) };
        let calls = match commits.entry(first_seq) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.calls(first_seq, &sealed)?),
        };
        let place = usize::try_from(seq - first_seq).unwrap_or(usize::MAX);
        Ok(calls.get(place).map(|(_, item)| item.clone()))
    }

    fn commit_of(&self, seq: u64) -> Rows<Option<(u64, Vec<u8>)>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT first_seq, sealed FROM commits
             WHERE first_seq = (SELECT max(first_seq) FROM commits WHERE first_seq <= ?1)
                 AND first_seq + calls > ?1",
        )?;
        let seq = int(seq);
        select.query_row(params![seq], |row| Ok((unsigned(row, 0)?, row.get(1)?))).optional()
    }
}
