//! Dead letters in the file: their selection, and their payloads, which stay encrypted for a replay.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Result as Rows, Row};
use uuid::Uuid;

use super::query::{Conditions, info_of};
use super::reader::id;
use super::scan::Scan;
use super::{JournalReader, RecoveredExecution};
use crate::error::{ErrorKind, Result};
use crate::execution::{
    DeliveryQuery, ExecutionLog, Force, Link, ReplayOf, Selection, SkipReason, Status, replay_of,
};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::sqlite::row::{COLUMNS, DEAD_LETTER, SqliteRow, int};
use crate::journal::{Lane, Replayable, Selected};
use crate::recording::Item;
use crate::time::Timestamp;

/// A call that can be replayed, and its execution.
struct FailedCall {
    replay: ReplayOf,
    code: ErrorKind,
    execution: u64,
    row: RecoveredExecution,
    item: Item,
}

/// The most calls whose payloads are read at once.
const PART: usize = 256;

/// The selected calls, and the reasons why the others are not among them.
type FailedCalls = (Vec<FailedCall>, Vec<(Uuid, SkipReason)>);

/// One terminal delivery of a call.
struct ChainRow {
    seq: u64,
    execution: u64,
    link: Link,
}

/// The encrypted calls that were read, by the number of the first.
type Commits = HashMap<u64, Vec<(Lane, Item)>>;

impl SqliteJournal {
    pub(crate) async fn find_replayable(&self, selection: &Selection) -> Result<Selected> {
        let selection = selection.clone();
        let (failed, skipped) = self.read(move |reader| reader.failed(&selection)).await?;
        let calls = failed.into_iter().map(|call| {
            let FailedCall { replay, code, execution: serial, row, item } = call;
            let execution = self.memory.log().restored(serial, || {
                let RecoveredExecution { info, completion, tally, .. } = row;
                ExecutionLog::restored(info, serial, completion, tally)
            });
            Replayable { replay, code, execution, item }
        });
        Ok(Selected { calls: calls.collect(), skipped })
    }

    pub(crate) async fn divide(&self, selection: &Selection) -> Result<Vec<Selection>> {
        let Selection::Query(query) = selection else { return Ok(vec![selection.clone()]) };
        let query = query.clone();
        let ids = self.read(move |reader| reader.in_order(&query)).await?;
        Ok(ids.chunks(PART).map(|part| Selection::Ids(part.to_vec(), Force::No)).collect())
    }

    pub(crate) async fn dismiss_selected(&self, selection: &Selection) -> Result<usize> {
        let selection = selection.clone();
        let dead = self.read(move |reader| reader.dead_among(&selection)).await?;
        let at = Timestamp::now();
        self.writer.dismiss(dead.clone(), at).await?;
        for (serial, id) in &dead {
            if let Some(execution) = self.memory.log().execution(*serial) {
                execution.dismiss(*id, at);
            }
        }
        Ok(dead.len())
    }
}

impl JournalReader {
    fn failed(&self, selection: &Selection) -> Result<FailedCalls> {
        let (ids, force) = self.selected(selection)?;
        let mut commits = HashMap::new();
        let (mut found, mut skipped, mut calls) = (Vec::new(), Vec::new(), HashSet::new());
        for id in ids {
            let chain = self.chain(id).map_err(|error| self.failed_to_read(error))?;
            if chain.first().is_some_and(|first| !calls.insert(first.link.id)) {
                continue;
            }
            match self.failed_call(&chain, force, &mut commits)? {
                Ok(call) => found.push(call),
                Err(reason) => skipped.push((id, reason)),
            }
        }
        found.sort_unstable_by_key(|call| call.replay.call);
        Ok((found, skipped))
    }

    fn failed_call(
        &self,
        chain: &[ChainRow],
        force: Force,
        commits: &mut Commits,
    ) -> Result<std::result::Result<FailedCall, SkipReason>> {
        let links: Vec<Link> = chain.iter().map(|row| row.link).collect();
        let replay = match replay_of(&links, force) {
            Ok(replay) => replay,
            Err(reason) => return Ok(Err(reason)),
        };
        let code = links.iter().rev().find_map(|link| link.code).unwrap_or(ErrorKind::Internal);
        for ChainRow { seq, execution, .. } in chain.iter().rev() {
            let (Some(item), Some(row)) = (self.call(*seq, commits)?, self.execution(*execution)?)
            else {
                continue;
            };
            let item = item.replayed(replay);
            return Ok(Ok(FailedCall { replay, code, execution: *execution, row, item }));
        }
        Ok(Err(SkipReason::WithoutPayload))
    }

    /// Returns the selected deliveries; of a query, its dead letters.
    fn selected(&self, selection: &Selection) -> Result<(Vec<Uuid>, Force)> {
        match selection {
            Selection::Ids(ids, force) => Ok((ids.clone(), *force)),
            Selection::Query(query) => {
                let dead = self.dead_letters(query).map_err(|error| self.failed_to_read(error))?;
                Ok((dead, Force::No))
            }
        }
    }

