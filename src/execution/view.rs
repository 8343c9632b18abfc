//! The log as JSON: the shapes that JavaScript and REST clients read.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    AttemptLog, DeliveryRequest, Dropped, Entry, ExecutionCursor, ExecutionEnd, ExecutionInfo,
    ExecutionLog, ExecutionState, Found, RequestLog, SettledPage, Status, Tally, json,
};
use crate::delivery::{Failure, Kind, Payload, Phase};
use crate::time::Timestamp;

/// Shows a call that was not sent yet; the destinations know how.
pub type Render<'a> = &'a dyn Fn(Kind, &Payload) -> RequestLog;

/// Bytes of a common delivery without bodies.
const ROW_BYTES: usize = 1024;

/// The members of a delivery before those of its request and its response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallMembers<'a> {
    id: uuid::Uuid,
    workflow_id: &'a str,
    execution_id: &'a str,
    step: &'a str,
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed_by: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dismissed_at: Option<Timestamp>,
    destination: &'static str,
    status: &'static str,
}

/// The members of a delivery after those of its request and its response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeMembers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    warnings: &'a [String],
    attempts: u32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attempt_log: &'a [Box<RawValue>],
    recorded_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
}

impl<'a> ErrorView<'a> {
    fn new(failure: &'a Failure) -> Self {
        Self {
            code: failure.kind.code(),
            message: &failure.message,
            phase: failure.phase.map(Phase::as_str),
        }
    }
}

impl<'a> CallMembers<'a> {
    fn new(info: &'a ExecutionInfo, entry: &'a Entry) -> Self {
        let state = entry.call_state.as_deref();
        Self {
            id: entry.id,
            workflow_id: &info.workflow_id,
            execution_id: &info.execution_id,
            step: &entry.step,
            index: entry.index,
            replay_of: entry.replay_of(),
            replayed_by: state.and_then(|state| state.replayed_by),
            resolved_by: state.and_then(|state| state.resolved_by),
            dismissed_at: state.and_then(|state| state.dismissed_at),
            destination: entry.kind.name(),
            status: entry.status.as_str(),
        }
    }
}

impl<'a> OutcomeMembers<'a> {
    fn new(entry: &'a Entry) -> Self {
        let waiting = entry.waiting.as_deref();
        let last_error = waiting.and_then(|waiting| waiting.last_error.as_deref());
        Self {
            error: entry.failure.as_deref().map(ErrorView::new),
            last_error: last_error.map(ErrorView::new),
            next_attempt_at: waiting.and_then(|waiting| waiting.next_attempt_at),
            due_at: entry.due_at(),
            warnings: entry.warnings.as_slice(),
            attempts: entry.attempts,
            attempt_log: entry.attempt_log.as_deref().map_or(&[], AttemptLog::rows),
            recorded_at: entry.recorded_at,
            delivered_at: entry.settled_at.filter(|_| entry.status == Status::Delivered),
            settled_at: entry.settled_at,
        }
    }
}

