//! The log of one execution: its deliveries in call order, and whether it is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use super::info::{ExecutionEnd, ExecutionInfo, Tally};
use super::serial;
use super::{
    BatchDue, Entry, LogBudget, MadeAttempt, Resolution, Settled, Settlement, Status, Waiting,
};
use crate::delivery::Failure;
use crate::time::Timestamp;

/// The changing part of an execution's log.
#[derive(Debug, Default)]
pub struct ExecutionState {
    /// The deliveries in the order in which they came, those before this process excluded.
    pub entries: Vec<Entry>,
    /// The end; `None` while it runs.
    pub completion: Option<ExecutionEnd>,
    /// Bytes of requests and responses that its settled deliveries hold.
    pub bytes: usize,
    tally: Tally,
    calls: usize,
    open: usize,
    /// The part of `open` that other processes deliver.
    elsewhere: usize,
}

impl ExecutionState {
    /// Returns the terminal calls, those that only the journal knows included.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the number of calls, those that only the journal knows included.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.calls
    }

    /// Returns the number of deliveries that are not terminal.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// Returns `true` if the state is final.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.completion.is_some() && self.open == 0
    }

    fn places(&self) -> HashMap<Uuid, usize> {
        self.entries.iter().enumerate().map(|(place, entry)| (entry.id, place)).collect()
    }

    /// Links a replay to the delivery that it repeats.
    fn link(&mut self, entry: &mut Entry, places: &HashMap<Uuid, usize>) {
        let Some(state) = entry.call_state.as_deref_mut() else { return };
        state.base = state.replay_of.and_then(|base| places.get(&base).copied());
        if let Some(base) = state.base {
            self.entries[base].call_state.get_or_insert_default().replayed_by = Some(entry.id);
        }
    }

    /// Counts the end of a delivery for its call, and resolves the dead letter of a delivered one.
    fn count_end(&mut self, place: usize) {
        self.open -= 1;
        let entry = &mut self.entries[place];
        let (id, status) = (entry.id, entry.status);
        let mut base = None;
        if let Some(state) = entry.call_state.as_deref_mut() {
            if state.resolved_by.is_some() {
                // A delivered call that was sent again: it stays delivered.
                state.resolved_by = state.resolved_by.filter(|_| status == Status::Failed);
                return;
            }
            base = state.base;
        }
        if status != Status::Delivered {
            self.tally.failed += 1;
            return;
        }
        self.tally.delivered += 1;
        while let Some(place) = base {
            let state = self.entries[place].call_state.get_or_insert_default();
            state.resolved_by = Some(id);
            base = state.base;
        }
    }
}

/// One execution in the log.
#[derive(Debug)]
pub struct ExecutionLog {
    /// The description.
    pub info: Arc<ExecutionInfo>,
    serial: u64,
    state: Mutex<ExecutionState>,
    finished: Notify,
    retained: AtomicBool,
    is_restored: bool,
}

impl ExecutionLog {
    /// The log of an execution that has just begun.
    #[must_use]
    pub fn new(info: ExecutionInfo) -> Self {
        Self {
            info: Arc::new(info),
            serial: serial::next(),
            state: Mutex::default(),
            finished: Notify::new(),
            retained: AtomicBool::new(false),
            is_restored: false,
        }
    }

    /// The log of an execution that a journal remembers, under the number that it has there.
    #[must_use]
    pub fn restored(
        info: ExecutionInfo,
        serial: u64,
        completion: Option<ExecutionEnd>,
        before: Tally,
    ) -> Self {
        let state = ExecutionState {
            tally: before,
            calls: before.total(),
            completion,
            ..ExecutionState::default()
        };
        Self {
            info: Arc::new(info),
            serial,
            state: Mutex::new(state),
            finished: Notify::new(),
            retained: AtomicBool::new(false),
            is_restored: true,
        }
    }

    /// Numbers from here on are larger than `serial`.
    pub fn number_after(serial: u64) {
        serial::number_after(serial);
    }

