//! `GET /v1/settlements`: the log as it is followed.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::deliveries::{DeliveryRow, DeliveryStatus};
use super::parameters::QueryParams;
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use crate::execution::{DeliveryQuery, Detail, SettlementCursor, Status};

/// Settlements of one response.
const MAX_PAGE: u32 = 1000;

/// Filter and place of the settlements.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SettlementParameters {
    /// Only what became terminal after this place: the `cursor` of the response before. Without it there
    /// are no deliveries in the response, and `cursor` is the place after the newest.
    #[param(value_type = Option<String>, pattern = "^set_[0-9a-f]{32}$")]
    #[serde(default, deserialize_with = "cursor")]
    after: Option<SettlementCursor>,
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
    /// `false`: without the bodies of requests and responses.
    #[param(default = true)]
    bodies: Option<bool>,
    /// At most this many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

fn cursor<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SettlementCursor>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let refused = |_| D::Error::custom(format!("after: {text:?} is no cursor of settlements"));
    text.parse().map(Some).map_err(refused)
}

#[derive(Serialize, ToSchema)]
pub(super) struct Settlements {
    data: Vec<DeliveryRow>,
    /// The place after these, for the next request; opaque.
    #[schema(example = "set_0000000000000000000000000000002a")]
    cursor: String,
    /// Deliveries that became terminal in between and that the log has no more, those that the filter
    /// leaves out included. `null`: an unknown number, because `after` is of another engine or too old. With
    /// `journal.postgres` those are not counted whose day was removed.
    dropped: Option<u64>,
}

/// Follow the settlements
///
/// The deliveries that became terminal after a place, each once, in the order of their settlement. With
/// `limit` rows there may be more at once.
#[utoipa::path(
    get,
    path = "/v1/settlements",
    tag = "log",
    params(SettlementParameters),
    responses(
        (status = 200, description = "The deliveries, and the place after them", body = Settlements),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn settlements(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<SettlementParameters>,
) -> Result<Response, ApiError> {
    let limit = asked.limit.unwrap_or(100);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(format!("limit: must be from 1 to {MAX_PAGE}")));
    }
    let query = DeliveryQuery {
        workflow_id: asked.workflow_id,
        execution_id: asked.execution_id,
        step: asked.step,
        destination: asked.destination,
        status: asked.status.map(|status| Status::from(status).as_str().to_owned()),
        limit: Some(limit as usize),
        ..DeliveryQuery::default()
    };
    let detail = if asked.bodies == Some(false) { Detail::Heads } else { Detail::Full };
    let page = shared.engine()?.settled(asked.after, &query, detail).await?;
    let mut response = Body::from(page).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
