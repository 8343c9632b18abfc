//! The queue: each change of the lanes in memory is written to the database.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::error::journal;
use super::op::{AppendOp, Appended, Counts, Ending, Op, Part, ReplayClaim, SettledRow};
use super::ownership::{Closed, OpenPart};
use super::{PostgresJournal, Shared};
use crate::error::Result;
use crate::execution::{
    AttemptLog, DeliveryRequest, Entry, ExecutionLog, ReplayOf, Resolution, Settlement, Status,
    Waiting,
};
use crate::id::delivery_id;
use crate::journal::memory::{Applied, discarded, lanes_of};
use crate::journal::{
    Commit, Completion, Finished, Lane, OnInterrupted, Promise, Queue, Record, RecordFilter,
    Recovery, Refusal, codec,
};
use crate::recording::Item;
use crate::time::Timestamp;

/// The delay before a record is leased again whose lease could not be written.
const LEASE_RETRY: Duration = Duration::from_secs(1);

impl Shared {
    async fn append_commit(
        self: &Arc<Self>,
        commit: Commit,
    ) -> std::result::Result<Vec<Lane>, Box<Refusal>> {
        let count = commit.items.len() as u64;
        let first_seq = self.next_seq.fetch_add(count, Ordering::Relaxed);
        let by_shard = self.by_shard(&commit.items);
        let mut append = match self.append_op(&commit, first_seq, &by_shard) {
            Ok(append) => append,
            Err(error) => return Err(Box::new(Refusal { error, commit, taken: vec![] })),
        };
        let parts: Vec<_> =
            append.parts.iter().map(|part| (part.first_seq, part.shard, part.calls)).collect();
        let appending = Arc::new(Appending::new(self, &append.parts));
        append.appending = Some(Arc::clone(&appending));
        let appended = self.ops.wait(|waiter| Op::Append(Box::new(append), Some(waiter))).await;
        let epochs = match appended {
            Ok(Appended::Stored(epochs)) => epochs,
            Ok(Appended::Taken(taken)) => {
                let error = journal("another node has replayed or dismissed a call of this commit");
                return Err(Box::new(Refusal { error, commit, taken }));
            }
            Err(error) => return Err(Box::new(Refusal { error, commit, taken: vec![] })),
        };
        let mut numbers = vec![0; by_shard.len()];
        for (place, seq) in by_shard.iter().zip(first_seq..) {
            numbers[*place] = seq;
        }
        let lanes = self.apply(commit, numbers, &parts, &epochs);
        drop(appending);
        Ok(lanes)
    }

