//! The log by REST.

use axum::Json;
use axum::extract::State;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::{Nothing, PathParam, QueryParams};
use super::replays::ids;
use super::response::{ApiError, CommonErrors, Data, Page, PageInfo, Problem, Total, rows_of};
use super::search;
use super::state::Shared;
use super::{MAX_PAGE, limit_of};
use crate::execution::{DeliveryQuery, ExecutionCursor, ExecutionQuery, IdSet, Status};
use crate::time::Timestamp;

type Rows = Page<Box<RawValue>>;

/// The maximum number of deliveries of one execution in a response.
const ALL: usize = 10_000;
/// Attempts of one execution that a response has at most.
const MAX_ATTEMPTS: usize = 1000;

/// Filter and page of the executions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExecutionParameters {
    /// Only of this workflow.
    workflow_id: Option<String>,
    /// Only those that match, or of which a delivery does; the language is that of `/v1/deliveries`.
    #[param(max_length = 1000, example = "status:failed since:2h")]
    search: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Only what comes after this cursor, that is older executions. An execution's id stands for
    /// its newest attempt.
    after: Option<String>,
}

/// A run of a workflow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutionRow {
    /// Names this attempt alone; opaque.
    #[schema(example = "exc_000000000000002a")]
    cursor: String,
    execution_id: String,
    workflow_id: String,
    attempt: u32,
    /// The cause of the run, as the runner names it.
    #[schema(example = "POST /hooks/order")]
    trigger: Option<String>,
    #[schema(inline)]
    status: ExecutionStatus,
    delivered: usize,
    failed: usize,
    discarded: usize,
    /// Failed calls that were dismissed.
    dismissed: usize,
    pending: usize,
    total: usize,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    error: Option<String>,
    /// The text that the run was completed with, such as that of `$end()`.
    message: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the shape of the log's rows, for the OpenAPI document")]
enum ExecutionStatus {
    Running,
    Completed,
    Failed,
    Discarded,
}

/// A delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryRow {
    id: Uuid,
    workflow_id: String,
    execution_id: String,
    step: String,
    index: u32,
    /// The delivery that this one repeats.
    replay_of: Option<Uuid>,
    /// The replay of this delivery.
    replayed_by: Option<Uuid>,
    /// The replay that delivered the call.
    resolved_by: Option<Uuid>,
    /// The time at which the failed delivery was dismissed.
    #[schema(format = DateTime)]
    dismissed_at: Option<String>,
    destination: String,
    #[schema(inline)]
    status: DeliveryStatus,
    /// The request, redacted.
    #[schema(value_type = Object)]
    request: serde_json::Value,
    /// The response, redacted.
    #[schema(value_type = Option<Object>)]
    response: Option<serde_json::Value>,
    error: Option<DeliveryError>,
    /// The failure of the last attempt of a delivery that waits for another one.
    last_error: Option<DeliveryError>,
    /// The time of the next attempt.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// The time at which its open batch is sent, if it is not full before. Absent without an open batch
    /// in this process.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    warnings: Vec<String>,
    attempts: u32,
    /// The newest attempts, 20 at most, oldest first. Absent if the only attempt succeeded: its phases
    /// are in the response.
    attempt_log: Option<Vec<AttemptRow>>,
    #[schema(format = DateTime)]
    recorded_at: String,
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    #[schema(format = DateTime)]
    settled_at: Option<String>,
}

/// One attempt of a delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptRow {
    attempt: u32,
    #[schema(format = DateTime)]
    started_at: String,
    /// Milliseconds for which it waited after it was due.
    queue_ms: u64,
    duration_ms: f64,
    /// The HTTP status of the response.
    status: Option<u16>,
    /// Milliseconds by phase: `dnsMs`, `connectMs`, `tlsMs`, `firstByteMs`, `bodyMs`.
    #[schema(value_type = Option<Object>)]
    timings: Option<serde_json::Value>,
    error: Option<DeliveryError>,
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DeliveryError {
    code: String,
    message: String,
    phase: Option<String>,
}

/// The progress of a delivery.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DeliveryStatus {
    Recorded,
    Pending,
    Batched,
    InFlight,
    Delivered,
    Failed,
    Discarded,
}