    /// Returns the dead letters of a query in the order of their calls.
    fn in_order(&self, query: &DeliveryQuery) -> Result<Vec<Uuid>> {
        let read = || -> Rows<Vec<(Uuid, Uuid)>> {
            let dead = self.dead_letters(query)?.into_iter();
            dead.map(|id| Ok((self.root_of(id)?, id))).collect()
        };
        let mut dead = read().map_err(|error| self.failed_to_read(error))?;
        dead.sort_unstable();
        Ok(dead.into_iter().map(|(_, id)| id).collect())
    }

    /// Returns the first delivery of a call; an unknown one stays.
    fn root_of(&self, id: Uuid) -> Rows<Uuid> {
        let connection = self.connection();
        let mut root =
            connection.prepare_cached("SELECT coalesce(call, id) FROM deliveries WHERE id = ?1")?;
        let found = root.query_row([id.as_bytes().as_slice()], |row| row.get(0)).optional()?;
        Ok(found.and_then(|bytes: Vec<u8>| Uuid::from_slice(&bytes).ok()).unwrap_or(id))
    }

    /// Counts the dead letters.
    pub(super) fn count_dead_letters(&self) -> Result<usize> {
        let count = format!("SELECT count(*) FROM deliveries WHERE {DEAD_LETTER}");
        let connection = self.connection();
        let mut select =
            connection.prepare_cached(&count).map_err(|error| self.failed_to_read(error))?;
        select.query_row([], |row| row.get(0)).map_err(|error| self.failed_to_read(error))
    }

    fn dead_letters(&self, query: &DeliveryQuery) -> Rows<Vec<Uuid>> {
        let mut conditions = Conditions::of_deliveries(query);
        if let Some(before) = query.before {
            conditions.add("d.id < ?", before.as_bytes().to_vec());
        }
        let text = conditions.text();
        let word = if text.is_empty() { "WHERE" } else { "AND" };
        let connection = self.connection();
        let mut select = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM deliveries d {text} {word} {DEAD_LETTER} ORDER BY d.id DESC"
        ))?;
        let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
        let (mut found, mut known) = (Vec::new(), HashMap::new());
        let scan = Scan::begin(query.search.as_deref());
        while found.len() < query.limit()
            && let Some(row) = rows.next()?
        {
            let row = SqliteRow::new("deliveries", row);
            if query.search.is_none()
                || scan.admits(&*info_of(&connection, row, &mut known)?, row)?
            {
                found.push(row.parse("id", id)?);
            }
        }
        Ok(found)
    }

    /// Returns the dead letters of the selected calls, each with the number of its execution.
    fn dead_among(&self, selection: &Selection) -> Result<Vec<(u64, Uuid)>> {
        let (ids, _) = self.selected(selection)?;
        let mut dead = Vec::new();
        for id in ids {
            let chain = self.chain(id).map_err(|error| self.failed_to_read(error))?;
            let links: Vec<Link> = chain.iter().map(|row| row.link).collect();
            if let (Ok(replay), Some(newest)) = (replay_of(&links, Force::No), chain.last()) {
                dead.push((newest.execution, replay.id));
            }
        }
        dead.sort_unstable();
        dead.dedup();
        Ok(dead)
    }

    /// Returns the terminal deliveries of the call that this one belongs to, oldest first.
    fn chain(&self, of: Uuid) -> Rows<Vec<ChainRow>> {
        let connection = self.connection();
        let bytes = of.as_bytes().as_slice();
        let mut root =
            connection.prepare_cached("SELECT coalesce(call, id) FROM deliveries WHERE id = ?1")?;
        let root: Option<Vec<u8>> = root.query_row([bytes], |row| row.get(0)).optional()?;
        let Some(root) = root else { return Ok(Vec::new()) };
        let mut select = connection.prepare_cached(
            "SELECT seq, execution, id, status, replayed_by, dismissed_at, error_code
             FROM deliveries WHERE id = ?1 OR call = ?1 ORDER BY seq",
        )?;
        let read = |row: &Row<'_>| {
            let row = SqliteRow::new("deliveries", row);
            let link = Link {
                id: row.parse("id", id)?,
                status: row.parse("status", |name: String| Status::from_name(&name))?,
                is_replayed: row.get::<Option<Vec<u8>>>("replayed_by")?.is_some(),
                is_dismissed: row.get::<Option<i64>>("dismissed_at")?.is_some(),
                code: row
                    .parse_optional("error_code", |code: String| ErrorKind::from_code(&code))?,
            };
            Ok(ChainRow { seq: row.unsigned("seq")?, execution: row.unsigned("execution")?, link })
        };
        select.query_map([root], read)?.collect()
    }

    /// The call with this number, if its payload is still there.
    fn call(&self, seq: u64, commits: &mut Commits) -> Result<Option<Item>> {
        let found = self.commit_of(seq).map_err(|error| self.failed_to_read(error))?;
        let Some((first_seq, ciphertext)) = found else { return Ok(None) };
        let calls = match commits.entry(first_seq) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.calls(first_seq, &ciphertext)?),
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
        let commit = |row: &Row<'_>| {
            let row = SqliteRow::new("commits", row);
            Ok((row.unsigned("first_seq")?, row.get("sealed")?))
        };
        select.query_row([int(seq)], commit).optional()
    }
}