/// Writes a delivery as a JSON object. Its request and its response are JSON already: they are copied.
fn write_delivery(out: &mut Vec<u8>, info: &ExecutionInfo, entry: &Entry, render: Render<'_>) {
    json::write(out, &CallMembers::new(info, entry));
    json::reopen(out);
    out.extend_from_slice(br#","request":"#);
    match &entry.request {
        DeliveryRequest::Recorded(payload) => render(entry.kind, payload).write_json(out),
        DeliveryRequest::Sent(request) => request.write_json(out),
    }
    if let Some(response) = &entry.response {
        out.extend_from_slice(br#","response":"#);
        response.write_json(out);
    }
    json::write_more(out, &OutcomeMembers::new(entry));
}

/// Returns a delivery as a JSON object.
#[must_use]
pub fn delivery_json(info: &ExecutionInfo, entry: &Entry, render: Render<'_>) -> String {
    let mut out = Vec::with_capacity(ROW_BYTES);
    write_delivery(&mut out, info, entry, render);
    json::text(out)
}

/// One execution as JSON: the Inspector's row, whose Dest. column is `delivered`/`total`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionView<'a> {
    cursor: String,
    execution_id: &'a str,
    workflow_id: &'a str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<&'a str>,
    status: &'static str,
    delivered: usize,
    failed: usize,
    discarded: usize,
    dismissed: usize,
    pending: usize,
    total: usize,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> ExecutionView<'a> {
    /// The JSON shape of an execution's log, with `recorded` calls in its open buffer.
    #[must_use]
    pub fn new(log: &'a ExecutionLog, state: &ExecutionState, recorded: usize) -> Self {
        let (completion, total) = (state.completion.as_ref(), state.total() + recorded);
        Self::of(log.serial(), &log.info, completion, state.tally(), total)
    }

    /// Returns its status.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        self.status
    }

    /// Returns the message of the error that it was completed with.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Returns the text that it was completed with.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The JSON shape of an execution with `total` deliveries, of which the tally is terminal.
    #[must_use]
    pub fn of(
        serial: u64,
        info: &'a ExecutionInfo,
        completion: Option<&ExecutionEnd>,
        tally: Tally,
        total: usize,
    ) -> Self {
        Self {
            cursor: ExecutionCursor(serial).to_string(),
            execution_id: &info.execution_id,
            workflow_id: &info.workflow_id,
            attempt: info.attempt,
            trigger: info.trigger.as_deref(),
            status: match completion {
                None => "running",
                Some(completion) if completion.discarded => "discarded",
                Some(completion) if completion.error.is_some() => "failed",
                Some(_) => "completed",
            },
            delivered: tally.delivered,
            failed: tally.failed,
            discarded: tally.discarded,
            dismissed: tally.dismissed,
            pending: total.saturating_sub(tally.total()),
            total,
            started_at: info.started_at,
            completed_at: completion.map(|completion| completion.at),
            error: completion.and_then(|completion| completion.error.clone()),
            message: completion.and_then(|completion| completion.message.clone()),
        }
    }
}

/// Returns deliveries as a JSON array.
#[must_use]
pub fn deliveries_json(found: &[Found], render: Render<'_>) -> String {
    let mut out = Vec::with_capacity(ROW_BYTES * found.len());
    write_deliveries(&mut out, rows(found), render);
    json::text(out)
}

/// Returns deliveries of one execution as a JSON array.
#[must_use]
pub fn entries_json(info: &ExecutionInfo, entries: &[&Entry], render: Render<'_>) -> String {
    let mut out = Vec::with_capacity(ROW_BYTES * entries.len());
    write_deliveries(&mut out, entries.iter().map(|entry| (info, *entry)), render);
    json::text(out)
}

fn rows(found: &[Found]) -> impl Iterator<Item = (&ExecutionInfo, &Entry)> {
    found.iter().map(|(info, entry)| (&**info, entry))
}

fn write_deliveries<'a>(
    out: &mut Vec<u8>,
    found: impl IntoIterator<Item = (&'a ExecutionInfo, &'a Entry)>,
    render: Render<'_>,
) {
    let mut before = b'[';
    for (info, entry) in found {
        out.push(before);
        write_delivery(out, info, entry, render);
        before = b',';
    }
    out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
}

/// Returns a page of settlements as a JSON object: `data`, `cursor`, and `dropped`, which is `null` if
/// the number is not known.
#[must_use]
pub fn settled_json(page: &SettledPage, render: Render<'_>) -> String {
    let mut out = Vec::with_capacity(ROW_BYTES * (page.found.len() + 1));
    out.extend_from_slice(br#"{"data":"#);
    write_deliveries(&mut out, rows(&page.found), render);
    let dropped = match page.dropped {
        Dropped::Count(count) => Some(count),
        Dropped::Unknown => None,
    };
    json::write_more(&mut out, &PageMembers { cursor: page.cursor.to_string(), dropped });
    json::text(out)
}

/// The members of a page of settlements after its deliveries.
#[derive(Serialize)]
struct PageMembers {
    cursor: String,
    dropped: Option<u64>,
}

/// Rows as a JSON array.
#[must_use]
pub fn array(rows: &[impl Serialize]) -> String {
    serde_json::to_string(rows).unwrap_or_else(|_| "[]".to_owned())
}
