//! Brings the calls of other nodes, and of earlier ones, into the lanes of this node's shards.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::params::Columns;
use super::restore::Sealed;
use super::row::RowReader;
use super::statements::CLAIM;
use super::{PostgresJournal, Shared};
use crate::error::Result;
use crate::execution::ExecutionLog;
use crate::journal::{ChangedRows, Fleet, Lane, Promise, Record, Recovery, Refill};
use crate::time::Timestamp;

/// Parts that one look reads at most.
const PARTS: i64 = 512;
/// Calls of the first look, so that the first of them leave soon.
const FIRST_CALLS: usize = 256;
/// Calls of every other look.
const CALLS: usize = 2048;
/// Calls of other nodes that are in lanes at once.
pub(super) const MAX_IN_LANES: usize = 20_000;

/// The wait before calls are looked at again that could not be brought yet.
const PAUSE: Duration = Duration::from_millis(10);

/// What the engine has not been given yet.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Bytes of each call that another node delivers from here on.
    pub left: Vec<usize>,
    /// Lanes to look at again.
    pub lanes: Vec<Lane>,
    /// Executions whose last delivery another node made.
    pub ended: Vec<Arc<ExecutionLog>>,
    /// Parts that other nodes recorded for this one.
    pub inbox: VecDeque<InboxPart>,
    /// Shards that were taken, and whose calls are to be read.
    pub loads: VecDeque<Load>,
    /// `true` while one of them was taken out, and is read.
    is_loading: bool,
    /// Rows of the log that other nodes changed.
    pub changed: ChangedRows,
    /// `true` if registrations may have changed.
    pub registrations_changed: bool,
    /// Commands to this node.
    pub commands: Vec<(u64, String)>,
}

/// The epochs under which shards are owned. What was read under one is not true under a later one.
pub(super) type Tenures = HashMap<u16, i64>;

/// A part that another node recorded, and the epoch under which this one owned its shard then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InboxPart {
    pub first_seq: i64,
    pub shard: u16,
    pub epoch: i64,
}

/// Shards whose calls are to be read.
#[derive(Debug)]
pub(super) struct Load {
    pub tenures: Tenures,
    /// The last part that was read.
    pub after: i64,
    /// Calls that are counted as backlog.
    pub calls: usize,
    /// The sealed batches of the shards, until all their records are read.
    pub sealed: Option<Sealed>,
    /// The limits of what is read, if it was moved here.
    pub moved: Option<Moved>,
}

/// What was moved here from a data directory.
#[derive(Debug)]
pub(super) struct Moved {
    /// The last part.
    pub last: i64,
    pub batches: Vec<i64>,
    pub forwards: Vec<Uuid>,
}

impl Arrivals {
    /// Returns `true` if calls of taken shards are still to be read.
    pub(super) fn are_loads_left(&self) -> bool {
        self.is_loading || !self.loads.is_empty()
    }

    fn is_empty(&self) -> bool {
        !self.has_news() && self.inbox.is_empty() && self.loads.is_empty()
    }

    fn has_news(&self) -> bool {
        !self.left.is_empty()
            || !self.lanes.is_empty()
            || !self.ended.is_empty()
            || self.changed != ChangedRows::default()
            || self.registrations_changed
            || !self.commands.is_empty()
    }

    /// Takes everything that needs no look into the database.
    fn news(&mut self) -> Option<Refill> {
        if !self.has_news() {
            return None;
        }
        Some(Refill {
            left: std::mem::take(&mut self.left),
            lanes: std::mem::take(&mut self.lanes),
            ended: std::mem::take(&mut self.ended),
            changed: std::mem::take(&mut self.changed),
            registrations_changed: std::mem::take(&mut self.registrations_changed),
            commands: std::mem::take(&mut self.commands),
            ..Refill::default()
        })
    }
}

/// The time in which parts are read.
struct Reading<'a>(&'a Shared);

impl<'a> Reading<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.ownership().set_reading(true);
        Self(shared)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.ownership().set_reading(false);
    }
}

const COLUMNS: &str = "SELECT c.first_seq, c.shard, c.seed, c.sealed, e.*
    FROM commits c LEFT JOIN executions e ON e.serial = c.execution";

impl Shared {
    /// Returns `true` if more may be brought, or there is something that needs no room: lanes without
    /// a worker, or a command, may be what makes room. Records of a batch wait for the rest of it.
    fn has_room(&self) -> bool {
        let arrivals = self.arrivals();
        let sealed = arrivals.loads.iter().filter_map(|load| load.sealed.as_ref());
        let incomplete: usize = sealed.map(Sealed::records).sum();
        let in_lanes = self.in_lanes.load(Ordering::Acquire).saturating_sub(incomplete);
        in_lanes < MAX_IN_LANES || arrivals.has_news()
    }

    async fn refill_part(&self) -> Result<Option<Refill>> {
        let (inbox, load) = {
            let mut arrivals = self.arrivals();
            // What was taken out would be lost with a look that fails.
            if let Some(news) = arrivals.news() {
                return Ok(Some(news));
            }
            let count = arrivals.inbox.len().min(usize::try_from(PARTS).unwrap_or(usize::MAX));
            let inbox: Vec<InboxPart> = arrivals.inbox.drain(..count).collect();
            let load = if inbox.is_empty() { arrivals.loads.pop_front() } else { None };
            arrivals.is_loading = load.is_some();
            (inbox, load)
        };
        if inbox.is_empty() && load.is_none() {
            return Ok(None);
        }
        let mut refill = Refill::default();
        let reading = Reading::begin(self);
        if !inbox.is_empty() {
            let brought = self.bring_inbox(&inbox, &mut refill).await;
            if !matches!(brought, Ok(true)) {
                self.arrivals().inbox.extend(inbox);
            }
            brought?;
        } else if let Some(mut load) = load {
            let brought = self.bring_load(&mut load, &mut refill).await;
            let mut arrivals = self.arrivals();
            if !matches!(brought, Ok(false)) {
                arrivals.loads.push_front(load);
            }
            arrivals.is_loading = false;
            drop(arrivals);
            brought?;
        }
        drop(reading);
        Ok(Some(refill))
    }

