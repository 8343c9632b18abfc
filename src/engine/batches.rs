//! Batches: each lane of a batching destination has one that grows, and any number that are closed
//! and being stored.
//!
//! The way of a record: it joins the batch of its lane and is encoded at once; when the batch is
//! closed, the journal writes down which records are in it and what it is called, and only then is
//! it stored, again and again until it is there or refused; the journal writes down which, and its
//! records are settled. So after a crash at any point the same records are the same batch, under
//! the same name.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use super::Engine;
use super::attempt::{caught, caught_now, chance};
use super::batch::{Gauge, Reason};
use super::conclusion::Conclusion;
use super::members::{Member, Members, unstored};
use crate::destinations::{
    Delays, Encoded, Failure, Kind, Notebook, OpenBatch, Origin, Payload, Stored, Verdict,
};
use crate::error::ErrorKind;
use crate::journal::{Journal, Lane, Record, RestoredBatch, SealedBatch};
use crate::observability::events::{BatchEvent, Topic, Warning};
use crate::observability::log::{ExecutionInfo, ExecutionLog};
use crate::observability::time::Timestamp;

/// Batches that are stored at once, all together.
const STORING: usize = 64;
/// Places past this many are looked through for those that nobody uses.
const MANY_PLACES: usize = 1000;
/// Records that join a batch, or are settled, before others have their turn.
const TURN: usize = 256;
/// The wait before what the journal could not write is written again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// The waits between attempts to store a batch: it is kept until it is stored or refused.
const UNTIL_STORED: Delays = Delays::Exponential {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(60),
    jitter: 0.5,
    attempts: u32::MAX,
};

/// The batches of one engine.
#[derive(Debug)]
pub(super) struct Batches {
    /// Rung when there is something new for the batch of a lane.
    bells: Mutex<HashMap<Lane, Arc<Notify>>>,
    slots: Semaphore,
    places: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
    /// Those who want everything stored now.
    hurried: watch::Sender<usize>,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            bells: Mutex::default(),
            slots: Semaphore::new(STORING),
            places: Mutex::default(),
            hurried: watch::Sender::new(0),
        }
    }
}

impl Batches {
    /// Closes what is open, and stores what waits for another attempt, until the answer is dropped.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.hurried.send_modify(|hurried| *hurried += 1);
        self.bells().values().for_each(|bell| bell.notify_one());
        Hurry(self)
    }

    /// Forgets whoever gathered: they are gone.
    pub(super) fn clear(&self) {
        self.bells().clear();
    }

    /// `most` is how many are stored there at once, so that one place that does not answer delays no
    /// other.
    fn place(&self, name: &str, most: usize) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() > MANY_PLACES {
            places.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots = places.entry(name.into());
        Arc::clone(slots.or_insert_with(|| Arc::new(Semaphore::new(most))))
    }

    fn is_hurried(&self) -> bool {
        *self.hurried.borrow() > 0
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<Lane, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who wants everything stored now.
pub(super) struct Hurry<'a>(&'a Batches);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurried.send_modify(|hurried| *hurried -= 1);
    }
}

/// A batch that grows.
struct Open {
    batch: OpenBatch,
    gauge: Gauge,
    members: Members,
}

/// A batch that is closed.
struct Closed {
    sealed: SealedBatch,
    encoded: Encoded,
    members: Members,
    /// What an earlier process noted about storing it.
    note: Option<String>,
}

/// A call that is encoded once more.
struct Again {
    execution: Arc<ExecutionLog>,
    id: Uuid,
    recorded_at: Timestamp,
    payload: Payload,
}

fn origin(info: &ExecutionInfo, id: Uuid, recorded_at: Timestamp) -> Origin<'_> {
    Origin { id, workflow_id: &info.workflow_id, recorded_at }
}

/// The page of one batch in the journal.
struct Page<'a> {
    engine: &'a Engine,
    batch: u64,
    last: Mutex<Option<String>>,
}

impl Notebook for Page<'_> {
    async fn write(&self, note: Option<&str>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = note.map(str::to_owned);
        // What is not written down is found by the rules of whoever stores it, not by us.
        let _ = self.engine.journal.note_batch(self.batch, note).await;
    }
}