    /// Numbers from here on are those of a process that shares a journal, in this slot.
    pub fn number_in_slot(slot: u64) {
        serial::number_in_slot(slot);
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

    /// Adds the waiting deliveries of a commit, each replay with the state of its call before.
    /// Returns the place of the first one.
    pub fn add(&self, entries: impl IntoIterator<Item = (Entry, Option<Resolution>)>) -> usize {
        let mut state = self.state();
        let first = state.entries.len();
        let mut places = None;
        for (mut entry, before) in entries {
            state.open += 1;
            match before {
                None => state.calls += 1,
                // The row that it was restored with may be older than the failure: the journal counts
                // what it stores anew when it ends.
                Some(Resolution::Failed) => {
                    state.tally.failed = state.tally.failed.saturating_sub(1);
                }
                Some(Resolution::Dismissed) => {
                    state.tally.dismissed = state.tally.dismissed.saturating_sub(1);
                }
                Some(Resolution::Delivered(_)) => {}
            }
            if before.is_some() {
                let places = places.get_or_insert_with(|| state.places());
                state.link(&mut entry, places);
            }
            state.entries.push(entry);
        }
        first
    }

    /// Counts calls that other processes deliver.
    pub fn add_elsewhere(&self, calls: usize) {
        let mut state = self.state();
        state.calls += calls;
        state.open += calls;
        state.elsewhere += calls;
    }

    /// Leaves a waiting delivery to another process. Its entry stays until
    /// [`ExecutionLog::end_elsewhere`].
    pub fn leave(&self) {
        self.state().elsewhere += 1;
    }

    /// Forgets a delivery that another process recorded and that yet another one delivers. Returns
    /// `true` if this process delivers nothing more of the execution.
    pub fn give_up(&self) -> bool {
        let mut state = self.state();
        state.open -= 1;
        state.calls -= 1;
        state.open == 0
    }

    /// Adds the terminal deliveries of other processes, which finish the execution. Returns `true` if
    /// it is finished.
    pub fn end_elsewhere(&self, entries: Vec<Entry>) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        for entry in entries {
            let known = state.entries.iter_mut().find(|known| known.id == entry.id);
            if known.as_ref().is_some_and(|known| known.status.is_terminal()) {
                continue;
            }
            match entry.status {
                Status::Delivered => state.tally.delivered += 1,
                Status::Failed => state.tally.failed += 1,
                _ => state.tally.discarded += 1,
            }
            match known {
                Some(known) => *known = entry,
                None => state.entries.push(entry),
            }
        }
        state.open -= state.elsewhere.min(state.open);
        state.elsewhere = 0;
        self.tell(state)
    }

    /// Adds a waiting delivery that the journal brings back: the tally that it was restored with does
    /// not count its call. Returns its place.
    pub fn bring_back(&self, mut entry: Entry) -> usize {
        let mut state = self.state();
        let is_resolved =
            entry.call_state.as_ref().is_some_and(|state| state.resolved_by.is_some());
        state.calls += usize::from(!is_resolved);
        state.open += 1;
        if let Some(base) = entry.replay_of() {
            let place = state.entries.iter().position(|entry| entry.id == base);
            let places = place.map(|place| (base, place)).into_iter().collect();
            state.link(&mut entry, &places);
        }
        state.entries.push(entry);
        state.entries.len() - 1
    }

    /// Returns `true` if another process, or an earlier one, recorded it.
    #[must_use]
    pub const fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// Takes a call back that was counted as another process's. Returns its place.
    pub fn return_here(&self, entry: Entry) -> usize {
        let mut state = self.state();
        state.elsewhere = state.elsewhere.saturating_sub(1);
        if let Some(place) = state.entries.iter().position(|known| known.id == entry.id) {
            state.entries[place] = entry;
            return place;
        }
        state.entries.push(entry);
        state.entries.len() - 1
    }

    /// Returns the id of the call that a delivery belongs to.
    pub fn call_of(&self, place: usize) -> Uuid {
        self.state().entries[place].call()
    }

