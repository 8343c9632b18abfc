//! Dead letters by REST: their replay and their dismissal.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::access::Grant;
use super::parameters::{BodyOrQuery, PathParam};
use super::replay_runs::ReplayRow;
use super::response::{ApiError, Problem};
use super::search;
use super::state::Shared;
use super::webhooks::flag;
use crate::config::server::TokenRole;
use crate::engine::{ReplayPlan, ReplayRequest, Replayed};
use crate::execution::{DeliveryQuery, Force, Selection};

/// The new delivery of a replay.
#[derive(Serialize, ToSchema)]
pub(super) struct OneReplayed {
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

/// The options of the replay of one call.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct OneReplay {
    /// Also if the call was delivered by a replay, or dismissed.
    #[serde(default, deserialize_with = "force")]
    force: Option<bool>,
}

fn force<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag("force", from)
}

fn dry_run<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag("dry_run", from)
}

fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag("wait", from)
}

fn forced(force: Option<bool>) -> Force {
    if force == Some(true) { Force::Resolved } else { Force::No }
}

/// Replay a failed delivery
///
/// As a new delivery of the same call, which names the old one. Its requests have the id of the
/// call's first delivery as their `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/replay",
    tag = "log",
    params(("id" = Uuid, Path, description = "A failed delivery, or a replay of it"), OneReplay),
    responses(
        (status = 200, description = "The new delivery", body = OneReplayed),
        (status = 400, description = "This is no delivery's id", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 404, description = "It cannot be replayed; the message has the reason", body = Problem),
        (status = 503, description = "The engine is closed, or its journal is full", body = Problem),
    ),
)]
pub(super) async fn replay(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    BodyOrQuery(options): BodyOrQuery<OneReplay>,
) -> Result<Json<OneReplayed>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::invalid("id: is not the id of a delivery"))?;
    let selection = Selection::Ids(vec![id], forced(options.force));
    let engine = shared.engine()?;
    let mut result = engine.replay(&selection, &engine.begin_replay()).await?;
    let Some(new) = result.replayed.pop() else {
        let reason = result.skipped.first().map(|skipped| skipped.reason);
        return Err(ApiError::not_found(
            reason.unwrap_or("the log has no failed delivery with this id"),
        ));
    };
    Ok(Json(OneReplayed { data: Replay { id: new.id, replay_of: new.replay_of } }))
}

/// Reads ids: a JSON array, or one text with commas.
pub(super) fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Uuid>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        Array(Vec<String>),
        Text(String),
    }
    let refused = |_| D::Error::custom("ids: must be a list of ids");
    let texts = match Option::<Ids>::deserialize(from).map_err(refused)? {
        None => return Ok(None),
        Some(Ids::Array(texts)) => texts,
        Some(Ids::Text(text)) => text.split(',').map(str::to_owned).collect(),
    };
    let parsed = texts.iter().map(|text| {
        text.parse().map_err(|_| D::Error::custom(format!("ids: {text:?} is not an id")))
    });
    parsed.collect::<Result<_, _>>().map(Some)
}

/// Reads a number, which a query string has as a text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u32),
        Text(String),
    }
    let refused = || D::Error::custom("limit: must be a whole number");
    match Option::<Number>::deserialize(from).map_err(|_| refused())? {
        None => Ok(None),
        Some(Number::Number(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => text.parse().map(Some).map_err(|_| refused()),
    }
}

/// The dead letters that are selected: by `plan`, by `ids`, or by the other members. At least one is
/// needed.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLetters {
    /// The `id` of a plan, of which the last 16 are kept: its calls, without those that are resolved
    /// since.
    plan: Option<String>,
    /// The ids of deliveries, each of which stands for its call.
    #[serde(default, deserialize_with = "ids")]
    ids: Option<Vec<Uuid>>,
    /// With `ids`: also calls that were delivered by a replay, or dismissed.
    #[serde(default, deserialize_with = "force")]
    force: Option<bool>,
    /// Only of this workflow.
    workflow_id: Option<String>,
    /// Only of this execution.
    execution_id: Option<String>,
    /// Only of this step.
    step: Option<String>,
    /// Only to this destination.
    destination: Option<String>,
    /// `failed`: all dead letters.
    status: Option<String>,
    /// Only those that this finds, see `/v1/deliveries`.
    search: Option<String>,
    /// Only what comes after this cursor, that is older deliveries.
    after: Option<Uuid>,
    /// At most this many, the newest.
    #[param(value_type = u64, minimum = 0, maximum = 4_294_967_295u64)]
    #[serde(default, deserialize_with = "number")]
    limit: Option<u32>,
    /// Returns the plan, and replays nothing.
    #[serde(default, deserialize_with = "dry_run")]
    dry_run: Option<bool>,
    /// `false`: responds at once, with 202 and the replay, which goes on. Default: responds when all
    /// calls are handed over.
    #[serde(default, deserialize_with = "wait")]
    wait: Option<bool>,
}

impl DeadLetters {
    fn request(self) -> Result<ReplayRequest, ApiError> {
        let Some(plan) = &self.plan else { return Ok(ReplayRequest::Selection(self.selection()?)) };
        if self.ids.is_some() || self.force.is_some() || self.has_filter() {
            return Err(ApiError::invalid("plan: excludes ids, force and filters"));
        }
        Ok(ReplayRequest::Plan(plan.clone()))
    }

