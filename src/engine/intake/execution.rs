//! One run of one workflow: records calls, and hands them over when the runner says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use super::commit::{CountedCalls, append_counted, assign_lanes};
use super::follow_up::publish_error;
use super::outbox::Outbox;
use crate::delivery::{CALL_BYTES, Failure, Kind};
use crate::engine::Engine;
use crate::engine::shared::{PendingGuard, SharedParts};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{Entry, ExecutionInfo, ExecutionLog, Trace, entries_json};
use crate::id::id_seed;
use crate::journal::{Commit, Completion, Lane};
use crate::recording::{Calls, Extra, Item, Recording, StepId};
use crate::time::Timestamp;

/// The buffer of one run.
#[derive(Debug)]
pub struct Execution {
    engine: Arc<Engine>,
    log: Arc<ExecutionLog>,
    seed: u64,
    recording: Mutex<Recording>,
    whole: Notify,
    pub(super) outbox: Outbox,
    end_notes: Mutex<EndNotes>,
}

/// A commit that was begun.
pub enum Handover {
    /// Committed; contains the number of calls.
    Committed(usize),
    /// Resolves when the commit is durable.
    Committing(Pin<Box<dyn Future<Output = Result<Receipt>> + Send>>),
}

/// The receipt of the completion hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The execution.
    pub execution_id: String,
    /// Calls handed over by this hook.
    pub recorded: usize,
    /// `true` if they survive the end of the process.
    pub durable: bool,
}

/// The options of an execution.
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
    /// The cause of the run, as the runner names it.
    pub trigger: Option<Box<str>>,
}

/// The runner's notes on the end of an execution.
#[derive(Debug, Default)]
struct EndNotes {
    /// JSON of what is known of the error.
    error_details: Option<String>,
    /// The text for the log.
    message: Option<String>,
}

impl Execution {
    /// Begins an execution.
    pub(crate) fn begin(engine: &Arc<Engine>, run: Run) -> Result<Arc<Self>> {
        engine.shared.stage.check_open()?;
        let Run { workflow_id, execution_id, attempt, emit_depth, trace, trigger } = run;
        let random = uuid::Uuid::now_v7();
        let execution_id = execution_id.unwrap_or_else(|| random.to_string());
        let log = Arc::new(ExecutionLog::new(ExecutionInfo {
            execution_id: execution_id.into(),
            workflow_id: workflow_id.into(),
            attempt,
            started_at: Timestamp::recent(),
            emit_depth,
            trace: trace.map(Box::new),
            trigger,
        }));
        let execution = Arc::new(Self {
            engine: Arc::clone(engine),
            seed: id_seed(log.serial(), random.as_u64_pair().1),
            recording: Mutex::default(),
            whole: Notify::new(),
            outbox: Outbox::default(),
            end_notes: Mutex::default(),
            log,
        });
        engine.intake.add(&execution);
        execution.shared().observers.changes.note_execution(&execution.log.info.execution_id);
        Ok(execution)
    }

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

    /// Records a call with the parts that are not in its text. Returns its index.
    pub fn record(
        &self,
        kind: Kind,
        step: StepId,
        text: Vec<u8>,
        extra: Option<Box<Extra>>,
    ) -> Result<u32> {
        // Of an execution that is over it does not matter whether the engine is.
        let is_open = self.shared().stage.check_open();
        is_open.map_err(|closed| self.check_open().err().unwrap_or(closed))?;
        let body = extra.as_ref().and_then(|extra| extra.body.as_ref());
        let bytes = text.len() + body.map_or(0, |body| body.bytes.len());
        self.check_size(kind, bytes)?;
        let reserved = self.shared().budget.reserve(bytes + CALL_BYTES)?;
        let index = self.recording().push(kind, step, text, extra)?;
        reserved.keep();
        Ok(index)
    }

