//! The log by REST.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::{Data, Page, PageInfo, Problem, Refusals, Refused, rows_of};
use super::limit_of;
use super::parameters::{Asked, Given, Nothing, Segment};
use super::state::Shared;
use crate::engine::Engine;
use crate::observability::log::{
    DeliveryQuery, ExecutionCursor, ExecutionQuery, Selection, Status,
};

type Rows = Page<Box<RawValue>>;

/// Deliveries of one execution that an answer has at most.
const ALL: usize = 10_000;
/// Attempts of one execution that a response has at most.
const MAX_ATTEMPTS: usize = 1000;

/// Which executions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExecutionParameters {
    /// Only of this workflow.
    workflow_id: Option<String>,
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
    #[schema(inline)]
    status: ExecutionStatus,
    delivered: usize,
    failed: usize,
    discarded: usize,
    pending: usize,
    total: usize,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    error: Option<String>,
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
    replay_of: Option<Uuid>,
    destination: String,
    #[schema(inline)]
    status: DeliveryStatus,
    /// What was sent, redacted.
    #[schema(value_type = Object)]
    request: serde_json::Value,
    /// What came back, redacted.
    #[schema(value_type = Option<Object>)]
    response: Option<serde_json::Value>,
    error: Option<DeliveryError>,
    warnings: Vec<String>,
    attempts: u32,
    #[schema(format = DateTime)]
    recorded_at: String,
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    #[schema(format = DateTime)]
    settled_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DeliveryError {
    code: String,
    message: String,
    phase: Option<String>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum DeliveryStatus {
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
        Refusals,
    ),
)]
pub(super) async fn executions(
    State(shared): State<Shared>,
    Asked(asked): Asked<ExecutionParameters>,
) -> Result<Json<Rows>, Refused> {
    let engine = shared.engine()?;
    let query = ExecutionQuery {
        workflow_id: asked.workflow_id,
        execution_id: None,
        limit: Some(limit_of(asked.limit, 10)?),
        before: asked.after.map(Into::into),
    };
    let total = engine.count_executions(&query).await?;
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

/// Which attempt.
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
        Refusals,
    ),
)]
pub(super) async fn execution(
    State(shared): State<Shared>,
    Segment(id): Segment,
    Asked(asked): Asked<AttemptParameters>,
) -> Result<Json<Data<OneExecution>>, Refused> {
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

/// The members of a row that tell attempts apart.
#[derive(Deserialize)]
struct AttemptHead {
    cursor: String,
    attempt: u32,
}

/// The newest row, or the newest of this attempt, with the number of its execution.
fn chosen(attempts: &[Box<RawValue>], attempt: Option<u32>) -> Result<(&RawValue, u64), Refused> {
    let mut rows = attempts.iter().filter_map(|row| {
        let head: AttemptHead = serde_json::from_str(row.get()).ok()?;
        let cursor: ExecutionCursor = head.cursor.parse().ok()?;
        Some((&**row, head.attempt, cursor.0))
    });
    let found = rows.find(|(_, number, _)| attempt.is_none_or(|wanted| wanted == *number));
    let missing = || match attempt {
        Some(attempt) if !attempts.is_empty() => {
            Refused::not_found(format!("the log has no attempt {attempt} of this execution"))
        }
        Some(_) | None => Refused::not_found("the log has no such execution"),
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

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryParameters {
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
        Refusals,
    ),
)]
pub(super) async fn deliveries(
    State(shared): State<Shared>,
    Asked(asked): Asked<DeliveryParameters>,
) -> Result<Json<Rows>, Refused> {
    let engine = shared.engine()?;
    let query = DeliveryQuery {
        workflow_id: asked.workflow_id,
        execution_id: asked.execution_id,
        execution: None,
        step: asked.step,
        destination: asked.destination,
        status: asked.status.map(|status| Status::from(status).as_str().to_owned()),
        limit: Some(limit_of(asked.limit, 10)?),
        before: asked.after,
    };
    let total = engine.count_deliveries(&query).await?;
    Ok(Json(Page::of_rows(total, &engine.deliveries(&query).await?, "id")))
}

/// The new delivery of a replay.
#[derive(Serialize, ToSchema)]
pub(super) struct Replayed {
    data: Replay,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Replay {
    /// The new delivery.
    id: Uuid,
    /// The one that it repeats.
    replay_of: Uuid,
}

/// Make a failed delivery again
///
/// As a new delivery of the same execution, which names the old one.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/replay",
    tag = "log",
    params(("id" = Uuid, Path, description = "The failed delivery")),
    responses(
        (status = 200, description = "The new delivery", body = Replayed),
        (status = 400, description = "This is no delivery's id", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 404, description = "The log has no failed delivery with this id", body = Problem),
        (status = 503, description = "The engine is closed, or its journal is full", body = Problem),
    ),
)]
pub(super) async fn replay(
    State(shared): State<Shared>,
    Segment(id): Segment,
    Given(Nothing {}): Given<Nothing>,
) -> Result<Json<Replayed>, Refused> {
    let id: Uuid = id.parse().map_err(|_| Refused::invalid("id: is not the id of a delivery"))?;
    let engine: std::sync::Arc<Engine> = shared.engine()?;
    let mut answer = engine.replay(&Selection::Ids(vec![id])).await?;
    let reason = "the log has no failed delivery with this id, or not its payload any more";
    let new = answer.replayed.pop().ok_or_else(|| Refused::not_found(reason))?;
    Ok(Json(Replayed { data: Replay { id: new.id, replay_of: new.replay_of } }))
}
