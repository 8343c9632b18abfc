//! One run of one workflow: records calls, and hands them over when the runner says so.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};

use super::Engine;
use crate::destinations::{Failure, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Commit, Completion, Journal, Lane};
use crate::observability::events::{Topic, Warning};
use crate::observability::log::{
    DeliveryView, Entry, ExecutionInfo, ExecutionLog, ExecutionView, Trace,
};
use crate::observability::time::Timestamp;
use crate::recording::{Calls, Extra, Item, Recording, StepId, id_seed};

/// The buffer of one run.
#[derive(Debug)]
pub struct Execution {
    engine: Arc<Engine>,
    log: Arc<ExecutionLog>,
    seed: u64,
    recording: Mutex<Recording>,
    whole: Notify,
    /// Hand-overs on their way to the journal, in order, and whose turn it is to append one.
    outbox: Mutex<VecDeque<Outgoing>>,
    turn: tokio::sync::Mutex<()>,
}

/// A hand-over on its way to the journal, and who wants to know what became of it.
#[derive(Debug)]
struct Outgoing {
    calls: Calls,
    completion: Completion,
    done: oneshot::Sender<Result<()>>,
}

/// Work that the engine waits for, from its beginning to wherever it is dropped.
pub(super) struct Work(Arc<Engine>);

impl Work {
    /// Begins work.
    pub(super) fn begin(engine: &Arc<Engine>) -> Self {
        engine.begin(1);
        Self(Arc::clone(engine))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.end(1);
    }
}

/// A hand-over that was begun.
pub enum Handover {
    /// The journal's promise is kept, for this many calls.
    Done(usize),
    /// It will be when this is over.
    Awaiting(Pin<Box<dyn Future<Output = Result<Receipt>> + Send>>),
}

/// What the completion hook answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The execution.
    pub execution_id: String,
    /// Calls handed over by this hook.
    pub recorded: usize,
    /// Whether they survive the end of the process.
    pub durable: bool,
}

/// What an execution is begun with.
#[derive(Debug)]
pub struct Run {
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id; generated when absent.
    pub execution_id: Option<String>,
    /// Which attempt of the run this is, from 1.
    pub attempt: u32,
    /// How many emitted events led to it.
    pub emit_depth: u32,
    /// The trace that it belongs to.
    pub trace: Option<Trace>,
}

impl Engine {
    /// Begins an execution.
    pub fn execution(self: &Arc<Self>, run: Run) -> Result<Arc<Execution>> {
        self.check_open()?;
        let Run { workflow_id, execution_id, attempt, emit_depth, trace } = run;
        let random = uuid::Uuid::now_v7();
        let execution_id = execution_id.unwrap_or_else(|| random.to_string());
        let log = Arc::new(ExecutionLog::new(ExecutionInfo {
            execution_id: execution_id.into(),
            workflow_id: workflow_id.into(),
            attempt,
            started_at: Timestamp::recent(),
            emit_depth,
            trace: trace.map(Box::new),
        }));
        let execution = Arc::new(Execution {
            engine: Arc::clone(self),
            seed: id_seed(log.serial(), random.as_u64_pair().1),
            recording: Mutex::default(),
            whole: Notify::new(),
            outbox: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            log,
        });
        self.running().insert(execution.log.serial(), Arc::downgrade(&execution));
        Ok(execution)
    }
}

impl Execution {
    /// The execution's log.
    #[must_use]
    pub const fn log(&self) -> &Arc<ExecutionLog> {
        &self.log
    }

    /// The engine it belongs to.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Begins a step.
    pub fn step(&self, name: &str) -> Result<StepId> {
        self.recording().step(name)
    }