impl Engine {
    /// Sees to it that somebody gathers what waits in the lane.
    pub(super) fn gather_from(self: &Arc<Self>, lane: Lane) {
        let mut bells = self.batches.bells();
        if let Some(bell) = bells.get(&lane) {
            bell.notify_one();
            return;
        }
        let bell = Arc::<Notify>::default();
        bells.insert(lane.clone(), Arc::clone(&bell));
        drop(bells);
        self.spawn(Arc::clone(self).gather(lane, bell));
    }

    /// Gathers the records of a lane into batches, until none is left.
    async fn gather(self: Arc<Self>, lane: Lane, bell: Arc<Notify>) {
        let mut open: Option<Open> = None;
        loop {
            self.gather_waiting(&lane, &mut open).await;
            let Some(batch) = &open else {
                // A record that came between the last look and leaving would wait for nobody.
                let mut bells = self.batches.bells();
                if self.journal.waiting(&lane) == 0 {
                    bells.remove(&lane);
                    return;
                }
                continue;
            };
            let hurried = self.batches.is_hurried().then(|| self.why_hurried());
            if let Some(reason) = hurried.or_else(|| batch.gauge.due(Instant::now())) {
                self.close_batch(&lane, open.take(), reason).await;
                continue;
            }
            let deadline = tokio::time::Instant::from_std(batch.gauge.deadline());
            // Whichever comes first, there is something to look at.
            let _ = tokio::time::timeout_at(deadline, bell.notified()).await;
        }
    }

    fn why_hurried(&self) -> Reason {
        if self.check_open().is_ok() { Reason::Flush } else { Reason::Close }
    }

