//! One run of one workflow: records calls, and hands them over when the runner says so.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use super::{Engine, recorded_entries};
use crate::destinations::{Kind, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Commit, Completion, Journal, Lane};
use crate::observability::events::{Topic, Warning};
use crate::observability::log::{DeliveryView, Entry, ExecutionInfo, ExecutionLog, ExecutionView};
use crate::observability::time::Timestamp;
use crate::recording::{BodyArrival, Item, Recording};

/// The buffer of one run.
#[derive(Debug)]
pub struct Execution {
    engine: Arc<Engine>,
    log: Arc<ExecutionLog>,
    seed: u64,
    recording: Mutex<Recording>,
    whole: Notify,
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

impl Engine {
    /// Begins an execution. Ids are generated when absent.
    pub fn execution(
        self: &Arc<Self>,
        workflow_id: String,
        execution_id: Option<String>,
        attempt: u32,
    ) -> Result<Arc<Execution>> {
        self.check_open()?;
        let random = uuid::Uuid::now_v7();
        let execution_id = execution_id.unwrap_or_else(|| random.to_string());
        let log = Arc::new(ExecutionLog::new(ExecutionInfo {
            execution_id: execution_id.into(),
            workflow_id: workflow_id.into(),
            attempt,
            started_at: Timestamp::now(),
        }));
        let execution = Arc::new(Execution {
            engine: Arc::clone(self),
            seed: random.as_u64_pair().1,
            recording: Mutex::default(),
            whole: Notify::new(),
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

    /// Records a call; the answer is its index.
    pub fn record(
        &self,
        kind: Kind,
        step: &Arc<str>,
        payload: Payload,
        warnings: Vec<String>,
        body: BodyArrival,
    ) -> Result<u32> {
        let bytes = payload.len();
        self.check_size(kind, bytes)?;
        self.engine.reserve(bytes)?;
        let index = self.recording().push(kind, step, payload, warnings, body);
        match index {
            Ok(_) => self.engine.counters.recorded.fetch_add(1, Ordering::Relaxed),
            Err(_) => {
                self.engine.release(bytes);
                0
            }
        };
        index
    }

    /// Brings the body of a call that was recorded without it.
    pub fn fill(&self, index: u32, body: std::result::Result<Bytes, String>) {
        let body = body.and_then(|bytes| {
            let fits = self.check_size(Kind::Http, bytes.len());
            let fits = fits.and_then(|()| self.engine.reserve(bytes.len()));
            fits.map(|()| bytes).map_err(|refusal| refusal.to_string())
        });
        self.recording().fill(index, body);
        self.whole.notify_waiters();
    }

    /// Refuses an execution that is over.
    pub fn check_open(&self) -> Result<()> {
        self.recording().check_open()
    }

    /// The completion hook: seals the buffer at once and hands it over in the background.
    pub fn complete(
        self: &Arc<Self>,
        error: Option<String>,
    ) -> Result<impl Future<Output = Result<Receipt>> + Send + 'static> {
        self.engine.check_open()?;
        self.recording().complete()?;
        self.engine.running().remove(&self.log.serial());
        Ok(self.hand_over(Completion::Completed { error }))
    }

    /// Hands over what is recorded so far; the execution goes on.
    pub fn flush(
        self: &Arc<Self>,
    ) -> Result<impl Future<Output = Result<Receipt>> + Send + 'static> {
        self.engine.check_open()?;
        self.check_open()?;
        Ok(self.hand_over(Completion::Continues))
    }

    /// Drops what is recorded; the log keeps it as discarded. The answer is how many calls it was.
    pub fn discard(&self) -> Result<usize> {
        let items = self.recording().discard()?;
        Ok(self.write_off(items))
    }

    /// Waits until the execution is over and every delivery is terminal; the answer is the JSON
    /// array of the deliveries in call order.
    pub async fn settled(&self, timeout: Option<Duration>) -> Result<String> {
        let wait = self.log.wait();
        match timeout {
            None => wait.await,
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
            })?,
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

    /// The log's entries of the calls in the open buffer.
    pub(super) fn recorded(&self) -> Vec<Entry> {
        recorded_entries(self.recording().items(), self.seed)
    }

    /// Calls in the open buffer.
    pub(super) fn recorded_count(&self) -> usize {
        self.recording().items().len()
    }

    /// From here on the hand-over counts as pending, so that `engine.flush()` waits for it.
    fn hand_over(
        self: &Arc<Self>,
        completion: Completion,
    ) -> impl Future<Output = Result<Receipt>> + Send + 'static {
        self.engine.begin(1);
        let execution = Arc::clone(self);
        async move {
            execution.wait_for_bodies().await;
            let items = execution.recording().take();
            let recorded = items.len();
            let handed = execution.append(items, completion).await;
            execution.engine.end(1);
            handed?;
            Ok(Receipt {
                execution_id: execution.log.info.execution_id.to_string(),
                recorded,
                durable: false,
            })
        }
    }

    async fn append(self: &Arc<Self>, items: Vec<Item>, completion: Completion) -> Result<()> {
        let engine = &self.engine;
        let count = items.len();
        engine.begin(count);
        let ends = completion != Completion::Continues;
        let commit = Commit {
            execution: Arc::clone(&self.log),
            seed: self.seed,
            items: with_lanes(engine, items),
            completion,
        };
        match engine.journal.append(commit).await {
            Ok(lanes) => {
                engine.wake(lanes);
                if ends && count == 0 {
                    engine.tell_if_finished(&self.log);
                }
                Ok(())
            }
            Err(refusal) => {
                engine.end(count);
                Err(refusal)
            }
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

    fn write_off(&self, items: Vec<Item>) -> usize {
        let engine = &self.engine;
        let count = items.len();
        engine.running().remove(&self.log.serial());
        engine.release(items.iter().map(|item| item.payload.len()).sum());
        engine.counters.discarded.fetch_add(count as u64, Ordering::Relaxed);
        let commit = Commit {
            execution: Arc::clone(&self.log),
            seed: self.seed,
            items: with_lanes(engine, items),
            completion: Completion::Discarded,
        };
        let execution = Arc::clone(&self.log);
        let engine = Arc::clone(engine);
        engine.begin(1);
        engine.runtime.clone().spawn(async move {
            // Nothing was promised about discarded calls, so a journal that refuses them loses
            // a line of the log and no more.
            let _ = engine.journal.append(commit).await;
            engine.tell_if_finished(&execution);
            engine.end(1);
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

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    pub(super) fn tell_if_finished(&self, execution: &Arc<ExecutionLog>) {
        let state = execution.state();
        if state.is_finished() {
            self.events
                .emit(Topic::Execution, || ExecutionView::new(&execution.info, &state, 0));
        }
    }
}

impl Drop for Execution {
    /// An execution that nobody can complete any more is discarded, and said so.
    fn drop(&mut self) {
        let recording = self.recording.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Ok(items) = recording.discard() else { return };
        let execution_id = Arc::clone(&self.log.info.execution_id);
        let count = self.write_off(items);
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

fn with_lanes(engine: &Engine, items: Vec<Item>) -> Vec<(Lane, Item)> {
    items.into_iter().map(|item| (engine.lane_of(&item), item)).collect()
}
