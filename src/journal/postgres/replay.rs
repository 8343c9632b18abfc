//! Dead letters in the database: their selection, and their payloads, which stay encrypted.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Shared;
use super::conditions::Conditions;
use super::log::{FOUND, TABLES};
use super::op::Op;
use super::params::{Columns, int};
use super::row::{RowReader, StoredExecution};
use crate::error::{ErrorKind, Result};
use crate::execution::{
    DeliveryQuery, ExecutionLog, Force, Link, ReplayOf, Selection, SkipReason, Status, replay_of,
};
use crate::journal::{Lane, Replayable, Selected, codec};
use crate::recording::Item;
use crate::time::Timestamp;

/// The most calls whose payloads are read at once.
const PART: usize = 256;
const DEAD_LETTER: &str = "d.status = 'failed' AND d.replayed_by IS NULL \
                           AND d.resolved_by IS NULL AND d.dismissed_at IS NULL";

/// One terminal delivery of a call.
struct ChainRow {
    seq: u64,
    execution: u64,
    link: Link,
}

impl Shared {
    pub(super) async fn find_replayable(&self, selection: &Selection) -> Result<Selected> {
        self.written().await?;
        let (ids, force) = self.selected(selection).await?;
        let mut selected = Selected::default();
        let mut calls = HashSet::new();
        for id in ids {
            let chain = self.chain(id).await?;
            if chain.first().is_some_and(|first| !calls.insert(first.link.id)) {
                continue;
            }
            match self.failed_call(&chain, force).await? {
                Ok(call) => selected.calls.push(call),
                Err(reason) => selected.skipped.push((id, reason)),
            }
        }
        selected.calls.sort_unstable_by_key(|call| call.replay.call);
        Ok(selected)
    }

    async fn failed_call(
        &self,
        chain: &[ChainRow],
        force: Force,
    ) -> Result<std::result::Result<Replayable, SkipReason>> {
        let links: Vec<Link> = chain.iter().map(|row| row.link).collect();
        let replay: ReplayOf = match replay_of(&links, force) {
            Ok(replay) => replay,
            Err(reason) => return Ok(Err(reason)),
        };
        let code = links.iter().rev().find_map(|link| link.code).unwrap_or(ErrorKind::Internal);
        for ChainRow { seq, execution, .. } in chain.iter().rev() {
            let Some(item) = self.call(*seq).await? else { continue };
            let Some(execution) = self.execution(*execution).await? else { continue };
            let item = item.replayed(replay);
            return Ok(Ok(Replayable { replay, code, execution, item }));
        }
        Ok(Err(SkipReason::WithoutPayload))
    }

    async fn execution(&self, serial: u64) -> Result<Option<Arc<ExecutionLog>>> {
        if let Some(live) = self.memory.log().execution(serial) {
            return Ok(Some(live));
        }
        let mut columns = Columns::default();
        columns.number(int(serial));
        let rows = self.read("SELECT * FROM executions WHERE serial = $1", &columns).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let StoredExecution { info, completion, tally, .. } =
            RowReader::new("executions", row).execution()?;
        let log = self.memory.log();
        Ok(Some(log.restored(serial, || ExecutionLog::restored(info, serial, completion, tally))))
    }