    /// Returns the places of calls by their shards. The calls of a shard have consecutive numbers, and
    /// those of a lane keep their order.
    pub(super) fn by_shard(&self, items: &[(Lane, Item)]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..items.len()).collect();
        places.sort_by_key(|place| self.shard_of(&items[*place].0));
        places
    }

    /// Brings the calls of a commit into the lanes, those of this node's shards.
    fn apply(
        &self,
        commit: Commit,
        numbers: Vec<u64>,
        parts: &[(u64, u16, usize)],
        epochs: &[Option<i64>],
    ) -> Vec<Lane> {
        let execution = Arc::clone(&commit.execution);
        let mut ownership = self.ownership();
        let mut here = Vec::new();
        for ((first_seq, shard, calls), epoch) in parts.iter().zip(epochs) {
            // A shard that was lost meanwhile is read by its next owner.
            let is_here = epoch.is_some()
                && ownership.held.get(shard).copied() == *epoch
                && ownership.serves(*shard);
            if is_here {
                here.push(*shard);
                ownership.open.insert(*first_seq, OpenPart::new(*shard, *first_seq, *calls));
            }
        }
        let is_here = |lane: &Lane| here.contains(&self.shard_of(lane));
        let Applied { lanes, finished, elsewhere } =
            self.memory.apply_part(commit, &mut numbers.into_iter(), &is_here);
        drop(ownership);
        if !elsewhere.is_empty() {
            self.awaited().insert(execution.serial(), Arc::clone(&execution));
            self.arrivals().left.extend(elsewhere);
            self.arrived.notify_waiters();
        }
        self.note_end(&execution, finished);
        lanes
    }

    pub(super) fn append_op(
        &self,
        commit: &Commit,
        first_seq: u64,
        by_shard: &[usize],
    ) -> Result<AppendOp> {
        let Commit { execution, seed, items, completion, forwards } = commit;
        let discards = completion.discards();
        let rows = |(seq, (_, item)): (u64, &(Lane, Item))| {
            self.settled_row(seq, execution, discarded(item, *seed), None)
        };
        let settled = if discards { (first_seq..).zip(items).map(rows).collect() } else { vec![] };
        let replayed = |(_, item): &(Lane, Item)| {
            let replay = delivery_id(item.recorded_at, item.index, *seed);
            let claim = |of: &ReplayOf| ReplayClaim { of: of.id, replay, before: of.before };
            item.replay.as_deref().map(claim)
        };
        let mut counts = Counts::default();
        if discards {
            counts.discarded = count(items.len());
        }
        for replay in items.iter().filter_map(|(_, item)| item.replay.as_deref()) {
            match replay.before {
                Resolution::Failed => counts.failed -= 1,
                Resolution::Dismissed => counts.dismissed -= 1,
                Resolution::Delivered(_) => {}
            }
        }
        Ok(AppendOp {
            execution: Arc::clone(execution),
            ending: ending(completion),
            open: if discards { 0 } else { count(items.len()) },
            calls: count(items.iter().filter(|(_, item)| item.replay.is_none()).count()),
            counts,
            replays: items.iter().filter_map(replayed).collect(),
            forwards: *forwards,
            parts: if discards { vec![] } else { self.parts(items, by_shard, first_seq, *seed)? },
            settled,
            appending: None,
        })
    }

    /// Encrypts the calls, those of each shard together.
    fn parts(
        &self,
        items: &[(Lane, Item)],
        by_shard: &[usize],
        mut first_seq: u64,
        seed: u64,
    ) -> Result<Vec<Part>> {
        let shard_at = |place: &usize| self.shard_of(&items[*place].0);
        let mut parts = Vec::new();
        for places in by_shard.chunk_by(|one, other| shard_at(one) == shard_at(other)) {
            let plain = codec::encode(places.iter().map(|place| &items[*place]));
            parts.push(Part {
                first_seq,
                shard: shard_at(&places[0]),
                calls: places.len(),
                seed,
                ciphertext: self.cipher.encrypt(&first_seq.to_le_bytes(), &plain)?,
            });
            first_seq += places.len() as u64;
        }
        Ok(parts)
    }

    /// Returns a row of the log, without secrets.
    fn settled_row(
        &self,
        seq: u64,
        execution: &ExecutionLog,
        mut entry: Entry,
        counts: Option<Counts>,
    ) -> SettledRow {
        if let DeliveryRequest::Recorded(payload) = &entry.request {
            entry.request = DeliveryRequest::Sent((self.describe)(entry.kind, payload));
        }
        entry.replayable = None;
        let warnings = (!entry.warnings.as_slice().is_empty())
            .then(|| serde_json::to_string(&entry.warnings).unwrap_or_else(|_| "[]".to_owned()));
        let execution_id = Arc::clone(&execution.info.execution_id);
        SettledRow {
            seq,
            execution: execution.serial(),
            execution_id,
            entry,
            counts,
            forwards_in: None,
            warnings,
        }
    }

    fn settle_record(&self, record: &Record, settlement: Settlement) -> Finished {
        let mut ownership = self.ownership();
        if !ownership.take_back(record) {
            drop(ownership);
            // Another node has it: that one writes its end.
            self.left_elsewhere(record);
            return Finished::NotYet;
        }
        let log = self.memory.log();
        let was_resolved = {
            let state = record.execution.state();
            let call = state.entries[record.place].call_state.as_deref();
            call.is_some_and(|state| state.resolved_by.is_some())
        };
        let is_forwarded = settlement.is_forwarded;
        let settled = record.execution.settle(record.place, settlement, log.budget());
        log.add_bytes(settled.kept);
        let entry = record.execution.state().entries[record.place].clone();
        let status = entry.status;
        let mut counts = Counts::default();
        if !was_resolved {
            counts.delivered = i64::from(status == Status::Delivered);
            counts.failed = i64::from(status == Status::Failed);
        }
        let (part, closed) = ownership.count_down(record.seq, status);
        let row = self.settled_row(record.seq, &record.execution, entry, Some(counts));
        let row = SettledRow { forwards_in: is_forwarded.then_some(part.shard), ..row };
        let close = closed.map(|Closed { first_seq, keep }| Op::Close { first_seq, keep });
        self.ops.push_all([Op::Settle(Box::new(row))].into_iter().chain(close));
        drop(ownership);
        if part.was_brought {
            self.note_settled(1);
        }
        self.note_end(&record.execution, settled.finished)
    }

    /// Applies the retention of the log in memory to an execution.
    fn note_end(&self, execution: &Arc<ExecutionLog>, finished: bool) -> Finished {
        if !execution.is_restored() {
            return self.memory.note_finish(execution, finished);
        }
        // The node that recorded it tells of its end.
        if execution.state().open() == 0 {
            self.memory.log().remove(execution);
        }
        Finished::NotYet
    }

    /// Notes that a record of this process's memory is delivered by another node.
    pub(super) fn left_elsewhere(&self, record: &Record) {
        let execution = &record.execution;
        if execution.is_restored() {
            if execution.give_up() {
                self.memory.log().remove(execution);
            }
            return;
        }
        execution.leave();
        // A record of a batch has no id of its own.
        let id = execution.state().entries[record.place].id;
        self.withdrawn().insert(id);
        self.awaited().insert(execution.serial(), Arc::clone(execution));
    }

    /// Notes that calls that were brought are terminal.
    pub(super) fn note_settled(&self, calls: usize) {
        self.in_lanes.fetch_sub(calls, Ordering::AcqRel);
        self.room.notify_one();
    }

    async fn lease_record(&self, lane: &Lane) -> Option<Record> {
        let shard = self.shard_of(lane);
        let mut record = {
            let mut ownership = self.ownership();
            if !ownership.is_valid() || !ownership.serves(shard) {
                return None;
            }
            let record = self.memory.begin_attempt(lane)?;
            ownership.hand_out(shard, &record);
            record
        };
        let (seq, attempts) = (record.seq, record.attempts);
        match self.options.on_interrupted {
            OnInterrupted::Resend => {
                self.ops.push_all([Op::Lease { seq, attempts, waiter: None }]);
            }
            OnInterrupted::Fail => {
                // It may not be sent before its lease is written.
                let leased = self.ops.wait(|waiter| {
                    let waiter = Some(waiter);
                    Op::Lease { seq, attempts, waiter }
                });
                if leased.await.is_err() {
                    record.attempts -= 1;
                    let until = Timestamp::steady().after(LEASE_RETRY);
                    self.put_back(lane, record, until);
                    return None;
                }
            }
        }
        Some(record)
    }

    /// Has a record wait that was brought, unless its shard was let go meanwhile: its next owner has it.
    pub(super) fn delay_brought(&self, lane: Lane, record: Record, until: Timestamp) {
        let ownership = self.ownership();
        if ownership.is_open(record.seq) && ownership.serves(self.shard_of(&lane)) {
            self.memory.delay(lane, record, until);
            return;
        }
        drop(ownership);
        self.left_elsewhere(&record);
        self.arrivals().left.push(record.payload.cost());
        self.arrived.notify_waiters();
    }

    /// Returns a record to its lane without an attempt.
    fn put_back(&self, lane: &Lane, record: Record, until: Timestamp) {
        if self.ownership().take_back(&record) {
            self.memory.delay(lane.clone(), record, until);
        } else {
            self.left_elsewhere(&record);
            self.arrivals().left.push(record.payload.cost());
            self.arrived.notify_waiters();
        }
    }

    fn postpone_record(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        let (seq, attempts) = (record.seq, record.attempts);
        let last_error = record.last_error.clone();
        let attempt_log = {
            let state = record.execution.state();
            state.entries[record.place].attempt_log.as_deref().map(AttemptLog::to_text)
        };
        let due = until.by_system();
        let mut ownership = self.ownership();
        if ownership.take_back(&record) {
            self.ops.push_all([Op::Postpone { seq, attempts, due, last_error, attempt_log }]);
            if ownership.serves(self.shard_of(lane)) {
                self.memory.postpone(lane, record, until, note);
                return;
            }
        }
        drop(ownership);
        let waiting = Waiting::new(record.last_error.clone(), due);
        record.execution.postpone(record.place, attempts, note, waiting);
        self.left_elsewhere(&record);
        self.arrivals().left.push(record.payload.cost());
        self.arrived.notify_waiters();
    }

    /// Has the engine look at every lane with work again.
    pub(super) fn wake_all(&self) {
        let lanes = self.memory.busy_lanes();
        if !lanes.is_empty() {
            self.arrivals().lanes.extend(lanes);
            self.arrived.notify_waiters();
        }
    }
}