    /// Records a call, with what it has beside its text; the answer is its index.
    pub fn record(
        &self,
        kind: Kind,
        step: StepId,
        text: Vec<u8>,
        extra: Option<Box<Extra>>,
    ) -> Result<u32> {
        self.engine.check_open()?;
        let body = extra.as_ref().and_then(|extra| extra.body.as_ref());
        let bytes = text.len() + body.map_or(0, |body| body.bytes.len());
        self.check_size(kind, bytes)?;
        self.engine.reserve(bytes)?;
        let index = self.recording().push(kind, step, text, extra);
        if index.is_err() {
            self.engine.release(bytes);
        }
        index
    }

    /// Brings the body of a call that was recorded without it. `Err`: why it could not be read.
    pub fn fill(&self, index: u32, body: std::result::Result<Bytes, String>) {
        let body = body.map_err(|reason| {
            let message = format!("the body of the call could not be read: {reason}");
            Failure::new(ErrorKind::InvalidArgument, message)
        });
        let size = body.as_ref().map_or(0, Bytes::len);
        let fits = self.check_size(Kind::Http, size).and_then(|()| self.engine.reserve(size));
        let reserved = if fits.is_ok() { size } else { 0 };
        let body = body.and_then(|bytes| {
            fits.map(|()| bytes).map_err(|error| Failure::new(error.kind(), error.to_string()))
        });
        if !self.recording().fill(index, body) {
            self.engine.release(reserved);
        }
        self.whole.notify_waiters();
    }

    /// Nobody is left who could bring a body: calls that wait for one fail, the others go on.
    pub fn give_up_bodies(&self) {
        self.recording().give_up_bodies();
        self.whole.notify_waiters();
    }

    /// Refuses an execution that is over.
    pub fn check_open(&self) -> Result<()> {
        self.recording().check_open()
    }

    /// The completion hook: seals the buffer at once and hands it over in the background.
    pub fn complete(self: &Arc<Self>, error: Option<String>) -> Result<Handover> {
        self.engine.check_open()?;
        self.recording().complete()?;
        self.engine.running().remove(&self.log.serial());
        Ok(self.hand_over(Completion::Completed { error }))
    }

    /// Hands over what is recorded so far; the execution goes on.
    pub fn flush(self: &Arc<Self>) -> Result<Handover> {
        self.engine.check_open()?;
        self.check_open()?;
        Ok(self.hand_over(Completion::Continues))
    }

    /// Drops what is recorded; the log keeps it as discarded. The answer is how many calls it was.
    pub fn discard(&self) -> Result<usize> {
        let calls = self.recording().discard()?;
        Ok(self.write_off(calls))
    }

