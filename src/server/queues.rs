//! The queues by REST: their state, their pauses, and attempts that are made now.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::parameters::{BodyOrQuery, Nothing, QueryParams};
use super::replays::ids;
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use super::webhooks::flag;
use crate::engine::{PauseTarget, RetryFilter};
use crate::observability::metrics::{LaneStats, PauseView};

/// A queue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueRow {
    destination: String,
    /// For `http` the origin of the URL, otherwise the destination's name.
    lane: String,
    /// Attempts in progress.
    in_flight: usize,
    /// Deliveries that wait for their turn, or for their next attempt.
    waiting: usize,
    /// `closed`, `open` after repeated failures, or `half-open` while the host is probed.
    breaker: String,
    paused: bool,
}

impl From<LaneStats> for QueueRow {
    fn from(lane: LaneStats) -> Self {
        Self {
            destination: lane.destination.to_owned(),
            lane: lane.lane,
            in_flight: lane.in_flight,
            waiting: lane.waiting,
            breaker: lane.breaker.to_owned(),
            paused: lane.paused,
        }
    }
}

/// A pause: one of the first four members.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PauseRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    #[schema(format = DateTime)]
    since: String,
}

impl From<PauseView> for PauseRow {
    fn from(pause: PauseView) -> Self {
        let PauseView { host, destination, workflow_id, all, since } = pause;
        Self { host, destination, workflow_id, all, since: since.to_string() }
    }
}

fn rows(pauses: Vec<PauseView>) -> Vec<PauseRow> {
    pauses.into_iter().map(PauseRow::from).collect()
}

#[derive(Serialize, ToSchema)]
struct QueueState {
    queues: Vec<QueueRow>,
    pauses: Vec<PauseRow>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Queues {
    data: QueueState,
}

/// Show the queues
///
/// Those with work, failures or a pause, busiest first.
#[utoipa::path(
    get,
    path = "/v1/queues",
    tag = "queues",
    responses(
        (status = 200, description = "The queues and the pauses", body = Queues),
        (status = 400, description = "There is a parameter", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn queues(
    State(shared): State<Shared>,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Json<Queues>, ApiError> {
    let engine = shared.engine()?;
    let queues = engine.stats().lanes.into_iter().map(QueueRow::from).collect();
    Ok(Json(Queues { data: QueueState { queues, pauses: rows(engine.pauses()) } }))
}

fn all<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag("all", from)
}

/// The target of a pause: exactly one of these.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct PauseParameters {
    /// A host: `api.example.com` with all its ports, or `api.example.com:8443`.
    host: Option<String>,
    /// A destination.
    destination: Option<String>,
    /// A workflow.
    workflow_id: Option<String>,
    /// `true`: everything.
    #[serde(default, deserialize_with = "all")]
    all: Option<bool>,
}

impl PauseParameters {
    fn target(self) -> Result<PauseTarget, ApiError> {
        let targets = [
            self.host.map(PauseTarget::Host),
            self.destination.map(PauseTarget::Destination),
            self.workflow_id.map(PauseTarget::WorkflowId),
            (self.all == Some(true)).then_some(PauseTarget::All),
        ];
        Ok(PauseTarget::only(targets.into_iter().flatten())?)
    }
}

#[derive(Serialize, ToSchema)]
struct PauseList {
    pauses: Vec<PauseRow>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Pauses {
    data: PauseList,
}

/// Pause a host, a destination, a workflow or everything
///
/// Nothing of it is attempted before it is resumed. Attempts in flight go on.
#[utoipa::path(
    post,
    path = "/v1/queues/pause",
    tag = "queues",
    params(PauseParameters),
    responses(
        (status = 200, description = "All pauses", body = Pauses),
        (status = 400, description = "The target is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn pause(
    State(shared): State<Shared>,
    BodyOrQuery(wanted): BodyOrQuery<PauseParameters>,
) -> Result<Json<Pauses>, ApiError> {
    let pauses = shared.engine()?.pause(wanted.target()?).await?;
    Ok(Json(Pauses { data: PauseList { pauses: rows(pauses) } }))
}

/// Resume what is paused
///
/// `all` ends every pause.
#[utoipa::path(
    post,
    path = "/v1/queues/resume",
    tag = "queues",
    params(PauseParameters),
    responses(
        (status = 200, description = "The pauses that are left", body = Pauses),
        (status = 400, description = "The target is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn resume(
    State(shared): State<Shared>,
    BodyOrQuery(wanted): BodyOrQuery<PauseParameters>,
) -> Result<Json<Pauses>, ApiError> {
    let pauses = shared.engine()?.resume(&wanted.target()?).await?;
    Ok(Json(Pauses { data: PauseList { pauses: rows(pauses) } }))
}

/// The deliveries that are attempted now. At least one member is needed.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct RetryParameters {
    /// The ids of deliveries.
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
    /// Only to this host.
    host: Option<String>,
    /// Only after a failure with this code.
    error_code: Option<String>,
    /// `pending`: all that wait.
    status: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct RetriedCount {
    retried: usize,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    data: RetriedCount,
}

/// Attempt deliveries now that wait for their next attempt
///
/// Paused deliveries stay paused.
#[utoipa::path(
    post,
    path = "/v1/queues/retry-now",
    tag = "queues",
    params(RetryParameters),
    responses(
        (status = 200, description = "The number of deliveries", body = Retried),
        (status = 400, description = "The filter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn retry_now(
    State(shared): State<Shared>,
    BodyOrQuery(wanted): BodyOrQuery<RetryParameters>,
) -> Result<Json<Retried>, ApiError> {
    if wanted.status.as_deref().is_some_and(|status| status != "pending") {
        return Err(ApiError::invalid("status: must be pending"));
    }
    let filter = RetryFilter {
        ids: wanted.ids,
        workflow_id: wanted.workflow_id,
        execution_id: wanted.execution_id,
        step: wanted.step,
        destination: wanted.destination,
        host: wanted.host.map(|host| host.to_ascii_lowercase()),
        error_code: wanted.error_code,
    };
    let filter = filter.checked(wanted.status.is_some())?;
    let retried = shared.engine()?.retry_now(&filter).await?;
    Ok(Json(Retried { data: RetriedCount { retried } }))
}
