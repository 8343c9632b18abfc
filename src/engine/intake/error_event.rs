//! The events of `$errors`: executions that were completed with an error.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::execution::ExecutionInfo;
use crate::time::Timestamp;

/// Details of an error, as `js/execution.cjs` gives them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    code: Option<String>,
    stack: Option<String>,
    cell_id: Option<String>,
    event: Option<Box<RawValue>>,
    context: Option<Box<RawValue>>,
}

/// An event with the members that Pipedream documents, as far as they are known.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    original_event: Option<Box<RawValue>>,
    original_context: OriginalContext<'a>,
    error: ErrorMembers<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OriginalContext<'a> {
    OfStep(Box<RawValue>),
    OfExecution { id: &'a str, ts: Timestamp, workflow_id: &'a str, attempt: u32 },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorMembers<'a> {
    message: &'a str,
    msg: &'a str,
    code: Option<String>,
    stack: Option<String>,
    cell_id: Option<String>,
    ts: Timestamp,
}

/// Returns the content of the event.
pub(crate) fn error_event(
    info: &ExecutionInfo,
    message: &str,
    details: Option<&str>,
    at: Timestamp,
) -> String {
    let details = details.and_then(|text| serde_json::from_str(text).ok());
    let Details { code, stack, cell_id, event, context } = details.unwrap_or_default();
    let of_execution = || OriginalContext::OfExecution {
        id: &info.execution_id,
        ts: info.started_at,
        workflow_id: &info.workflow_id,
        attempt: info.attempt,
    };
    let event = ErrorEvent {
        original_event: event,
        original_context: context.map_or_else(of_execution, OriginalContext::OfStep),
        error: ErrorMembers { message, msg: message, code, stack, cell_id, ts: at },
    };
    serde_json::to_string(&event).unwrap_or_default()
}