    /// Brings the body of a call that was recorded without it. `Err`: why it could not be read.
    pub fn fill(&self, index: u32, body: std::result::Result<Bytes, String>) {
        let body = body.map_err(|reason| {
            let message = format!("the body of the call could not be read: {reason}");
            Failure::new(ErrorKind::InvalidArgument, message)
        });
        let size = body.as_ref().map_or(0, Bytes::len);
        let fits = self.check_size(Kind::Http, size);
        let (reserved, refused) = match fits.and_then(|()| self.shared().budget.reserve(size)) {
            Ok(reserved) => (Some(reserved), None),
            Err(error) => (None, Some(Failure::new(error.kind(), error.to_string()))),
        };
        let body = body.and_then(|bytes| refused.map_or(Ok(bytes), Err));
        let is_filled = self.recording().fill(index, body);
        if let Some(reserved) = reserved.filter(|_| is_filled) {
            reserved.keep();
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
        self.shared().stage.check_open()?;
        self.recording().complete()?;
        self.engine.intake.remove(self);
        let message = self.end_notes().message.take();
        Ok(self.hand_over(Completion::Completed { error, message }))
    }

    /// Hands over what is recorded so far; the execution goes on.
    pub fn flush(self: &Arc<Self>) -> Result<Handover> {
        self.shared().stage.check_open()?;
        self.check_open()?;
        Ok(self.hand_over(Completion::Continues))
    }

    /// Drops the recorded calls, which the log keeps as discarded. Returns their number.
    pub fn discard(&self) -> Result<usize> {
        let calls = self.recording().discard()?;
        Ok(self.discard_calls(calls, Completion::Discarded))
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
                () = self.shared().stage.ended() => self.closed_early(),
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
        let render = |kind, payload: &_| self.shared().destinations.of(kind).describe(payload);
        Ok(entries_json(&self.log.info, &order, &render))
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
    pub(crate) fn recorded(&self) -> Vec<Entry> {
        self.recording().entries(self.seed)
    }

    /// Calls in the open buffer.
    pub(crate) fn recorded_count(&self) -> usize {
        self.recording().len()
    }

    /// From here on the commit counts as pending, so that `engine.flush()` waits for it.
    ///
    /// A journal in memory keeps what is on its way to it as well as what is in it: the hook's
    /// promise is kept at once, unless bodies are still to come.
    fn hand_over(self: &Arc<Self>, completion: Completion) -> Handover {
        let work = self.shared().begin_work();
        let mut recording = self.recording();
        if !recording.is_whole() {
            drop(recording);
            return Handover::Committing(Box::pin(
                Arc::clone(self).hand_over_later(completion, work),
            ));
        }
        let calls = recording.take();
        let recorded = calls.len();
        let committed = self.enqueue_commit(calls, completion);
        drop(recording);
        // Without a guard a query is running already, for what was before this.
        let guard = self.engine.intake.begin_commit();
        if self.shared().journal.is_durable() {
            let receipt = self.receipt(recorded);
            return Handover::Committing(Box::pin(async move {
                let committed = committed.await;
                drop((guard, work));
                committed.map(|()| receipt)
            }));
        }
        self.shared().tasks.runtime.spawn(async move {
            // The journal in memory refuses nothing.
            let _ = committed.await;
            drop((guard, work));
        });
        Handover::Committed(recorded)
    }

    async fn hand_over_later(
        self: Arc<Self>,
        completion: Completion,
        work: PendingGuard,
    ) -> Result<Receipt> {
        self.wait_for_bodies().await;
        let (receipt, committed) = {
            let mut recording = self.recording();
            let calls = recording.take();
            (self.receipt(calls.len()), self.enqueue_commit(calls, completion))
        };
        let committed = committed.await;
        drop(work);
        committed.map(|()| receipt)
    }

    fn receipt(&self, recorded: usize) -> Receipt {
        let execution_id = self.log.info.execution_id.to_string();
        Receipt { execution_id, recorded, durable: self.shared().journal.is_durable() }
    }

    pub(super) async fn commit(
        self: &Arc<Self>,
        calls: Calls,
        completion: Completion,
        counted: CountedCalls,
    ) -> Result<()> {
        let lanes = &self.engine.lanes;
        let error = match &completion {
            Completion::Completed { error, .. } => error.clone(),
            Completion::Continues | Completion::Discarded | Completion::Over => None,
        };
        let commit = Commit {
            execution: Arc::clone(&self.log),
            seed: self.seed,
            items: assign_lanes(&self.shared().destinations, calls, &self.log.info.workflow_id),
            completion,
            forwards: None,
        };
        if let Err(refusal) = append_counted(lanes, commit, counted).await {
            self.restore_after_refusal(refusal.commit, &refusal.error);
            return Err(refusal.error);
        }
        if let Some(error) = error {
            let details = self.end_notes().error_details.take();
            publish_error(lanes, &self.log.info, &error, details.as_deref()).await;
        }
        Ok(())
    }

    /// After a refusal the calls are recorded as before, and the hook can fire again. What waits behind is
    /// refused as well: it would overtake them.
    fn restore_after_refusal(self: &Arc<Self>, commit: Commit, error: &Error) {
        let mut recording = self.recording();
        let mut items: Vec<Item> = commit.items.into_iter().map(|(_, item)| item).collect();
        let mut ended = commit.completion != Completion::Continues;
        for (calls, completion) in self.outbox.refuse_all(error) {
            ended |= completion != Completion::Continues;
            items.extend(calls.into_items());
        }
        recording.restore(items);
        drop(recording);
        if ended {
            self.engine.intake.add(self);
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

    /// Logs calls as discarded in the background. Returns their number.
    fn discard_calls(&self, calls: Calls, completion: Completion) -> usize {
        let count = calls.len();
        self.engine.intake.remove(self);
        let work = self.shared().begin_work();
        let counted = CountedCalls::new(self.shared(), count, &completion);
        let (execution, seed) = (Arc::clone(&self.log), self.seed);
        let lanes = Arc::clone(&self.engine.lanes);
        self.shared().tasks.runtime.spawn(async move {
            let lane = |item: &Item| Lane { kind: item.kind, key: "".into() };
            let items: Vec<_> = calls.into_items().map(|item| (lane(&item), item)).collect();
            let bytes = items.iter().map(|(_, item)| item.payload.cost()).sum();
            lanes.shared.budget.release(bytes);
            // Nothing was promised about discarded calls, so a journal that refuses them loses
            // a line of the log and no more.
            let commit = Commit { execution, seed, items, completion, forwards: None };
            let _ = append_counted(&lanes, commit, counted).await;
            drop(work);
        });
        count
    }

    /// Keeps what is known of the error that the execution will be completed with, for the events of
    /// `$errors`.
    pub fn describe_error(&self, details: String) {
        self.end_notes().error_details = Some(details);
    }

    /// Keeps the text that the execution will be completed with.
    pub fn describe_end(&self, message: String) {
        self.end_notes().message = Some(message);
    }

    /// Logs a call that was made after the end as discarded.
    ///
    /// # Errors
    /// `ExecutionCompleted` when the log has enough of such calls, `Closed`, `PayloadTooLarge`,
    /// `JournalFull`.
    pub fn log_late(&self, kind: Kind, step: StepId, text: Vec<u8>) -> Result<()> {
        let bytes = text.len();
        self.shared().stage.check_open()?;
        self.check_size(kind, bytes)?;
        let reserved = self.shared().budget.reserve(bytes + CALL_BYTES)?;
        let late = self.recording().late(kind, step, text)?;
        reserved.keep();
        self.discard_calls(late, Completion::Over);
        Ok(())
    }

    fn check_size(&self, kind: Kind, bytes: usize) -> Result<()> {
        let limit = self.shared().config.max_payload_bytes;
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

    fn end_notes(&self) -> MutexGuard<'_, EndNotes> {
        self.end_notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shared(&self) -> &Arc<SharedParts> {
        &self.engine.shared
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Execution {
    /// An execution that nobody can complete any more is discarded, and said so.
    fn drop(&mut self) {
        let recording = self.recording.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Ok(calls) = recording.discard() else { return };
        let execution_id = Arc::clone(&self.log.info.execution_id);
        let count = self.discard_calls(calls, Completion::Discarded);
        // The end of the engine has warned of it.
        if count == 0 || self.shared().stage.is_closed() {
            return;
        }
        let message = format!(
            "execution {execution_id} of workflow {} was dropped without complete() or discard(): \
             {count} recorded calls are discarded",
            self.log.info.workflow_id
        );
        self.shared().observers.warn("EXECUTION_DROPPED", &message, Some(&execution_id));
    }
}
