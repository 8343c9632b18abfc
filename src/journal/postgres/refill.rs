//! Brings the calls of other nodes, and of earlier ones, into the lanes of this node's shards.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::op::Op;
use super::ownership::OpenPart;
use super::params::{Columns, int};
use super::row::{RowReader, StoredExecution};
use super::{PostgresJournal, Shared};
use crate::delivery::{Failure, Kind};
use crate::error::Result;
use crate::execution::{Entry, ExecutionLog, Resolution, Status, Waiting};
use crate::journal::memory::record;
use crate::journal::{
    Delayed, Lane, OnInterrupted, Promise, Record, Recovery, Refill, RestoredBatch, SealedBatch,
    codec,
};
use crate::recording::Item;
use crate::time::Timestamp;

/// Parts that one look reads at most.
const PARTS: i64 = 512;
/// Calls of the first look, so that the first of them leave soon.
const FIRST_CALLS: usize = 256;
/// Calls of every other look.
const CALLS: usize = 2048;
/// Calls of other nodes that are in lanes at once.
const MAX_IN_LANES: usize = 20_000;

/// The wait before calls are looked at again that could not be brought yet.
const PAUSE: Duration = Duration::from_millis(10);

/// The warning of a delivery that was in progress when its node ended.
const INTERRUPTED: &str = "the process ended while this delivery was under way: it may have been \
                           received before, under the same id";

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
    pub inbox: VecDeque<i64>,
    /// Shards that were taken, and whose calls are to be read.
    pub loads: VecDeque<Load>,
}

/// Shards whose calls are to be read.
#[derive(Debug)]
pub(super) struct Load {
    pub shards: Vec<i32>,
    /// The last part that was read.
    pub after: i64,
    /// Calls that are counted as backlog.
    pub calls: usize,
    /// The sealed batches of the shards, until all their records are read.
    pub sealed: Option<Sealed>,
}

/// Sealed batches, and the batch and the place of each of their records.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    batches: HashMap<u64, RestoredBatch>,
    places: HashMap<u64, (u64, usize)>,
}

impl Arrivals {
    fn is_empty(&self) -> bool {
        self.left.is_empty()
            && self.lanes.is_empty()
            && self.ended.is_empty()
            && self.inbox.is_empty()
            && self.loads.is_empty()
    }
}

/// A part as it is in the database.
struct StoredPart {
    first_seq: u64,
    shard: u16,
    seed: u64,
    execution: u64,
    stored: StoredExecution,
    calls: Vec<(Lane, Item)>,
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

/// The progress of a call.
struct Attempts {
    made: u32,
    is_under_way: bool,
    due: Option<Timestamp>,
    last_error: Option<Arc<Failure>>,
}

/// What the database has beside the parts.
struct Beside {
    /// Terminal calls, each with whether it failed.
    settled: HashMap<u64, bool>,
    attempts: HashMap<u64, Attempts>,
}

const COLUMNS: &str = "SELECT c.first_seq, c.shard, c.seed, c.sealed, e.*
    FROM commits c LEFT JOIN executions e ON e.serial = c.execution";

impl Shared {
    async fn refill_part(&self) -> Result<Option<Refill>> {
        let (mut refill, inbox, load) = {
            let mut arrivals = self.arrivals();
            let refill = Refill {
                left: std::mem::take(&mut arrivals.left),
                lanes: std::mem::take(&mut arrivals.lanes),
                ended: std::mem::take(&mut arrivals.ended),
                ..Refill::default()
            };
            let count = arrivals.inbox.len().min(usize::try_from(PARTS).unwrap_or(usize::MAX));
            let inbox: Vec<i64> = arrivals.inbox.drain(..count).collect();
            let load = if inbox.is_empty() { arrivals.loads.pop_front() } else { None };
            (refill, inbox, load)
        };
        let mut is_more = !refill.left.is_empty() || !refill.lanes.is_empty();
        is_more |= !refill.ended.is_empty() || !inbox.is_empty() || load.is_some();
        let reading = Reading::begin(self);
        if !inbox.is_empty() {
            let brought = self.bring_inbox(&inbox, &mut refill).await;
            if !matches!(brought, Ok(true)) {
                self.arrivals().inbox.extend(inbox);
            }
            brought?;
        } else if let Some(mut load) = load {
            let brought = self.bring_load(&mut load, &mut refill).await;
            if !matches!(brought, Ok(false)) {
                self.arrivals().loads.push_front(load);
            }
            brought?;
        }
        drop(reading);
        Ok(is_more.then_some(refill))
    }