    const fn has_filter(&self) -> bool {
        self.workflow_id.is_some()
            || self.execution_id.is_some()
            || self.step.is_some()
            || self.destination.is_some()
            || self.status.is_some()
            || self.search.is_some()
            || self.after.is_some()
            || self.limit.is_some()
    }

    fn selection(self) -> Result<Selection, ApiError> {
        let has_filter = self.has_filter();
        match self.ids {
            Some(_) if has_filter => Err(ApiError::invalid("give either ids or a filter")),
            Some(ids) => Ok(Selection::Ids(ids, forced(self.force))),
            None if self.force.is_some() => Err(ApiError::invalid("force: only together with ids")),
            None if !has_filter => {
                Err(ApiError::invalid("give ids, or a filter such as status=failed"))
            }
            None if self.status.as_deref().is_some_and(|status| status != "failed") => {
                Err(ApiError::invalid("status: must be failed"))
            }
            None => Ok(Selection::Query(DeliveryQuery {
                ids: None,
                workflow_id: self.workflow_id,
                execution_id: self.execution_id,
                execution: None,
                step: self.step,
                destination: self.destination,
                status: self.status,
                limit: Some(self.limit.map_or(usize::MAX >> 1, |limit| limit as usize)),
                before: self.after,
                settled_since: None,
                search: self.search.as_deref().map(search::read).transpose()?,
            })),
        }
    }
}

/// The result of a replay, its plan, or the replay that goes on.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ReplayData {
    /// The result.
    Result(Replayed),
    /// The plan.
    Plan(ReplayPlan),
    /// The replay that goes on.
    Run(ReplayRow),
}

#[derive(Serialize)]
pub(super) struct ReplayResponse {
    data: ReplayData,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReplayShape {
    /// `replayed`, `skipped` and `cancelled`; with `dry_run` the plan: `id`, `count`, `bytes`, `hosts`,
    /// `errors`, `oldest`, `skipped` and `reasons`: the number of skipped deliveries for each reason.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReplayStarted {
    data: ReplayRow,
}

/// Replay dead letters
///
/// Each unresolved call once, in their original order, as new deliveries. With `wait=false` the response
/// has the `id` for `/v1/replays/{id}`: its progress, and the way to cancel it.
#[utoipa::path(
    post,
    path = "/v1/replays",
    tag = "log",
    params(DeadLetters),
    responses(
        (status = 200, description = "The new deliveries, or the plan", body = ReplayShape),
        (status = 202, description = "The replay goes on", body = ReplayStarted),
        (status = 400, description = "The selection is wrong", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 503, description = "The engine is closed, or its journal is full", body = Problem),
    ),
)]
pub(super) async fn replay_all(
    State(shared): State<Shared>,
    Extension(grant): Extension<Grant>,
    BodyOrQuery(wanted): BodyOrQuery<DeadLetters>,
) -> Result<(StatusCode, Json<ReplayResponse>), ApiError> {
    let (dry_run, waits) = (wanted.dry_run == Some(true), wanted.wait != Some(false));
    if !dry_run && grant.role == TokenRole::Read {
        return Err(ApiError::reads_only());
    }
    let engine = shared.engine()?;
    let selection = engine.selection_of(wanted.request()?)?;
    let (status, data) = if dry_run {
        (StatusCode::OK, ReplayData::Plan(engine.plan_replay(&selection).await?))
    } else if waits {
        let result = engine.replay(&selection, &engine.begin_replay()).await?;
        (StatusCode::OK, ReplayData::Result(result))
    } else {
        let run = engine.begin_replay();
        let row = ReplayRow::from(run.view());
        engine.runtime().clone().spawn(async move {
            // The replay itself keeps its error.
            let _ = engine.replay(&selection, &run).await;
        });
        (StatusCode::ACCEPTED, ReplayData::Run(row))
    };
    Ok((status, Json(ReplayResponse { data })))
}

/// The number of dismissed calls.
#[derive(Serialize, ToSchema)]
pub(super) struct Dismissed {
    data: DismissedCount,
}

#[derive(Serialize, ToSchema)]
struct DismissedCount {
    dismissed: usize,
}

/// Dismiss dead letters
///
/// They stay in the log, and no filter selects them for a replay.
#[utoipa::path(
    post,
    path = "/v1/dismissals",
    tag = "log",
    params(DeadLetters),
    responses(
        (status = 200, description = "The number of dismissed calls", body = Dismissed),
        (status = 400, description = "The selection is wrong", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 503, description = "The engine is closed", body = Problem),
    ),
)]
pub(super) async fn dismiss(
    State(shared): State<Shared>,
    BodyOrQuery(wanted): BodyOrQuery<DeadLetters>,
) -> Result<Json<Dismissed>, ApiError> {
    if wanted.force.is_some() || wanted.dry_run.is_some() || wanted.wait.is_some() {
        return Err(ApiError::invalid("force, dry_run, wait: not with dismissals"));
    }
    let engine = shared.engine()?;
    let selection = engine.selection_of(wanted.request()?)?;
    let dismissed = engine.dismiss(&selection).await?;
    Ok(Json(Dismissed { data: DismissedCount { dismissed } }))
}
