//! `GET /v1/workflows/:workflow_id/event_summaries`: what a workflow emitted, and its errors.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::parameters::{PathParam, QueryParams};
use super::response::{ApiError, CommonErrors, Page, PageInfo, Problem, Total};
use super::state::Shared;
use super::{limit_of, workflow_id};
use crate::streams::{Event, EventId, RawEvent, StreamKind};

/// Events larger than this are abbreviated unless expanded.
const ABBREVIATED: usize = 1024;

/// The part of the list, and the size of each event.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// `event`: events above 1 KB are not cut.
    #[param(inline)]
    expand: Option<Expand>,
    /// At most this many.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Only what comes after this cursor, that is older events.
    #[param(pattern = r"^[0-9]{1,12}-[0-9]{1,5}$")]
    after: Option<String>,
    /// Only what comes before this cursor, that is newer events.
    #[param(pattern = r"^[0-9]{1,12}-[0-9]{1,5}$")]
    before: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Expand {
    Event,
}

/// An event of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventSummary {
    /// The cursor.
    #[schema(example = "1606511826306-0")]
    id: String,
    /// The time of emission in milliseconds since 1970.
    indexed_at_ms: u64,
    /// The event; above 1 KB, unless `expand=event`, the beginning of its JSON text.
    #[schema(value_type = serde_json::Value)]
    event: Box<RawValue>,
    /// True if `event` is only the beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    metadata: Metadata,
}

#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    /// The delivery that emitted it.
    emit_id: String,
    /// The channel; empty for the default one.
    name: String,
    /// The workflow.
    emitter_id: String,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct EventSummaries {
    page_info: PageInfo,
    data: Vec<EventSummary>,
}

/// The latest events of a workflow
///
/// The last 100 that it emitted, newest first.
#[utoipa::path(
    get,
    path = "/v1/workflows/{workflow_id}/event_summaries",
    tag = "events",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1, max_length = 256),
        SummaryQuery,
    ),
    responses(
        (status = 200, description = "A page of events", body = EventSummaries),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn emitted(
    State(shared): State<Shared>,
    PathParam(workflow): PathParam,
    QueryParams(query): QueryParams<SummaryQuery>,
) -> Result<Json<Page<EventSummary>>, ApiError> {
    summaries(&shared, StreamKind::Emits, workflow_id(&workflow)?, &query)
}

/// The latest errors of a workflow
///
/// The last 100 executions that were completed with an error, newest first.
#[utoipa::path(
    get,
    path = "/v1/workflows/{workflow_id}/$errors/event_summaries",
    tag = "events",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1, max_length = 256),
        SummaryQuery,
    ),
    responses(
        (status = 200, description = "A page of errors", body = EventSummaries),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn errors(
    State(shared): State<Shared>,
    PathParam(workflow): PathParam,
    QueryParams(query): QueryParams<SummaryQuery>,
) -> Result<Json<Page<EventSummary>>, ApiError> {
    summaries(&shared, StreamKind::Errors, workflow_id(&workflow)?, &query)
}

fn summaries(
    shared: &Shared,
    kind: StreamKind,
    workflow: &str,
    query: &SummaryQuery,
) -> Result<Json<Page<EventSummary>>, ApiError> {
    let limit = limit_of(query.limit, 10)?;
    let after = query.after.as_deref().map(|text| cursor("after", text)).transpose()?;
    let before = query.before.as_deref().map(|text| cursor("before", text)).transpose()?;
    let mut events = shared.engine()?.streams().recent(kind, workflow);
    let total = events.len();
    events.retain(|event| {
        after.is_none_or(|after| event.id < after) && before.is_none_or(|before| event.id > before)
    });
    // Oldest first: the page nearest to `before` is at the beginning, every other at the end.
    if before.is_some() && after.is_none() {
        events.truncate(limit);
    } else {
        events.drain(..events.len().saturating_sub(limit));
    }
    let whole = query.expand.is_some();
    let entries = events.iter().rev().map(|event| (event.id.to_string(), summary(event, whole)));
    Ok(Json(Page::new(Total::Known(total), entries.collect())))
}

fn cursor(name: &str, text: &str) -> Result<EventId, ApiError> {
    let refusal = |_| ApiError::invalid(format!("{name}: this is no cursor of a page before"));
    text.parse().map_err(refusal)
}

fn summary(event: &Arc<Event>, whole: bool) -> EventSummary {
    let content = event.content.bytes();
    let raw = RawEvent::wrapped(&content);
    let text = raw.map_or_else(|| String::from_utf8_lossy(&content), Cow::Owned);
    let truncated = !whole && text.len() > ABBREVIATED;
    let shown = if truncated {
        let end = (0..=ABBREVIATED).rev().find(|end| text.is_char_boundary(*end));
        let end = end.unwrap_or_default();
        serde_json::to_string(&text[..end]).unwrap_or_default()
    } else {
        text.into_owned()
    };
    EventSummary {
        id: event.id.to_string(),
        indexed_at_ms: event.id.millis(),
        event: RawValue::from_string(shown).unwrap_or_default(),
        truncated,
        metadata: Metadata {
            emit_id: event.delivery.to_string(),
            name: event.name.to_string(),
            emitter_id: event.workflow_id.to_string(),
        },
    }
}