    /// Waits until the execution is over and every delivery is terminal. Returns the JSON array of
    /// the deliveries in call order.
    ///
    /// # Errors
    /// `Timeout`, and `Closed` when the engine closes before that.
    pub async fn settled(&self, timeout: Option<Duration>) -> Result<String> {
        let wait = async {
            tokio::select! {
                biased;
                () = self.log.wait() => Ok(()),
                () = self.engine.ended() => self.closed_early(),
            }
        };
        match timeout {
            None => wait.await?,
            Some(limit) => tokio::time::timeout(limit, wait).await.map_err(|_| {
                let open = self.log.state().open();
                Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "after {} ms {open} deliveries of execution {} are not terminal{}",
                        limit.as_millis(),
                        self.log.info.execution_id,
                        if self.recording().is_open() { " and it is not completed" } else { "" },
                    ),
                )
            })??,
        }
        let state = self.log.state();
        let mut order: Vec<&Entry> = state.entries.iter().collect();
        order.sort_by_key(|entry| entry.index);
        let render = |kind, payload: &_| self.engine.destinations.describe(kind, payload);
        let views: Vec<_> = order
            .into_iter()
            .map(|entry| DeliveryView::new(&self.log.info, entry, &render))
            .collect();
        Ok(serde_json::to_string(&views).unwrap_or_else(|_| "[]".to_owned()))
    }

    fn closed_early(&self) -> Result<()> {
        let state = self.log.state();
        if state.is_finished() {
            return Ok(());
        }
        let message = format!(
            "the engine closed while {} deliveries of execution {} were not terminal",
            state.open(),
            self.log.info.execution_id,
        );
        Err(Error::new(ErrorKind::Closed, message))
    }

    /// The log's entries of the calls in the open buffer.
    pub(super) fn recorded(&self) -> Vec<Entry> {
        self.recording().entries(self.seed)
    }

    /// Calls in the open buffer.
    pub(super) fn recorded_count(&self) -> usize {
        self.recording().len()
    }

    /// From here on the hand-over counts as pending, so that `engine.flush()` waits for it.
    ///
    /// A journal in memory keeps what is on its way to it as well as what is in it: the hook's
    /// promise is kept at once, unless bodies are still to come.
    fn hand_over(self: &Arc<Self>, completion: Completion) -> Handover {
        let work = Work::begin(&self.engine);
        let mut recording = self.recording();
        if !recording.is_whole() {
            drop(recording);
            return Handover::Awaiting(Box::pin(
                Arc::clone(self).hand_over_later(completion, work),
            ));
        }
        let calls = recording.take();
        drop(recording);
        let recorded = calls.len();
        let handed = self.send_off(calls, completion);
        // Without a guard somebody is looking already, at what was before this.
        let guard = Arc::clone(&self.engine.appending).try_read_owned().ok();
        if self.engine.journal.is_durable() {
            let receipt = self.receipt(recorded);
            return Handover::Awaiting(Box::pin(async move {
                let handed = handed.await;
                drop((guard, work));
                handed.map(|()| receipt)
            }));
        }
        self.engine.runtime.spawn(async move {
            // The journal in memory refuses nothing.
            let _ = handed.await;
            drop((guard, work));
        });
        Handover::Done(recorded)
    }

    async fn hand_over_later(
        self: Arc<Self>,
        completion: Completion,
        work: Work,
    ) -> Result<Receipt> {
        self.wait_for_bodies().await;
        let calls = self.recording().take();
        let receipt = self.receipt(calls.len());
        let handed = self.send_off(calls, completion).await;
        drop(work);
        handed.map(|()| receipt)
    }

    /// Puts a hand-over behind those before it; the answer resolves when the journal has it. Each
    /// hand-over appends the oldest one, whosever it is, so that a flush is never overtaken by the
    /// completion after it.
    fn send_off(
        self: &Arc<Self>,
        calls: Calls,
        completion: Completion,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        self.outbox().push_back(Outgoing { calls, completion, done });
        let execution = Arc::clone(self);
        async move {
            let turn = execution.turn.lock().await;
            let next = execution.outbox().pop_front();
            if let Some(Outgoing { calls, completion, done }) = next {
                // Its owner waits below, unless it was dropped with its engine.
                let _ = done.send(execution.append(calls, completion).await);
            }
            drop(turn);
            outcome.await.unwrap_or_else(|_| Err(super::closed()))
        }
    }

    fn receipt(&self, recorded: usize) -> Receipt {
        let execution_id = self.log.info.execution_id.to_string();
        Receipt { execution_id, recorded, durable: self.engine.journal.is_durable() }
    }

    async fn append(self: &Arc<Self>, calls: Calls, completion: Completion) -> Result<()> {
        let engine = &self.engine;
        let count = calls.len();
        engine.begin(count);
        engine.counters.recorded.fetch_add(count as u64, Ordering::Relaxed);
        let ends = completion != Completion::Continues;
        let error = match &completion {
            Completion::Completed { error } => error.clone(),
            _ => None,
        };
        let commit = Commit {
            execution: Arc::clone(&self.log),
            seed: self.seed,
            items: with_lanes(engine, calls),
            completion,
        };
        let appended = engine.journal.append(commit).await;
        if let (Ok(_), Some(error)) = (&appended, error) {
            engine.publish_error(&self.log.info, &error).await;
        }
        match appended {
            Ok(_) if engine.cut_off.load(Ordering::Acquire) => {
                engine.give_up_waiting();
                Ok(())
            }
            Ok(lanes) => {
                engine.wake(lanes);
                if ends && count == 0 {
                    engine.tell_if_finished(&self.log);
                }
                Ok(())
            }
            Err(refusal) => {
                engine.counters.recorded.fetch_sub(count as u64, Ordering::Relaxed);
                engine.end(count);
                self.take_back(refusal.commit);
                Err(refusal.error)
            }
        }
    }

    /// After a refusal the calls are recorded as before, and the hook can fire again.
    fn take_back(self: &Arc<Self>, commit: Commit) {
        let ended = commit.completion != Completion::Continues;
        self.recording().restore(commit.items.into_iter().map(|(_, item)| item).collect());
        if ended {
            self.engine.running().insert(self.log.serial(), Arc::downgrade(self));
        }
    }

    async fn wait_for_bodies(&self) {
        loop {
            let arrival = self.whole.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.recording().is_whole() {
                return;
            }
            arrival.await;
        }
    }

    fn write_off(&self, calls: Calls) -> usize {
        let count = calls.len();
        let engine = Arc::clone(&self.engine);
        engine.running().remove(&self.log.serial());
        let work = Work::begin(&engine);
        let (execution, seed) = (Arc::clone(&self.log), self.seed);
        engine.runtime.clone().spawn(async move {
            let lane = |item: &Item| Lane { kind: item.kind, key: "".into() };
            let items: Vec<_> = calls.into_items().map(|item| (lane(&item), item)).collect();
            engine.release(items.iter().map(|(_, item)| item.payload.len()).sum());
            let count = items.len() as u64;
            engine.counters.recorded.fetch_add(count, Ordering::Relaxed);
            engine.counters.discarded.fetch_add(count, Ordering::Relaxed);
            let completion = Completion::Discarded;
            let commit = Commit { execution: Arc::clone(&execution), seed, items, completion };
            // Nothing was promised about discarded calls, so a journal that refuses them loses
            // a line of the log and no more.
            let _ = engine.journal.append(commit).await;
            engine.tell_if_finished(&execution);
            drop(work);
        });
        count
    }

    fn check_size(&self, kind: Kind, bytes: usize) -> Result<()> {
        let limit = self.engine.config.max_payload_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PayloadTooLarge,
            format!(
                "$send.{}: the call has {bytes} bytes and maxPayloadBytes is {limit}. Send less, \
                 or raise the limit in Engine.open()",
                kind.name()
            ),
        ))
    }

    fn outbox(&self) -> MutexGuard<'_, VecDeque<Outgoing>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    pub(super) fn tell_if_finished(&self, execution: &Arc<ExecutionLog>) {
        let state = execution.state();
        if state.is_finished() {
            self.events.emit(Topic::Execution, || ExecutionView::new(execution, &state, 0));
        }
    }
}

impl Drop for Execution {
    /// An execution that nobody can complete any more is discarded, and said so.
    fn drop(&mut self) {
        let recording = self.recording.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Ok(calls) = recording.discard() else { return };
        let execution_id = Arc::clone(&self.log.info.execution_id);
        let count = self.write_off(calls);
        if count == 0 {
            return;
        }
        let message = format!(
            "execution {execution_id} was dropped without complete() or discard(): {count} \
             recorded calls are discarded"
        );
        self.engine.events.emit(Topic::Warning, || Warning {
            code: "EXECUTION_DROPPED",
            message: &message,
            execution_id: Some(&execution_id),
        });
    }
}

fn with_lanes(engine: &Engine, calls: Calls) -> Vec<(Lane, Item)> {
    let mut placed: Vec<(Lane, Item)> = Vec::with_capacity(calls.len());
    for item in calls.into_items() {
        let before = placed.last().map(|(lane, _)| lane);
        placed.push((engine.lane_of(&item, before), item));
    }
    placed
}
