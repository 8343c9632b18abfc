//! What follows from published events: deliveries to webhooks, and who may ask for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::Engine;
use crate::destinations::{Attempt, Call, Failure};
use crate::error::Result;
use crate::journal::{Commit, Completion, Journal, Lane};
use crate::observability::events::{Topic, Warning};
use crate::observability::log::{ExecutionInfo, ExecutionLog};
use crate::observability::time::Timestamp;
use crate::recording::{Item, id_seed};
use crate::streams::{Registration, Streams, Subscriptions};

impl Engine {
    /// The events of the workflows, and who follows them.
    #[must_use]
    pub const fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// Who is told of emitted events.
    #[must_use]
    pub const fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.subscriptions
    }

    /// Brings back what was published and registered before, and keeps what comes from now on.
    pub(super) fn restore_streams(self: &Arc<Self>) -> Result<()> {
        self.streams.restore(self.journal.kept_events()?);
        let registrations = self.journal.registrations()?;
        self.subscriptions.restore(registrations.iter().map(String::as_str));
        let engine = Arc::downgrade(self);
        self.streams.keep_with(Box::new(move |event, forgotten| {
            if let Some(engine) = engine.upgrade() {
                engine.journal.keep_event(event, forgotten);
            }
        }));
        Ok(())
    }

    /// Puts a registration into effect; resolves when it is as durable as a completion.
    pub async fn register(&self, registration: Registration) -> Result<()> {
        self.check_open()?;
        let text = serde_json::to_string(&registration).unwrap_or_default();
        self.journal.register(vec![(registration.id().to_owned(), Some(text))]).await?;
        self.subscriptions.add(registration);
        Ok(())
    }

    /// Ends the effect of registrations; resolves when that is as durable as a completion.
    pub async fn unregister(&self, ids: Vec<String>) -> Result<()> {
        self.check_open()?;
        self.journal.register(ids.iter().map(|id| (id.clone(), None)).collect()).await?;
        self.subscriptions.remove(&ids);
        Ok(())
    }

    /// Hands over calls that a delivery of this execution gave rise to, each as an execution of its
    /// own. Resolves when they are as durable as a completion.
    pub(super) async fn hand_over_calls(
        self: &Arc<Self>,
        calls: Vec<Call>,
        cause: &Arc<ExecutionInfo>,
    ) -> Result<()> {
        // Side by side, so that the journal writes them together.
        let hand_over = |call| {
            let (engine, cause) = (Arc::clone(self), Arc::clone(cause));
            self.runtime.spawn(async move { engine.hand_over_call(call, &cause).await })
        };
        let handed: Vec<_> = calls.into_iter().map(hand_over).collect();
        let mut end = Ok(());
        for handed in handed {
            let handed = handed.await.unwrap_or_else(|_| Err(super::closed()));
            end = end.and(handed);
        }
        end
    }

    async fn hand_over_call(self: &Arc<Self>, call: Call, cause: &ExecutionInfo) -> Result<()> {
        let Call { workflow_id, step, kind, payload } = call;
        let bytes = payload.len();
        self.reserve(bytes)?;
        let random = Uuid::now_v7();
        let execution = Arc::new(ExecutionLog::new(ExecutionInfo {
            execution_id: random.to_string().into(),
            workflow_id: workflow_id.into(),
            attempt: 1,
            started_at: Timestamp::now(),
            emit_depth: cause.emit_depth,
            trace: cause.trace.clone(),
        }));
        let key = self.destinations.lane(kind, &payload).into();
        let item = Item {
            kind,
            step: step.into(),
            index: 0,
            replay_of: None,
            recorded_at: Timestamp::now(),
            payload,
            warnings: Vec::new(),
            refused: None,
        };
        let seed = id_seed(execution.serial(), random.as_u64_pair().1);
        let items = vec![(Lane { kind, key }, item)];
        let completion = Completion::Completed { error: None };
        self.begin(1);
        self.counters.recorded.fetch_add(1, Ordering::Relaxed);
        match self.journal.append(Commit { execution, seed, items, completion }).await {
            Ok(_) if self.cut_off.load(Ordering::Acquire) => self.give_up_waiting(),
            Ok(lanes) => self.wake(lanes),
            Err(refusal) => {
                self.counters.recorded.fetch_sub(1, Ordering::Relaxed);
                self.release(bytes);
                self.end(1);
                return Err(refusal.error);
            }
        }
        Ok(())
    }

    /// Publishes that an execution was completed with an error.
    pub(super) async fn publish_error(self: &Arc<Self>, info: &Arc<ExecutionInfo>, message: &str) {
        let attempt = Attempt {
            id: Uuid::now_v7(),
            workflow_id: &info.workflow_id,
            emit_depth: info.emit_depth,
            trace: info.trace.as_deref(),
            recorded_at: Timestamp::now(),
            recovered: false,
        };
        let content = error_event(info, message, attempt.recorded_at);
        let calls = self.destinations.publish_error(&attempt, content);
        if let Err(error) = self.hand_over_calls(calls, info).await {
            let message = format!("webhooks are not told of the error: {error}");
            self.events.emit(Topic::Warning, || Warning {
                code: "WEBHOOK_NOT_TOLD",
                message: &message,
                execution_id: Some(&info.execution_id),
            });
        }
    }
}

/// The members that the original's error events have, as far as they are known here.
fn error_event(info: &ExecutionInfo, message: &str, at: Timestamp) -> String {
    serde_json::json!({
        "original_context": {
            "id": &*info.execution_id,
            "ts": info.started_at,
            "workflow_id": &*info.workflow_id,
            "attempt": info.attempt,
        },
        "error": { "message": message, "ts": at },
    })
    .to_string()
}

/// Why a delivery failed whose calls could not be handed over.
pub(super) fn not_handed_over(error: &crate::error::Error) -> Failure {
    let message = format!("the event was published, but its webhooks are not told: {error}");
    Failure::new(error.kind(), message)
}