    /// Returns `false` if nothing was brought, because the lease is over.
    async fn bring_inbox(&self, inbox: &[i64], refill: &mut Refill) -> Result<bool> {
        let sql = format!("{COLUMNS} WHERE c.is_open AND c.first_seq = ANY($1) ORDER BY 1");
        let mut columns = Columns::default();
        columns.numbers(inbox.iter().copied());
        let rows = self.read(&sql, &columns).await?;
        if !self.bring(&rows, refill, false, &mut Sealed::default()).await? {
            tokio::time::sleep(PAUSE).await;
            return Ok(false);
        }
        self.ops.push_all([Op::Taken(inbox.iter().map(|seq| seq.cast_unsigned()).collect())]);
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
                           ORDER BY first_seq LIMIT {PARTS}) next
                 ) counted WHERE before < {calls})
             ORDER BY c.first_seq"
        );
        let mut columns = Columns::default();
        columns.add(Type::INT4_ARRAY, load.shards.iter().copied()).number(load.after);
        let mut rows = self.read(&sql, &columns).await?;
        // What is on its way into the lanes is looked at again.
        let is_whole = self.cut_at_appending(&mut rows)?;
        if load.sealed.is_none() {
            load.sealed = Some(self.read_batches(&load.shards).await?);
        }
        let sealed = load.sealed.get_or_insert_default();
        let brought = self.bring(&rows, refill, true, sealed).await?;
        if !brought || (rows.is_empty() && !is_whole) {
            tokio::time::sleep(PAUSE).await;
            return Ok(true);
        }
        if rows.is_empty() {
            self.bring_batches(std::mem::take(sealed), refill);
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

    async fn bring(
        &self,
        rows: &[Row],
        refill: &mut Refill,
        recovered: bool,
        sealed: &mut Sealed,
    ) -> Result<bool> {
        let mut parts = rows.iter().map(|row| self.part(row)).collect::<Result<Vec<_>>>()?;
        self.complete_replays(&mut parts).await?;
        let mut beside = self.beside(&parts).await?;
        let mut ownership = self.ownership();
        if !ownership.is_valid() {
            return Ok(false);
        }
        for part in parts {
            if !ownership.has_had(part.first_seq) && ownership.serves(part.shard) {
                self.bring_part(&mut ownership, part, (&mut beside, sealed), refill, recovered);
            }
        }
        Ok(true)
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

    fn bring_batches(&self, sealed: Sealed, refill: &mut Refill) {
        for (id, mut batch) in sealed.batches {
            if batch.records.is_empty() {
                // The node ended between the last settlement and this.
                self.ops.push_all([Op::Forget { batch: id }]);
                continue;
            }
            batch.records.sort_unstable_by_key(|(place, _)| *place);
            refill.batches.push(batch);
        }
    }

    fn part(&self, row: &Row) -> Result<StoredPart> {
        let row = RowReader::new("commits", row);
        let first_seq = row.unsigned("first_seq")?;
        let Some(execution) = row.get::<Option<i64>>("serial").ok().flatten() else {
            return Err(row.damaged(&format!("execution of {first_seq}")));
        };
        let sealed =
            self.cipher.decrypt(&first_seq.to_le_bytes(), &row.get::<Vec<u8>>("sealed")?)?;
        let shard = row.parse("shard", |shard: i32| u16::try_from(shard).ok())?;
        Ok(StoredPart {
            first_seq,
            shard,
            seed: row.unsigned("seed")?,
            execution: execution.cast_unsigned(),
            stored: RowReader::execution(&row)?,
            calls: codec::decode(&sealed)?,
        })
    }

    /// Completes replays with the calls of the deliveries that they repeat.
    async fn complete_replays(&self, parts: &mut [StoredPart]) -> Result<()> {
        let items = || parts.iter().flat_map(|part| part.calls.iter().map(|(_, item)| item));
        let ids: Vec<Uuid> = items().filter_map(|item| Some(item.replay.as_ref()?.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ask = "SELECT id, coalesce(call, id) AS call,
                CASE status WHEN 'delivered' THEN id ELSE resolved_by END AS resolved_by
            FROM deliveries WHERE id = ANY($1)";
        let mut columns = Columns::default();
        columns.add(Type::UUID_ARRAY, ids);
        let mut known: HashMap<Uuid, (Uuid, Option<Uuid>)> = HashMap::new();
        for row in &self.read(ask, &columns).await? {
            let row = RowReader::new("deliveries", row);
            known.insert(row.get("id")?, (row.get("call")?, row.get("resolved_by")?));
        }
        for (_, item) in parts.iter_mut().flat_map(|part| &mut part.calls) {
            let Some(replay) = &mut item.replay else { continue };
            let Some((call, resolved_by)) = known.get(&replay.id) else { continue };
            replay.call = *call;
            if let Some(resolved_by) = resolved_by {
                replay.before = Resolution::Delivered(*resolved_by);
            }
        }
        Ok(())
    }

    async fn beside(&self, parts: &[StoredPart]) -> Result<Beside> {
        let mut beside = Beside { settled: HashMap::new(), attempts: HashMap::new() };
        let seqs: Vec<i64> = parts
            .iter()
            .flat_map(|part| (0..part.calls.len() as u64).map(|n| int(part.first_seq + n)))
            .collect();
        if seqs.is_empty() {
            return Ok(beside);
        }
        let mut columns = Columns::default();
        let executions: HashSet<i64> = parts.iter().map(|part| int(part.execution)).collect();
        columns.numbers(executions).numbers(seqs.iter().copied());
        let ask = "SELECT seq, status FROM deliveries
            WHERE execution = ANY($1) AND seq = ANY($2)";
        for row in &self.read(ask, &columns).await? {
            let row = RowReader::new("deliveries", row);
            let status = row.parse("status", |name: String| Status::from_name(&name))?;
            beside.settled.insert(row.unsigned("seq")?, status == Status::Failed);
        }
        let mut columns = Columns::default();
        columns.numbers(seqs);
        for row in &self.read("SELECT * FROM attempts WHERE seq = ANY($1)", &columns).await? {
            let row = RowReader::new("attempts", row);
            let attempts = Attempts {
                made: row.small("attempts")?,
                is_under_way: row.get("is_under_way")?,
                due: row.optional_time("due_at")?,
                last_error: row.failure()?.map(Arc::new),
            };
            beside.attempts.insert(row.unsigned("seq")?, attempts);
        }
        Ok(beside)
    }

    /// Reads the sealed batches of the shards.
    async fn read_batches(&self, shards: &[i32]) -> Result<Sealed> {
        let mut all = Sealed::default();
        let mut columns = Columns::default();
        columns.add(Type::INT4_ARRAY, shards.iter().copied());
        for row in &self.read("SELECT * FROM batches WHERE shard = ANY($1)", &columns).await? {
            let row = RowReader::new("batches", row);
            let id = row.unsigned("id")?;
            let parsed = |text: String| serde_json::from_str::<Vec<u64>>(&text).ok();
            let records = row.parse("records", parsed)?;
            let is_name = |name: &String| {
                let mut segments = name.split('/');
                !name.contains('\0') && segments.all(|segment| !matches!(segment, "." | ".."))
            };
            let sealed = SealedBatch {
                id,
                lane: Lane {
                    kind: row.parse("destination", |name: String| Kind::from_name(&name))?,
                    key: row.get::<String>("lane")?.into(),
                },
                name: row.parse("name", |name: String| is_name(&name).then_some(name))?,
                reason: row.get("reason")?,
                sealed_at: row.time("sealed_at")?,
                records: records.len(),
            };
            all.places.extend(records.iter().zip(0..).map(|(seq, place)| (*seq, (id, place))));
            let (note, conclusion) = (row.get("note")?, row.get("conclusion")?);
            let restored = RestoredBatch { sealed, note, conclusion, records: Vec::new() };
            all.batches.insert(id, restored);
        }
        Ok(all)
    }

    fn bring_part(
        &self,
        ownership: &mut super::Ownership,
        part: StoredPart,
        (beside, sealed): (&mut Beside, &mut Sealed),
        refill: &mut Refill,
        recovered: bool,
    ) {
        let StoredPart { first_seq, shard, seed, execution, stored, calls } = part;
        let settled = |seq: &u64| beside.settled.get(seq);
        let seqs = || first_seq..first_seq + calls.len() as u64;
        let has_failed = seqs().any(|seq| settled(&seq) == Some(&true));
        let left = seqs().filter(|seq| settled(seq).is_none()).count();
        if left == 0 {
            // The node ended between the last settlement and this.
            self.ops.push_all([Op::Close { first_seq, keep: has_failed }]);
            return;
        }
        let log_of = self.memory.log().restored(execution, || {
            let StoredExecution { info, completion, tally, .. } = stored;
            ExecutionLog::restored(info, execution, completion, tally)
        });
        ownership.open.insert(first_seq, OpenPart { shard, left, has_failed, was_brought: true });
        self.in_lanes.fetch_add(left, Ordering::AcqRel);
        refill.calls += left;
        for (seq, (lane, item)) in (first_seq..).zip(calls) {
            if beside.settled.contains_key(&seq) {
                continue;
            }
            let attempts = beside.attempts.remove(&seq);
            let batch = sealed.places.get(&seq).copied();
            let call = Call { seq, seed, lane, item, attempts, recovered };
            let (lane, record, due, is_interrupted) = self.record_of(&log_of, call, batch);
            refill.bytes += record.payload.cost();
            if let Some((id, place)) = batch {
                ownership.hand_out(shard, &record);
                if let Some(batch) = sealed.batches.get_mut(&id) {
                    batch.records.push((place, Record { recovered: false, ..record }));
                }
            } else if is_interrupted && self.options.on_interrupted == OnInterrupted::Fail {
                ownership.hand_out(shard, &record);
                refill.interrupted.push(record);
            } else if let Some(due) = due {
                refill.delayed.push(Delayed { lane, record, due });
            } else {
                self.memory.put(lane.clone(), record);
                if !refill.lanes.contains(&lane) {
                    refill.lanes.push(lane);
                }
            }
        }
    }

    fn record_of(
        &self,
        execution: &Arc<ExecutionLog>,
        call: Call,
        batch: Option<(u64, usize)>,
    ) -> (Lane, Record, Option<Timestamp>, bool) {
        let Call { seq, seed, lane, item, attempts, recovered } = call;
        let status = if batch.is_some() { Status::Batched } else { Status::Pending };
        let mut entry = item.entry(seed, status);
        let (mut due, mut last_error, mut is_interrupted) = (None, None, false);
        if let Some(attempts) = attempts {
            entry.attempts = attempts.made;
            (due, last_error, is_interrupted) =
                (attempts.due, attempts.last_error, attempts.is_under_way);
            let waits = due.is_some() || last_error.is_some();
            let waiting = due.map_or_else(
                || Waiting { last_error: last_error.clone(), next_attempt_at: None },
                |due| Waiting::new(last_error.clone(), due),
            );
            entry.waiting = waits.then(|| Box::new(waiting));
        }
        if is_interrupted {
            entry.warnings.push(INTERRUPTED.to_owned());
        }
        let attempts = entry.attempts;
        let place = self.add_entry(execution, entry);
        let record = record(execution, seed, place, seq, item);
        (lane, Record { attempts, recovered, last_error, ..record }, due, is_interrupted)
    }

    fn add_entry(&self, execution: &Arc<ExecutionLog>, entry: Entry) -> usize {
        let place = if execution.is_restored() {
            execution.bring_back(entry)
        } else {
            self.withdrawn().remove(&entry.id);
            execution.return_here(entry)
        };
        self.memory.log().register(execution);
        place
    }
}

/// A call that is brought.
struct Call {
    seq: u64,
    seed: u64,
    lane: Lane,
    item: Item,
    attempts: Option<Attempts>,
    recovered: bool,
}

impl Recovery for PostgresJournal {
    fn is_durable(&self) -> bool {
        true
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
        self.shared.memory.delay(lane, record, until);
    }

    fn room(&self) -> Promise<'_, ()> {
        Box::pin(async {
            while self.shared.in_lanes.load(Ordering::Acquire) >= MAX_IN_LANES
                && !self.shared.is_closed()
            {
                self.shared.room.notified().await;
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
        // The option `onFailed` is refused.
        Ok(Vec::new())
    }
}