    /// Dismisses a dead letter.
    pub fn dismiss(&self, id: Uuid, at: Timestamp) {
        let mut state = self.state();
        state.tally.failed = state.tally.failed.saturating_sub(1);
        state.tally.dismissed += 1;
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.id == id) {
            entry.call_state.get_or_insert_default().dismissed_at = Some(at);
        }
    }

    /// Adds discarded calls, keeping as much of them as `budget` allows. Returns the place of each,
    /// and the bytes that it adds to the log.
    pub fn add_discarded(
        &self,
        entries: impl Iterator<Item = Entry>,
        budget: LogBudget,
    ) -> Vec<(usize, usize)> {
        let mut state = self.state();
        let mut added = Vec::new();
        for mut entry in entries {
            if budget == LogBudget::HeadersOnly {
                entry.strip();
            }
            let bytes = entry.size();
            added.push((state.entries.len(), bytes));
            state.bytes += bytes;
            state.tally.discarded += 1;
            state.calls += 1;
            state.entries.push(entry);
        }
        added
    }

    /// Marks the beginning of an attempt.
    pub fn start(&self, place: usize) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.status = Status::InFlight;
        entry.attempts += 1;
        if let Some(waiting) = &mut entry.waiting {
            waiting.next_attempt_at = None;
        }
    }

    /// Marks that a delivery is in a batch.
    pub fn join(&self, place: usize) {
        self.state().entries[place].status = Status::Batched;
    }

    /// Notes the batch that a delivery is in by its due time.
    pub fn join_batch(&self, place: usize, due: &Arc<BatchDue>) {
        self.state().entries[place].batch = Some(Arc::clone(due));
    }

    /// Takes note of the attempts that were made for a delivery together with others.
    pub fn count_attempts(&self, place: usize, attempts: u32) {
        self.state().entries[place].attempts = attempts;
    }

    /// Adds an attempt to those that a delivery keeps.
    pub fn note_attempt(&self, place: usize, made: &MadeAttempt<'_>) {
        self.state().entries[place].attempt_log.get_or_insert_default().push(made);
    }

    /// Notes that a delivery waits for another attempt, and why.
    pub fn postpone(&self, place: usize, attempts: u32, note: String, waiting: Waiting) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.status = Status::Pending;
        entry.attempts = attempts;
        entry.warnings.push(note);
        entry.waiting = Some(Box::new(waiting));
    }

    /// Notes that a delivery waits for another attempt together with others. The note replaces that of
    /// the attempt before: their number has no limit.
    pub fn delay(&self, place: usize, attempts: u32, note: String, waiting: Waiting) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.attempts = attempts;
        if entry.waiting.is_some() {
            entry.warnings.pop();
        }
        entry.warnings.push(note);
        entry.waiting = Some(Box::new(waiting));
    }

    /// Notes the end of a delivery whose batch is still open: it waits for no attempt of its own.
    pub fn end_within_batch(&self, place: usize, attempts: u32, failure: Option<&Failure>) {
        let mut state = self.state();
        let entry = &mut state.entries[place];
        entry.attempts = attempts;
        entry.waiting = failure.map(|failure| {
            let last_error = Some(Arc::new(failure.clone()));
            Box::new(Waiting { last_error, next_attempt_at: None })
        });
    }

    /// Ends a delivery, keeping as much of its bodies as `budget` allows.
    pub fn settle(&self, place: usize, settlement: Settlement, budget: LogBudget) -> Settled {
        let mut state = self.state();
        let state = &mut *state;
        let entry = &mut state.entries[place];
        entry.settle(settlement, Timestamp::now());
        if budget == LogBudget::HeadersOnly {
            entry.strip();
        }
        let kept = entry.size();
        state.bytes += kept;
        state.count_end(place);
        Settled { kept, finished: self.tell(state) }
    }

    /// Completes the execution, with the runner's error and message. Only the first end counts.
    pub fn complete(&self, error: Option<String>, message: Option<String>) -> bool {
        self.end(ExecutionEnd { at: Timestamp::now(), error, message, discarded: false })
    }

    /// Ends the execution, whose calls were dropped. Only the first end counts.
    pub fn discard(&self) -> bool {
        let at = Timestamp::now();
        self.end(ExecutionEnd { at, error: None, message: None, discarded: true })
    }

    fn end(&self, end: ExecutionEnd) -> bool {
        let mut state = self.state();
        state.completion.get_or_insert(end);
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

    /// Gives the place among the finished executions back.
    pub(super) fn release(&self) {
        self.retained.store(false, Ordering::Relaxed);
    }

    fn tell(&self, state: &ExecutionState) -> bool {
        let finished = state.is_finished();
        if finished {
            self.finished.notify_waiters();
        }
        finished
    }
}