    /// Returns the call with this number, if its payload is still there.
    async fn call(&self, seq: u64) -> Result<Option<Item>> {
        let mut columns = Columns::default();
        columns.number(int(seq));
        let ask = "SELECT * FROM (SELECT first_seq, calls, sealed FROM commits
            WHERE first_seq <= $1 ORDER BY first_seq DESC LIMIT 1) c WHERE first_seq + calls > $1";
        let rows = self.read(ask, &columns).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = RowReader::new("commits", row);
        let first_seq = row.unsigned("first_seq")?;
        let sealed = row.get::<Vec<u8>>("sealed")?;
        let plain = self.cipher.decrypt(&first_seq.to_le_bytes(), &sealed)?;
        let calls: Vec<(Lane, Item)> = codec::decode(&plain)?;
        let place = usize::try_from(seq - first_seq).unwrap_or(usize::MAX);
        Ok(calls.into_iter().nth(place).map(|(_, item)| item))
    }

    pub(super) async fn divide(&self, selection: &Selection) -> Result<Vec<Selection>> {
        let Selection::Query(query) = selection else { return Ok(vec![selection.clone()]) };
        self.written().await?;
        let ids = self.dead_letters(query).await?;
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, ids);
        let ask = "SELECT id FROM deliveries WHERE id = ANY($1) ORDER BY coalesce(call, id), id";
        let rows = self.read(ask, &columns).await?;
        let ids = rows.iter().map(|row| RowReader::new("deliveries", row).get("id"));
        let ids = ids.collect::<Result<Vec<Uuid>>>()?;
        Ok(ids.chunks(PART).map(|part| Selection::Ids(part.to_vec(), Force::No)).collect())
    }

    pub(super) async fn dismiss_selected(&self, selection: &Selection) -> Result<usize> {
        self.written().await?;
        let (ids, _) = self.selected(selection).await?;
        let mut dead = Vec::new();
        for id in ids {
            let chain = self.chain(id).await?;
            let links: Vec<Link> = chain.iter().map(|row| row.link).collect();
            if let (Ok(replay), Some(newest)) = (replay_of(&links, Force::No), chain.last()) {
                dead.push((newest.execution, replay.id));
            }
        }
        dead.sort_unstable();
        dead.dedup();
        let at = Timestamp::now();
        let ids = dead.iter().map(|(_, id)| *id).collect();
        let dismissed = self.ops.wait(|waiter| Op::Dismiss { dead: ids, at, waiter }).await?;
        dead.retain(|(_, id)| dismissed.contains(id));
        for (serial, id) in &dead {
            if let Some(execution) = self.memory.log().execution(*serial) {
                execution.dismiss(*id, at);
            }
        }
        Ok(dead.len())
    }

    /// Returns the selected deliveries; of a query, its dead letters.
    async fn selected(&self, selection: &Selection) -> Result<(Vec<Uuid>, Force)> {
        match selection {
            Selection::Ids(ids, force) => Ok((ids.clone(), *force)),
            Selection::Query(query) => Ok((self.dead_letters(query).await?, Force::No)),
        }
    }

    /// Counts the dead letters of all nodes.
    pub(super) async fn count_dead_letters(&self) -> Result<usize> {
        let sql = format!("SELECT count(*) FROM deliveries d WHERE {DEAD_LETTER}");
        let rows = self.read_written(&sql, &Columns::default()).await?;
        let count: i64 = rows[0].try_get(0).map_err(|_| super::error::damaged("count"))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn dead_letters(&self, query: &DeliveryQuery) -> Result<Vec<Uuid>> {
        let mut conditions = Conditions::of_deliveries(query);
        if let Some(before) = query.before {
            conditions.id("d.id < ", before);
        }
        conditions.and(DEAD_LETTER);
        let limit = if query.search.is_some() { usize::MAX >> 1 } else { query.limit() };
        let sql = format!(
            "SELECT {FOUND} FROM {TABLES} {} ORDER BY d.id DESC LIMIT {limit}",
            conditions.text()
        );
        let mut ids = Vec::new();
        for row in &self.read(&sql, &conditions.columns).await? {
            let (info, entry) = super::log::found(row)?;
            let admitted =
                query.search.as_ref().is_none_or(|search| search.admits_entry(&info, &entry));
            if admitted && ids.len() < query.limit() {
                ids.push(entry.id);
            }
        }
        Ok(ids)
    }

    /// Returns the terminal deliveries of the call that this one belongs to, oldest first.
    async fn chain(&self, of: Uuid) -> Result<Vec<ChainRow>> {
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, [of]);
        let ask = "WITH root AS (SELECT coalesce(call, id) AS id FROM deliveries
                WHERE id = ($1::uuid[])[1])
            SELECT seq, execution, id, status, replayed_by, dismissed_at, error_code
            FROM deliveries
            WHERE id = (SELECT id FROM root) OR call = (SELECT id FROM root) ORDER BY id";
        let link = |row| {
            let row = RowReader::new("deliveries", row);
            let link = Link {
                id: row.get("id")?,
                status: row.parse("status", |name: String| Status::from_name(&name))?,
                is_replayed: row.get::<Option<Uuid>>("replayed_by")?.is_some(),
                is_dismissed: row.get::<Option<i64>>("dismissed_at")?.is_some(),
                code: row
                    .parse_optional("error_code", |code: String| ErrorKind::from_code(&code))?,
            };
            Ok(ChainRow { seq: row.unsigned("seq")?, execution: row.unsigned("execution")?, link })
        };
        self.read(ask, &columns).await?.iter().map(link).collect()
    }
}