    /// Returns `false` if nothing was brought, because the lease is over.
    async fn bring_inbox(&self, inbox: &[InboxPart], refill: &mut Refill) -> Result<bool> {
        let (node, tenures) = {
            let ownership = self.ownership();
            (ownership.node, ownership.held.clone())
        };
        // The others were read with their shards, if these came back.
        let current = inbox.iter().filter(|part| tenures.get(&part.shard) == Some(&part.epoch));
        let inbox: Vec<i64> = current.map(|part| part.first_seq).collect();
        let sql = format!("{COLUMNS} WHERE c.is_open AND c.first_seq = ANY($1) ORDER BY 1");
        let (mut claim, mut columns) = (Columns::default(), Columns::default());
        claim.numbers(inbox.iter().copied()).number(node);
        columns.numbers(inbox);
        let mut rows = self.read_all(&[(CLAIM, &claim), (&sql, &columns)]).await?;
        let rows = rows.pop().unwrap_or_default();
        if !self.bring(&rows, refill, false, (&tenures, &mut Sealed::default())).await? {
            tokio::time::sleep(PAUSE).await;
            return Ok(false);
        }
        Ok(true)
    }

    /// Returns `true` if there may be more.
    async fn bring_load(&self, load: &mut Load, refill: &mut Refill) -> Result<bool> {
        let calls = if load.after < 0 { FIRST_CALLS } else { CALLS };
        let sql = format!(
            "{COLUMNS} WHERE c.first_seq IN (
                 SELECT first_seq FROM (
                     SELECT first_seq, sum(calls) OVER (ORDER BY first_seq) - calls AS before
                     FROM (SELECT first_seq, calls FROM commits
                           WHERE is_open AND shard = ANY($1) AND first_seq > $2
                               AND first_seq <= $3
                           ORDER BY first_seq LIMIT {PARTS}) next
                 ) counted WHERE before < {calls})
             ORDER BY c.first_seq"
        );
        let shards: Vec<i32> = load.tenures.keys().map(|shard| i32::from(*shard)).collect();
        let mut columns = Columns::default();
        let last = load.moved.as_ref().map_or(i64::MAX, |moved| moved.last);
        columns.add(Type::INT4_ARRAY, shards.iter().copied()).number(load.after).number(last);
        let mut rows = self.read(&sql, &columns).await?;
        // What is on its way into the lanes is looked at again.
        let is_whole = self.cut_at_appending(&mut rows)?;
        if load.sealed.is_none() {
            load.sealed = Some(self.read_batches(&shards, load.moved.as_ref()).await?);
        }
        let sealed = load.sealed.get_or_insert_default();
        let brought = self.bring(&rows, refill, true, (&load.tenures, &mut *sealed)).await?;
        if !brought || (rows.is_empty() && !is_whole) {
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        }
        if rows.is_empty() {
            self.bring_batches(std::mem::take(sealed), &load.tenures, refill);
        }
        if let Some(last) = rows.last() {
            load.after = RowReader::new("commits", last).get("first_seq")?;
            let brought = refill.calls.min(load.calls);
            load.calls -= brought;
            self.backlog.fetch_sub(brought, Ordering::AcqRel);
            Ok(true)
        } else {
            self.backlog.fetch_sub(load.calls, Ordering::AcqRel);
            load.calls = 0;
            Ok(false)
        }
    }

    /// Keeps the rows before the first that this process is still appending. Returns `true` if there is
    /// none.
    fn cut_at_appending(&self, rows: &mut Vec<Row>) -> Result<bool> {
        let mut numbers = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            numbers.push(RowReader::new("commits", row).unsigned("first_seq")?);
        }
        let ownership = self.ownership();
        let first = numbers.iter().position(|number| ownership.appending.contains(number));
        rows.truncate(first.unwrap_or(rows.len()));
        Ok(first.is_none())
    }
}

impl Recovery for PostgresJournal {
    fn is_durable(&self) -> bool {
        true
    }

    fn probe(&self) -> Promise<'_, Result<()>> {
        // The lease is renewed by commits, and only while the database takes them.
        let is_valid = self.shared.ownership().is_valid();
        Box::pin(ready(if is_valid { Ok(()) } else { Err(super::error::silent()) }))
    }

    fn refill(&self) -> Promise<'_, Result<Option<Refill>>> {
        Box::pin(self.shared.refill_part())
    }

    fn arrival(&self) -> Promise<'_, bool> {
        Box::pin(async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if self.shared.is_closed() {
                    return false;
                }
                if !self.shared.arrivals().is_empty() {
                    return true;
                }
                arrived.await;
            }
        })
    }

    fn delay(&self, lane: Lane, record: Record, until: Timestamp) {
        self.shared.delay_brought(lane, record, until);
    }

    fn room(&self) -> Promise<'_, ()> {
        Box::pin(async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if self.shared.has_room() || self.shared.is_closed() {
                    return;
                }
                tokio::select! {
                    () = arrived => {}
                    () = self.shared.room.notified() => {}
                }
            }
        })
    }

    fn backlog(&self) -> usize {
        self.shared.backlog.load(Ordering::Acquire)
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn unforwarded(&self) -> Result<Vec<Uuid>> {
        // They come with the shards.
        Ok(Vec::new())
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }
}