impl From<DeliveryStatus> for Status {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Recorded => Self::Recorded,
            DeliveryStatus::Pending => Self::Pending,
            DeliveryStatus::Batched => Self::Batched,
            DeliveryStatus::InFlight => Self::InFlight,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Failed => Self::Failed,
            DeliveryStatus::Discarded => Self::Discarded,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Executions {
    page_info: PageInfo,
    data: Vec<ExecutionRow>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    page_info: PageInfo,
    data: Vec<DeliveryRow>,
}

/// Executions
///
/// Those that the log knows, newest first.
#[utoipa::path(
    get,
    path = "/v1/executions",
    tag = "log",
    params(ExecutionParameters),
    responses(
        (status = 200, description = "A page of executions", body = Executions),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn executions(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<ExecutionParameters>,
) -> Result<Json<Rows>, ApiError> {
    let engine = shared.engine()?;
    let query = ExecutionQuery {
        workflow_id: asked.workflow_id,
        execution_id: None,
        limit: Some(limit_of(asked.limit, 10)?),
        before: asked.after.map(Into::into),
        search: asked.search.as_deref().map(search::read).transpose()?,
    };
    let total = match query.search {
        None => Total::of(engine.count_executions(&query, Total::LIMIT).await?),
        Some(_) => Total::Unknown,
    };
    Ok(Json(Page::of_rows(total, &engine.executions(&query).await?, "cursor")))
}

#[derive(Serialize, ToSchema)]
pub(super) struct ExecutionWithDeliveries {
    data: ExecutionData,
}

#[derive(Serialize, ToSchema)]
struct ExecutionData {
    execution: ExecutionRow,
    /// The deliveries of this attempt, newest first, 10,000 at most.
    deliveries: Vec<DeliveryRow>,
    /// Every attempt with this id, newest first, 1,000 at most.
    attempts: Vec<ExecutionRow>,
}

/// The attempt of a delivery.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AttemptParameters {
    /// The number of the attempt; without it, the attempt that began last.
    #[param(minimum = 1)]
    attempt: Option<u32>,
}

/// One attempt of an execution
///
/// The attempt with its own deliveries, and a list of all attempts with this id.
#[utoipa::path(
    get,
    path = "/v1/executions/{id}",
    tag = "log",
    params(("id" = String, Path, description = "The execution"), AttemptParameters),
    responses(
        (status = 200, description = "The attempt", body = ExecutionWithDeliveries),
        (status = 400, description = "The path or a parameter is wrong", body = Problem),
        (status = 404, description = "The log has no such execution or attempt", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn execution(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(asked): QueryParams<AttemptParameters>,
) -> Result<Json<Data<OneExecution>>, ApiError> {
    let engine = shared.engine()?;
    let query = ExecutionQuery {
        execution_id: Some(id),
        limit: Some(MAX_ATTEMPTS),
        ..ExecutionQuery::default()
    };
    let attempts = rows_of(&engine.executions(&query).await?);
    let (execution, serial) = chosen(&attempts, asked.attempt)?;
    let execution = execution.to_owned();
    let query =
        DeliveryQuery { execution: Some(serial), limit: Some(ALL), ..DeliveryQuery::default() };
    let deliveries = rows_of(&engine.deliveries(&query).await?);
    Ok(Json(Data { data: OneExecution { execution, deliveries, attempts } }))
}

/// The members of a row that identify an attempt.
#[derive(Deserialize)]
struct AttemptHead {
    cursor: String,
    attempt: u32,
}

/// Returns the newest row, or the newest of this attempt, with the number of its execution.
fn chosen(attempts: &[Box<RawValue>], attempt: Option<u32>) -> Result<(&RawValue, u64), ApiError> {
    let mut rows = attempts.iter().filter_map(|row| {
        let head: AttemptHead = serde_json::from_str(row.get()).ok()?;
        let cursor: ExecutionCursor = head.cursor.parse().ok()?;
        Some((&**row, head.attempt, cursor.0))
    });
    let found = rows.find(|(_, number, _)| attempt.is_none_or(|wanted| wanted == *number));
    let missing = || match attempt {
        Some(attempt) if !attempts.is_empty() => {
            ApiError::not_found(format!("the log has no attempt {attempt} of this execution"))
        }
        Some(_) | None => ApiError::not_found("the log has no such execution"),
    };
    found.map(|(row, _, serial)| (row, serial)).ok_or_else(missing)
}

/// An execution and what it sent.
#[derive(Serialize)]
pub(super) struct OneExecution {
    execution: Box<RawValue>,
    deliveries: Vec<Box<RawValue>>,
    attempts: Vec<Box<RawValue>>,
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let refused = || D::Error::custom(format!("settled_since: {text:?} is no time"));
    Timestamp::parse(&text).map(Some).ok_or_else(refused)
}

/// Filter and page of the deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryParameters {
    /// Only these, at most 100: ids with commas between.
    #[param(
        value_type = Option<String>,
        pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(,[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}){0,99}$",
    )]
    #[serde(default, deserialize_with = "ids")]
    ids: Option<Vec<Uuid>>,
    /// Only of this workflow.
    workflow_id: Option<String>,
    /// Only of this execution.
    execution_id: Option<String>,
    /// Only of this step.
    step: Option<String>,
    /// Only to this destination.
    destination: Option<String>,
    /// Only in this status.
    #[param(inline)]
    status: Option<DeliveryStatus>,
    /// Only those that match all terms: `status:`, `host:`, `workflow:`, `code:`, `destination:`,
    /// `execution:`, `trigger:` with a part of the value, `since:` and `until:` with a duration (`2h`) or a time,
    /// and free text. Quotes hold spaces and colons.
    #[param(max_length = 1000, example = "status:failed host:example.com since:2h")]
    search: Option<String>,
    /// Only those that were terminal then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "time")]
    settled_since: Option<Timestamp>,
    /// At most this many.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
    /// Only what comes after this cursor, that is older deliveries.
    after: Option<Uuid>,
}

