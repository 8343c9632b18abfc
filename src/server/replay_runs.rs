//! Replays in progress by REST: how far they are, what they made, and the way to cancel them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::limit_of;
use super::parameters::{Nothing, PathParam, QueryParams};
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use crate::engine::{Replay, ReplayView, Skipped};

/// A replay.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayRow {
    #[schema(example = "rep_01a1fb8ea7247000b22045d20c0bf4a9")]
    id: String,
    #[schema(inline, value_type = ReplayStatus)]
    status: &'static str,
    /// Calls that are handed over.
    replayed: usize,
    /// All calls of the replay, as far as it is known.
    total: usize,
    /// Selected deliveries that cannot be replayed.
    skipped: usize,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    error: Option<String>,
}

/// `cancelled`: the calls that were not handed over stay dead letters. `failed`: `error` has the
/// reason, and the calls until then are handed over.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the spelling of a status, for the OpenAPI document")]
enum ReplayStatus {
    Running,
    Done,
    Cancelled,
    Failed,
}

impl From<ReplayView> for ReplayRow {
    fn from(view: ReplayView) -> Self {
        let ReplayView { id, status, replayed, total, skipped, started_at, ended_at, error } = view;
        Self {
            id,
            status,
            replayed,
            total,
            skipped,
            started_at: started_at.to_string(),
            ended_at: ended_at.map(|at| at.to_string()),
            error,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReplayList {
    data: Vec<ReplayRow>,
}

/// Replays
///
/// Those that run, and the last ones that ended, the newest first.
#[utoipa::path(
    get,
    path = "/v1/replays",
    tag = "log",
    responses(
        (status = 200, description = "The replays", body = ReplayList),
        (status = 400, description = "There is a parameter", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn replays(
    State(shared): State<Shared>,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Json<ReplayList>, ApiError> {
    let data = shared.engine()?.replays().into_iter().map(ReplayRow::from).collect();
    Ok(Json(ReplayList { data }))
}

/// The page of a replay's deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReplayPage {
    /// Leaves out so many of `deliveries`, and of `skips`.
    offset: Option<u32>,
    /// At most this many of each.
    #[param(minimum = 1, maximum = 100, default = 10)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OneReplayRun {
    data: ReplayDetails,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReplayDetails {
    replay: ReplayRow,
    /// The new deliveries, in the order of their calls.
    deliveries: Vec<NewDelivery>,
    /// The deliveries that cannot be replayed.
    skips: Vec<SkippedDelivery>,
    /// The number of all of them for each reason.
    #[schema(value_type = BTreeMap<String, usize>)]
    reasons: BTreeMap<&'static str, usize>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewDelivery {
    id: Uuid,
    /// The failed delivery.
    replay_of: Uuid,
}

#[derive(Serialize, ToSchema)]
struct SkippedDelivery {
    id: Uuid,
    reason: &'static str,
}

/// A replay and its deliveries
#[utoipa::path(
    get,
    path = "/v1/replays/{id}",
    tag = "log",
    params(("id" = String, Path, description = "The replay"), ReplayPage),
    responses(
        (status = 200, description = "The replay", body = OneReplayRun),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 404, description = "The replay is not known, or not any more", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn replay_run(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(page): QueryParams<ReplayPage>,
) -> Result<Json<OneReplayRun>, ApiError> {
    let limit = limit_of(page.limit, 10)?;
    let run = shared.engine()?.replay_run(&id).ok_or_else(unknown)?;
    let (deliveries, skips) = run.page(page.offset.unwrap_or(0) as usize, limit);
    let new = |Replay { id, replay_of }| NewDelivery { id, replay_of };
    let skipped = |Skipped { id, reason }| SkippedDelivery { id, reason };
    let data = ReplayDetails {
        replay: run.view().into(),
        deliveries: deliveries.into_iter().map(new).collect(),
        skips: skips.into_iter().map(skipped).collect(),
        reasons: run.reasons(),
    };
    Ok(Json(OneReplayRun { data }))
}

#[derive(Serialize, ToSchema)]
pub(super) struct CancelledReplay {
    data: ReplayRow,
}

/// Cancel a replay
///
/// No more calls are handed over: those that are not stay dead letters. A replay that ended stays as it
/// is.
#[utoipa::path(
    delete,
    path = "/v1/replays/{id}",
    tag = "log",
    params(("id" = String, Path, description = "The replay")),
    responses(
        (status = 200, description = "The replay; it ends soon", body = CancelledReplay),
        (status = 400, description = "There is a parameter", body = Problem),
        (status = 404, description = "The replay is not known, or not any more", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn cancel_replay(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Json<CancelledReplay>, ApiError> {
    let run = shared.engine()?.replay_run(&id).ok_or_else(unknown)?;
    run.cancel();
    Ok(Json(CancelledReplay { data: run.view().into() }))
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such replay, or it is not kept any more")
}
