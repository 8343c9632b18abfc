//! Calls that follow from published events: deliveries to webhooks.

use std::sync::Arc;

use uuid::Uuid;

use super::commit::append;
use super::error_event::error_event;
use crate::delivery::Failure;
use crate::destinations::{Attempt, FollowUpCall};
use crate::engine::closed;
use crate::engine::lanes::Lanes;
use crate::error::{Error, Result};
use crate::execution::{ExecutionInfo, ExecutionLog};
use crate::id::id_seed;
use crate::journal::{Commit, Completion, Lane};
use crate::recording::Item;
use crate::time::Timestamp;

/// Commits calls that a delivery of this execution gave rise to, each as an execution of its own.
/// Resolves when they are as durable as a completion.
pub(crate) async fn commit_calls(
    lanes: &Arc<Lanes>,
    calls: Vec<FollowUpCall>,
    cause: &Arc<ExecutionInfo>,
) -> Result<()> {
    // Side by side, so that the journal writes them together.
    let commit = |call| {
        let (lanes, cause) = (Arc::clone(lanes), Arc::clone(cause));
        let runtime = lanes.shared.tasks.runtime.clone();
        runtime.spawn(async move { commit_call(&lanes, call, &cause, None).await })
    };
    let committing: Vec<_> = calls.into_iter().map(commit).collect();
    let mut end = Ok(());
    for committed in committing {
        let committed = committed.await.unwrap_or_else(|_| Err(closed()));
        end = end.and(committed);
    }
    end
}

/// Commits one such call, which may forward a failed delivery.
pub(crate) async fn commit_call(
    lanes: &Arc<Lanes>,
    call: FollowUpCall,
    cause: &ExecutionInfo,
    forwards: Option<Uuid>,
) -> Result<()> {
    let FollowUpCall { workflow_id, step, kind, payload } = call;
    let reserved = lanes.shared.budget.reserve(payload.cost())?;
    let random = Uuid::now_v7();
    let execution = Arc::new(ExecutionLog::new(ExecutionInfo {
        execution_id: random.to_string().into(),
        workflow_id: workflow_id.into(),
        attempt: 1,
        started_at: Timestamp::now(),
        emit_depth: cause.emit_depth,
        trace: cause.trace.clone(),
        trigger: None,
    }));
    let destinations = &lanes.shared.destinations;
    let key = destinations.lane(kind, &payload, &execution.info.workflow_id).into();
    let item = Item {
        kind,
        step: step.into(),
        index: 0,
        replay: None,
        recorded_at: Timestamp::now(),
        payload,
        warnings: Vec::new(),
        refused: None,
    };
    let seed = id_seed(execution.serial(), random.as_u64_pair().1);
    let items = vec![(Lane { kind, key }, item)];
    let completion = Completion::Completed { error: None, message: None };
    let commit = Commit { execution, seed, items, completion, forwards };
    match append(lanes, commit).await {
        Ok(()) => {
            reserved.keep();
            Ok(())
        }
        // Another node has forwarded it.
        Err(refusal) if !refusal.taken.is_empty() => Ok(()),
        Err(refusal) => Err(refusal.error),
    }
}

/// Publishes that an execution was completed with an error.
pub(super) async fn publish_error(
    lanes: &Arc<Lanes>,
    info: &Arc<ExecutionInfo>,
    message: &str,
    details: Option<&str>,
) {
    let id = Uuid::now_v7();
    let attempt = Attempt {
        id,
        call: id,
        workflow_id: &info.workflow_id,
        emit_depth: info.emit_depth,
        trace: info.trace.as_deref(),
        recorded_at: Timestamp::now(),
        recovered: false,
    };
    let content = error_event(info, message, details, attempt.recorded_at);
    let published = lanes.shared.destinations.publish_error(&attempt, content).await;
    let told = match published {
        Ok(calls) => commit_calls(lanes, calls, info).await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        let message = format!("webhooks are not told of the error: {error}");
        lanes.shared.observers.warn("WEBHOOK_NOT_TOLD", &message, Some(&info.execution_id));
    }
}

/// Returns the failure of a delivery whose calls could not be committed.
pub(crate) fn not_committed(error: &Error) -> Failure {
    let message = format!("the event was published, but its webhooks are not told: {error}");
    Failure::new(error.kind(), message)
}
