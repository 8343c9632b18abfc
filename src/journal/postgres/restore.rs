//! Restores calls from the rows of the database: their payloads, what is terminal, and how far the others
//! are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Shared;
use super::op::Op;
use super::ownership::{OpenPart, Ownership};
use super::params::{Columns, int};
use super::refill::{Moved, Tenures};
use super::row::{RowReader, StoredExecution};
use crate::delivery::{Failure, Kind};
use crate::error::Result;
use crate::execution::{AttemptLog, Entry, ExecutionLog, Resolution, Status, Waiting};
use crate::journal::memory::record;
use crate::journal::{
    Delayed, Lane, OnInterrupted, Record, Refill, RestoredBatch, SealedBatch, codec,
};
use crate::recording::Item;
use crate::time::Timestamp;

/// The warning of a delivery that was in progress when its node ended.
const INTERRUPTED: &str = "the process ended while this delivery was under way: it may have been \
                           received before, under the same id";

/// Sealed batches, and the batch and the place of each of their records; beside them what is handed over
/// when all calls are read.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    batches: HashMap<u64, RestoredBatch>,
    places: HashMap<u64, (u64, usize)>,
    /// Failed deliveries that are to be forwarded.
    unforwarded: Vec<Uuid>,
}

impl Sealed {
    /// Returns the number of the records that were read.
    pub(super) fn records(&self) -> usize {
        self.batches.values().map(|batch| batch.records.len()).sum()
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

/// The progress of a call.
struct Attempts {
    made: u32,
    is_under_way: bool,
    due: Option<Timestamp>,
    last_error: Option<Arc<Failure>>,
    log: Option<AttemptLog>,
}

/// What the database has beside the parts.
struct Beside {
    /// Terminal calls, each with whether it failed.
    settled: HashMap<u64, bool>,
    attempts: HashMap<u64, Attempts>,
}

/// A call that is brought.
struct RefilledCall {
    seq: u64,
    seed: u64,
    lane: Lane,
    item: Item,
    attempts: Option<Attempts>,
    recovered: bool,
}

impl Shared {
    /// Brings parts into the lanes that were read under these tenures. Returns `false` if the lease is over.
    pub(super) async fn bring(
        &self,
        rows: &[Row],
        refill: &mut Refill,
        recovered: bool,
        (tenures, sealed): (&Tenures, &mut Sealed),
    ) -> Result<bool> {
        let mut parts = rows.iter().map(|row| self.part(row)).collect::<Result<Vec<_>>>()?;
        self.complete_replays(&mut parts).await?;
        let mut beside = self.beside(&parts).await?;
        let mut ownership = self.ownership();
        if !ownership.is_valid() {
            return Ok(false);
        }
        for part in parts {
            let is_current = ownership.serves_under(part.shard, tenures);
            if is_current && !ownership.has_had(part.first_seq) {
                self.bring_part(&mut ownership, part, (&mut beside, sealed), refill, recovered);
            }
        }
        Ok(true)
    }

    /// Hands over the batches whose records were all read, and what is to be forwarded.
    pub(super) fn bring_batches(&self, sealed: Sealed, tenures: &Tenures, refill: &mut Refill) {
        refill.unforwarded.extend(sealed.unforwarded);
        // This node may have sealed one before the look.
        let live: HashSet<u64> = {
            let ownership = self.ownership();
            let places = sealed.places.iter();
            places
                .filter(|(seq, _)| ownership.is_handed_out(**seq))
                .map(|(_, (id, _))| *id)
                .collect()
        };
        for (id, mut batch) in sealed.batches {
            let shard = self.shard_of(&batch.sealed.lane);
            if !self.ownership().serves_under(shard, tenures) {
                // Its next owner reads all of it.
                self.give_up(&batch.records);
                continue;
            }
            if batch.records.is_empty() && live.contains(&id) {
                continue;
            }
            if batch.records.is_empty() {
                // The node ended between the last settlement and this.
                self.ops.push_all([Op::Forget { batch: id }]);
                continue;
            }
            batch.records.sort_unstable_by_key(|(place, _)| *place);
            refill.batches.push(batch);
        }
    }

    /// Gives up records of a batch whose shard another node has, or is to have.
    fn give_up(&self, records: &[(usize, Record)]) {
        for (_, record) in records {
            // It was handed out no more if the shard was let go.
            let _ = self.ownership().take_back(record);
            self.left_elsewhere(record);
            self.arrivals().left.push(record.payload.cost());
        }
        self.arrived.notify_waiters();
    }

    /// Gives up what was read of batches of which this node reads no more.
    pub(super) fn give_up_sealed(&self, sealed: &Sealed) {
        sealed.batches.values().for_each(|batch| self.give_up(&batch.records));
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
            let due = row.optional_time("due_at")?;
            let log = |text: String| AttemptLog::from_text(&text, due);
            let attempts = Attempts {
                made: row.small("attempts")?,
                is_under_way: row.get("is_under_way")?,
                due,
                last_error: row.failure()?.map(Arc::new),
                log: row.parse_optional("attempt_log", log)?,
            };
            beside.attempts.insert(row.unsigned("seq")?, attempts);
        }
        Ok(beside)
    }

    /// Reads the deliveries of the shards that are to be forwarded, the oldest first.
    async fn read_forwards(&self, shards: &[i32]) -> Result<Vec<Uuid>> {
        let mut columns = Columns::default();
        columns.add(Type::INT4_ARRAY, shards.iter().copied());
        let ask = "SELECT delivery FROM forwards WHERE shard = ANY($1) ORDER BY delivery";
        let rows = self.read(ask, &columns).await?;
        rows.iter().map(|row| RowReader::new("forwards", row).get("delivery")).collect()
    }

    /// Reads the sealed batches of the shards, and what is to be forwarded; or only those that were
    /// moved here.
    pub(super) async fn read_batches(
        &self,
        shards: &[i32],
        moved: Option<&Moved>,
    ) -> Result<Sealed> {
        let unforwarded = match moved {
            None => self.read_forwards(shards).await?,
            Some(moved) => moved.forwards.clone(),
        };
        let mut all = Sealed { unforwarded, ..Sealed::default() };
        let mut columns = Columns::default();
        columns.add(Type::INT4_ARRAY, shards.iter().copied());
        let mut ask = "SELECT * FROM batches WHERE shard = ANY($1)".to_owned();
        if let Some(moved) = moved {
            columns.numbers(moved.batches.iter().copied());
            ask.push_str(" AND id = ANY($2)");
        }
        for row in &self.read(&ask, &columns).await? {
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
        ownership: &mut Ownership,
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
        let part = OpenPart::new(shard, first_seq, calls.len());
        ownership.open.insert(first_seq, OpenPart { left, has_failed, was_brought: true, ..part });
        self.in_lanes.fetch_add(left, Ordering::AcqRel);
        refill.calls += left;
        for (seq, (lane, item)) in (first_seq..).zip(calls) {
            if beside.settled.contains_key(&seq) {
                continue;
            }
            let attempts = beside.attempts.remove(&seq);
            let batch = sealed.places.get(&seq).copied();
            let call = RefilledCall { seq, seed, lane, item, attempts, recovered };
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
        call: RefilledCall,
        batch: Option<(u64, usize)>,
    ) -> (Lane, Record, Option<Timestamp>, bool) {
        let RefilledCall { seq, seed, lane, item, attempts, recovered } = call;
        let status = if batch.is_some() { Status::Batched } else { Status::Pending };
        let mut entry = item.entry(seed, status);
        let (mut due, mut last_error, mut is_interrupted) = (None, None, false);
        if let Some(attempts) = attempts {
            entry.attempts = attempts.made;
            entry.attempt_log = attempts.log.map(Box::new);
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