/// Deliveries
///
/// Those that the log knows, newest first.
#[utoipa::path(
    get,
    path = "/v1/deliveries",
    tag = "log",
    params(DeliveryParameters),
    responses(
        (status = 200, description = "A page of deliveries", body = Deliveries),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn deliveries(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<DeliveryParameters>,
) -> Result<Json<Rows>, ApiError> {
    let engine = shared.engine()?;
    if asked.ids.as_ref().is_some_and(|ids| ids.len() > MAX_PAGE as usize) {
        return Err(ApiError::invalid(format!("ids: more than {MAX_PAGE}")));
    }
    let query = DeliveryQuery {
        ids: asked.ids.map(IdSet::from_iter),
        workflow_id: asked.workflow_id,
        execution_id: asked.execution_id,
        execution: None,
        step: asked.step,
        destination: asked.destination,
        status: asked.status.map(|status| Status::from(status).as_str().to_owned()),
        limit: Some(limit_of(asked.limit, 10)?),
        before: asked.after,
        settled_since: asked.settled_since,
        search: asked.search.as_deref().map(search::read).transpose()?,
    };
    let total = match query.search {
        None => Total::of(engine.count_deliveries(&query, Total::LIMIT).await?),
        Some(_) => Total::Unknown,
    };
    Ok(Json(Page::of_rows(total, &engine.deliveries(&query).await?, "id")))
}

#[derive(Serialize, ToSchema)]
pub(super) struct OneDelivery {
    data: DeliveryRow,
}

/// One delivery
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "log",
    params(("id" = Uuid, Path, description = "The delivery")),
    responses(
        (status = 200, description = "The delivery", body = OneDelivery),
        (status = 400, description = "This is no delivery's id, or there is a parameter", body = Problem),
        (status = 404, description = "The log has no such delivery", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn delivery(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Json<Data<Box<RawValue>>>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("id: is not the id of a delivery"))?;
    let ids = Some(IdSet::from_iter([id]));
    let query = DeliveryQuery { ids, limit: Some(1), ..DeliveryQuery::default() };
    let found = rows_of(&shared.engine()?.deliveries(&query).await?).pop();
    let data = found.ok_or_else(|| ApiError::not_found("the log has no such delivery"))?;
    Ok(Json(Data { data }))
}
