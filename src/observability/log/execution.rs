//! The log of one execution: its deliveries in call order, and whether it is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Entry, Settlement, Status};
use crate::observability::time::Timestamp;

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);

/// What is known of an execution from its beginning.
#[derive(Debug)]
pub struct ExecutionInfo {
    /// The run's id.
    pub execution_id: Arc<str>,
    /// The workflow's id.
    pub workflow_id: Arc<str>,
    /// Which attempt of the run this is, from 1.
    pub attempt: u32,
    /// When `engine.execution()` was called.
    pub started_at: Timestamp,
    /// How many emitted events led to it, each by starting the execution that emitted the next.
    pub emit_depth: u32,
    /// The trace that it belongs to.
    pub trace: Option<Box<Trace>>,
}

/// A trace of W3C Trace Context, as the runner gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The header `traceparent`.
    pub parent: Box<str>,
    /// The header `tracestate`.
    pub state: Option<Box<str>>,
}

impl Trace {
    /// As one text.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.state
            .as_ref()
            .map_or_else(|| self.parent.to_string(), |state| format!("{}\n{state}", self.parent))
    }

    /// What [`Trace::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let (parent, state) = text.split_once('\n').map_or((text, None), |(p, s)| (p, Some(s)));
        Self { parent: parent.into(), state: state.map(Into::into) }
    }
}

/// How an execution ended.
#[derive(Debug, Clone)]
pub struct Completion {
    /// When.
    pub at: Timestamp,
    /// The message of the error that the runner completed it with.
    pub error: Option<String>,
    /// Whether it was discarded.
    pub discarded: bool,
}

/// How many deliveries ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Reached their destination.
    pub delivered: usize,
    /// Failed.
    pub failed: usize,
    /// Were discarded.
    pub discarded: usize,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> usize {
        self.delivered + self.failed + self.discarded
    }
}

/// The changing part of an execution's log.
#[derive(Debug, Default)]
pub struct ExecutionState {
    /// Deliveries that were terminal before this process knew the execution: its journal has them.
    pub before: Tally,
    /// The deliveries in the order of their calls.
    pub entries: Vec<Entry>,
    /// How it ended; `None` while it runs.
    pub completion: Option<Completion>,
    /// Deliveries that reached their destination.
    pub delivered: usize,
    /// Deliveries that failed.
    pub failed: usize,
    /// Calls that were discarded.
    pub discarded: usize,
    /// Bytes of requests and responses that its settled deliveries hold.
    pub bytes: usize,
}

impl ExecutionState {
    /// Deliveries that are terminal, those before included.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        Tally {
            delivered: self.before.delivered + self.delivered,
            failed: self.before.failed + self.failed,
            discarded: self.before.discarded + self.discarded,
        }
    }

    /// All deliveries, those before included.
    #[must_use]
    pub fn total(&self) -> usize {
        self.before.total() + self.entries.len()
    }

    /// Deliveries that are not terminal yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.entries.len() - self.delivered - self.failed - self.discarded
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.completion.is_some() && self.open() == 0
    }
}

/// How much of an exchange the log has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Bodies too.
    Bodies,
    /// Only what describes them: the log is at its limit.
    HeadsOnly,
}

/// What a settlement changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Bytes that the log holds more than before.
    pub kept: usize,
    /// Whether the execution is finished by it.
    pub finished: bool,
}

/// One execution in the log.
#[derive(Debug)]
pub struct ExecutionLog {
    /// What it is.
    pub info: Arc<ExecutionInfo>,
    serial: u64,
    state: Mutex<ExecutionState>,
    finished: Notify,
    retained: AtomicBool,
}

impl ExecutionLog {
    /// The log of an execution that has just begun.
    #[must_use]
    pub fn new(info: ExecutionInfo) -> Self {
        Self {
            info: Arc::new(info),
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
            finished: Notify::new(),
            retained: AtomicBool::new(false),
        }
    }

    /// The log of an execution that a journal remembers, under the number that it has there.
    #[must_use]
    pub fn restored(
        info: ExecutionInfo,
        serial: u64,
        completion: Option<Completion>,
        before: Tally,
    ) -> Self {
        let state = ExecutionState { before, completion, ..ExecutionState::default() };
        Self {
            info: Arc::new(info),
            serial,
            state: Mutex::new(state),
            finished: Notify::new(),
            retained: AtomicBool::new(false),
        }
    }

    /// Numbers from here on are larger than `serial`.
    pub fn number_after(serial: u64) {
        NEXT_SERIAL.fetch_max(serial + 1, Ordering::Relaxed);
    }

    /// A number that no other execution of this process has, growing with time.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// The state as it is now. A panic while it was held leaves it readable.
    pub fn state(&self) -> MutexGuard<'_, ExecutionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds deliveries that wait; the first one's place is the answer.
    pub fn add(&self, entries: impl IntoIterator<Item = Entry>) -> usize {
        let mut state = self.state();
        let first = state.entries.len();
        state.entries.extend(entries);
        first
    }

    /// Adds calls that were discarded, keeping as much of them as `room` says; the answer is the
    /// bytes that the log holds more than before.
    pub fn add_discarded(&self, entries: impl Iterator<Item = Entry>, room: Room) -> usize {
        let mut state = self.state();
        let mut kept = 0;
        for mut entry in entries {
            if room == Room::HeadsOnly {
                entry.strip();
            }
            kept += entry.size();
            state.discarded += 1;
            state.entries.push(entry);
        }
        state.bytes += kept;
        kept
    }

    /// Marks the beginning of an attempt.
    pub fn start(&self, place: usize) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.status = Status::InFlight;
        entry.attempts += 1;
    }

    /// Marks that a delivery is in a batch.
    pub fn join(&self, place: usize) {
        self.state().entries[place].status = Status::Batched;
    }

    /// Takes note of the attempts that were made for a delivery together with others.
    pub fn count_attempts(&self, place: usize, attempts: u32) {
        self.state().entries[place].attempts = attempts;
    }

    /// Notes that a delivery waits for another attempt, and why.
    pub fn postpone(&self, place: usize, attempts: u32, note: String) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.status = Status::Pending;
        entry.attempts = attempts;
        entry.warnings.push(note);
    }

    /// Ends a delivery, keeping as much of its bodies as `room` says.
    pub fn settle(&self, place: usize, settlement: Settlement, room: Room) -> Settled {
        let mut state = self.state();
        let state = &mut *state;
        let entry = &mut state.entries[place];
        entry.settle(settlement, Timestamp::now());
        if room == Room::HeadsOnly {
            entry.strip();
        }
        let kept = entry.size();
        state.bytes += kept;
        match entry.status {
            Status::Delivered => state.delivered += 1,
            _ => state.failed += 1,
        }
        Settled { kept, finished: self.tell(state) }
    }

    /// Ends the execution. Only the first end counts.
    pub fn complete(&self, error: Option<String>, discarded: bool) -> bool {
        let mut state = self.state();
        if state.completion.is_none() {
            state.completion = Some(Completion { at: Timestamp::now(), error, discarded });
        }
        self.tell(&state)
    }

    /// Waits until the execution is over and every delivery of it is terminal.
    pub async fn wait(&self) {
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.state().is_finished() {
                return;
            }
            finished.await;
        }
    }

    /// Claims the place among the finished executions; only the first claim is granted.
    pub(super) fn retain_once(&self) -> bool {
        !self.retained.swap(true, Ordering::Relaxed)
    }

    fn tell(&self, state: &ExecutionState) -> bool {
        let finished = state.is_finished();
        if finished {
            self.finished.notify_waiters();
        }
        finished
    }
}