/// Parts that are on their way into the database and from there into the lanes, or that may be taken back.
pub(super) struct Appending {
    shared: Weak<Shared>,
    parts: Vec<u64>,
}

impl Appending {
    fn new(shared: &Arc<Shared>, parts: &[Part]) -> Self {
        let parts: Vec<u64> = parts.iter().map(|part| part.first_seq).collect();
        shared.ownership().appending.extend(&parts);
        Self { shared: Arc::downgrade(shared), parts }
    }
}

impl fmt::Debug for Appending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Appending").field(&self.parts).finish()
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut ownership = shared.ownership();
        for part in &self.parts {
            ownership.appending.remove(part);
        }
    }
}

fn ending(completion: &Completion) -> Option<Ending> {
    let at = Timestamp::now();
    match completion {
        Completion::Continues | Completion::Over => None,
        Completion::Completed { error, message } => {
            let (error, message) = (error.clone(), message.clone());
            Some(Ending { how: "completed", error, message, at })
        }
        Completion::Discarded => Some(Ending { how: "discarded", error: None, message: None, at }),
    }
}

fn count(calls: usize) -> i64 {
    i64::try_from(calls).unwrap_or(i64::MAX)
}

impl Queue for PostgresJournal {
    fn append(&self, commit: Commit) -> Promise<'_, std::result::Result<Vec<Lane>, Box<Refusal>>> {
        Box::pin(self.shared.append_commit(commit))
    }

    fn lease<'a>(&'a self, lane: &'a Lane) -> Promise<'a, Option<Record>> {
        Box::pin(self.shared.lease_record(lane))
    }

    fn settle(&self, record: &Record, settlement: Settlement) -> Finished {
        self.shared.settle_record(record, settlement)
    }

    fn postpone(&self, lane: &Lane, record: Record, until: Timestamp, note: String) {
        self.shared.postpone_record(lane, record, until, note);
    }

    fn wake_due(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        self.shared.memory.wake_due(now)
    }

    fn hasten(&self, now: Timestamp, wanted: RecordFilter<'_>) -> Vec<Lane> {
        let recalled = self.shared.memory.recall(wanted);
        let due = |(_, seq, attempts): &(Lane, u64, u32)| {
            let (seq, attempts) = (*seq, *attempts);
            Op::Postpone { seq, attempts, due: now, last_error: None, attempt_log: None }
        };
        self.shared.ops.push_all(recalled.iter().map(due).collect::<Vec<_>>());
        lanes_of(recalled)
    }

    /// 0 while nothing of the lane is handed out: the renewal of the lease has every lane looked at again,
    /// and a shard that comes back has its lanes filled anew.
    fn waiting(&self, lane: &Lane) -> usize {
        let is_served = {
            let ownership = self.shared.ownership();
            ownership.is_valid() && ownership.serves(self.shared.shard_of(lane))
        };
        if is_served { self.shared.memory.waiting(lane) } else { 0 }
    }

    /// With those that wait for a lease.
    fn postponed(&self) -> HashMap<Lane, usize> {
        let memory = &self.shared.memory;
        let mut postponed = Queue::postponed(memory);
        if !self.shared.ownership().is_valid() {
            for lane in memory.busy_lanes() {
                let waiting = memory.waiting(&lane);
                *postponed.entry(lane).or_default() += waiting;
            }
        }
        postponed
    }

    fn lease_rest(&self) -> Vec<Record> {
        self.shared.memory.lease_rest()
    }

    fn close(&self) -> Promise<'_, ()> {
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.ops.close();
        self.shared.arrived.notify_waiters();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Box::pin(async move {
            if let Some(thread) = thread {
                // A panic of the thread was reported by the panic itself.
                let _ = tokio::task::spawn_blocking(move || thread.join()).await;
            }
        })
    }
}