    async fn gather_waiting(self: &Arc<Self>, lane: &Lane, open: &mut Option<Open>) {
        for turn in 1_usize.. {
            let Some(record) = self.journal.join(lane) else { return };
            self.take_in(lane, open, record);
            let pending = self.counters.pending_bytes.load(Ordering::Relaxed);
            let most = self.config.max_pending_bytes;
            let full = open
                .as_ref()
                .and_then(|open| open.gauge.full().or_else(|| open.gauge.pressed(pending, most)));
            if let Some(reason) = full {
                self.close_batch(lane, open.take(), reason).await;
            }
            if turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Adds a record to the batch that grows, and begins one if there is none. What can be in no
    /// batch fails.
    fn take_in(self: &Arc<Self>, lane: &Lane, open: &mut Option<Open>, record: Record) {
        let added = match (&record.refused, &mut *open) {
            (Some(failure), _) => Err((**failure).clone()),
            (None, Some(_)) => Ok(()),
            (None, none) => self.begin_batch(lane, &record).map(|batch| *none = Some(batch)),
        };
        let added = added.and_then(|()| match open {
            Some(open) => caught_now(|| {
                let origin = origin(&record.execution.info, record.id, record.recorded_at);
                self.destinations.add_to_batch(&lane.key, &mut open.batch, &record.payload, origin)
            }),
            None => Ok(()),
        });
        match (added, &mut *open) {
            (Ok(()), Some(open)) => {
                open.gauge.add(record.payload.len(), open.batch.encoded(), Instant::now());
                let next = open.members.all.len();
                open.members.all.push_back(Member::new(next, record));
            }
            (Err(failure), _) => self.settle(&record, unstored(failure)),
            (Ok(()), None) => {}
        }
        if open.as_ref().is_some_and(|open| open.members.all.is_empty()) {
            *open = None;
        }
    }

    fn begin_batch(self: &Arc<Self>, lane: &Lane, first: &Record) -> Result<Open, Failure> {
        let batch = self.destinations.begin_batch(lane.kind, first.id, None)?;
        let limits = self.destinations.batch_limits(lane.kind).unwrap_or_default();
        let gauge = Gauge::new(limits, Instant::now());
        Ok(Open { batch, gauge, members: self.members(VecDeque::new()) })
    }

    fn members(self: &Arc<Self>, all: VecDeque<Member>) -> Members {
        Members::new(Arc::clone(self), all)
    }

    /// Names a batch, and has it stored beside the next one.
    async fn close_batch(self: &Arc<Self>, lane: &Lane, open: Option<Open>, reason: Reason) {
        let Some(Open { batch, members, .. }) = open else { return };
        let Some(first) = members.all.front() else { return };
        let (id, at) = (first.seq, Timestamp::now());
        let encoded = match self.encode(lane, batch, at).await {
            Ok(encoded) => encoded,
            Err(failure) => return members.fail_all(&failure),
        };
        let sealed = SealedBatch {
            id,
            lane: lane.clone(),
            name: encoded.name.clone(),
            reason: reason.as_str().to_owned(),
            sealed_at: at,
            records: members.all.len(),
        };
        let closed = Closed { sealed, encoded, members, note: None };
        self.spawn(Arc::clone(self).seal_and_store(closed));
    }

    async fn encode(
        self: &Arc<Self>,
        lane: &Lane,
        batch: OpenBatch,
        at: Timestamp,
    ) -> Result<Encoded, Failure> {
        let (engine, lane) = (Arc::clone(self), Arc::clone(&lane.key));
        let encoding =
            tokio::task::spawn_blocking(move || engine.destinations.close_batch(&lane, batch, at));
        encoding.await.unwrap_or_else(|_| {
            let message = "a defect of dollar-send: encoding a batch panicked. Please report it";
            Err(Failure::new(ErrorKind::Internal, message))
        })
    }

    async fn seal_and_store(self: Arc<Self>, closed: Closed) {
        // Before it is stored: from here on it is the same batch whatever happens.
        loop {
            let Closed { sealed, members, .. } = &closed;
            let numbers = members.all.iter().map(|member| member.seq);
            let Err(error) = self.journal.seal(sealed, numbers.collect()).await else { break };
            self.warn("JOURNAL_TROUBLE", &error.to_string());
            tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
        }
        self.store(closed).await;
    }

    /// Stores a sealed batch, however often it takes.
    async fn store(self: Arc<Self>, closed: Closed) {
        let Closed { sealed, encoded, members, note } = closed;
        self.tell_batch(&sealed, &encoded, "sealed", 0, None);
        let page = Page { engine: &self, batch: sealed.id, last: Mutex::new(note) };
        let mut hurried = self.batches.hurried.subscribe();
        for attempts in 1.. {
            let Stored { verdict, response, warnings, exceptions } =
                self.attempt_batch(sealed.lane.kind, &encoded, &page).await;
            let failure = match verdict {
                Verdict::Delivered => None,
                Verdict::Rejected(failure) => Some(failure),
                Verdict::Retry { failure, after } => {
                    let delays = self.destinations.batch_delays(sealed.lane.kind);
                    let delay = delays.as_ref().unwrap_or(&UNTIL_STORED).after(attempts, chance());
                    if let Some(delay) = delay {
                        let message = format!("{} could not be stored: {failure}", sealed.name);
                        self.warn("BATCH_DELAYED", &message);
                        self.tell_batch(&sealed, &encoded, "delayed", attempts, Some(&failure));
                        let delay = delay.max(after.unwrap_or_default());
                        // Whoever is in a hurry has it tried at once.
                        let _ = tokio::time::timeout(delay, hurried.changed()).await;
                        continue;
                    }
                    Some(failure)
                }
                Verdict::Later { after, .. } => {
                    tokio::time::sleep(after).await;
                    continue;
                }
            };
            let status = if failure.is_none() { "stored" } else { "failed" };
            self.tell_batch(&sealed, &encoded, status, attempts, failure.as_ref());
            let response = response.as_deref();
            let conclusion = Conclusion::new(&sealed, failure, response, warnings, attempts)
                .with_exceptions(exceptions);
            drop(encoded);
            return self.conclude(sealed.id, conclusion, members).await;
        }
    }

    async fn attempt_batch(&self, kind: Kind, encoded: &Encoded, page: &Page<'_>) -> Stored {
        let most = self.destinations.batch_concurrency(kind);
        let place = self.batches.place(self.destinations.batch_place(kind, &encoded.name), most);
        // Neither is ever closed.
        let _slots = (place.acquire().await, self.batches.slots.acquire().await);
        let left = page.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let storing = self.destinations.store_batch(kind, encoded, left.as_deref(), page);
        caught(storing).await.unwrap_or_else(|failure| Stored::nowhere(Verdict::Rejected(failure)))
    }

    /// Writes down what became of a batch, and then the end of each of its records.
    async fn conclude(self: &Arc<Self>, id: u64, conclusion: Conclusion, mut members: Members) {
        self.journal.conclude(id, &conclusion.to_text());
        let conclusion = Arc::new(conclusion);
        members.conclusion = Some(Arc::clone(&conclusion));
        while members.settle_next(|line| conclusion.settlement(line)) {
            if members.all.len().is_multiple_of(TURN) {
                self.journal.written().await;
                tokio::task::yield_now().await;
            }
        }
        self.journal.forget_batch(id);
    }

    /// Goes on with a batch that an earlier process sealed.
    pub(super) fn restore_batch(self: &Arc<Self>, restored: RestoredBatch) {
        let RestoredBatch { sealed, note, conclusion, records } = restored;
        let again = |(_, record): &(usize, Record)| Again {
            execution: Arc::clone(&record.execution),
            id: record.id,
            recorded_at: record.recorded_at,
            payload: record.payload.clone(),
        };
        let calls: Vec<_> = records.iter().map(again).collect();
        let first = records.first().map(|(_, record)| record.id).unwrap_or_default();
        let all = records.into_iter().map(|(line, record)| Member::new(line, record));
        let members = self.members(all.collect());
        let engine = Arc::clone(self);
        self.spawn(async move {
            let known = conclusion.as_deref().map(Conclusion::from_text);
            if let Some(Some(conclusion)) = known {
                return engine.conclude(sealed.id, conclusion, members).await;
            }
            // Less than all of it would take the place of what may be stored already.
            let encoded = if known.is_some() || members.all.len() != sealed.records {
                let message = "the journal does not have all of the batch, or of what became of it";
                Err(Failure::new(ErrorKind::Journal, message))
            } else {
                engine.encode_again(&sealed, first, calls).await
            };
            match encoded {
                Ok(encoded) => {
                    engine.store(Closed { sealed, encoded, members, note }).await;
                }
                Err(failure) => {
                    let end = Conclusion::new(&sealed, Some(failure), None, Vec::new(), 0);
                    engine.conclude(sealed.id, end, members).await;
                }
            }
        });
    }

    async fn encode_again(
        self: &Arc<Self>,
        sealed: &SealedBatch,
        first: Uuid,
        calls: Vec<Again>,
    ) -> Result<Encoded, Failure> {
        let (kind, name) = (sealed.lane.kind, Some(sealed.name.as_str()));
        let mut batch = self.destinations.begin_batch(kind, first, name)?;
        for (turn, call) in calls.iter().enumerate() {
            let origin = origin(&call.execution.info, call.id, call.recorded_at);
            self.destinations.add_to_batch(&sealed.lane.key, &mut batch, &call.payload, origin)?;
            if turn.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        let encoded = self.encode(&sealed.lane, batch, sealed.sealed_at).await?;
        Ok(Encoded { name: sealed.name.clone(), ..encoded })
    }

    fn warn(&self, code: &'static str, message: &str) {
        self.events.emit(Topic::Warning, || Warning { code, message, execution_id: None });
    }

    fn tell_batch(
        &self,
        sealed: &SealedBatch,
        encoded: &Encoded,
        status: &'static str,
        attempts: u32,
        failure: Option<&Failure>,
    ) {
        self.events.emit(Topic::Batch, || BatchEvent {
            destination: sealed.lane.kind.name(),
            name: &sealed.name,
            status,
            reason: &sealed.reason,
            records: sealed.records,
            bytes: encoded.len(),
            sealed_at: sealed.sealed_at,
            attempts,
            error: failure.map(|failure| failure.message.as_str()),
        });
    }
}
