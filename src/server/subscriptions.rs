//! Subscriptions to emitted events.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::limit_of;
use super::parameters::{BodyOrQuery, QueryParams};
use super::response::{ApiError, CommonErrors, Data, Page, PageInfo, Problem, Total};
use super::state::Shared;
use crate::streams::{Registration, Subscription};

/// A listener and the events that it subscribes to.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct SubscriptionParameters {
    /// The workflow that emits; `*` stands for any characters.
    #[param(
        min_length = 1,
        max_length = 1024,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "p_abc123",
        required = true
    )]
    #[serde(default)]
    emitter_id: String,
    /// The webhook (`wh_…`), or the name of a listener in the process.
    #[param(
        min_length = 1,
        max_length = 1024,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "p_def456",
        required = true
    )]
    #[serde(default)]
    listener_id: String,
    /// The channel; without one, events that have none. `$errors`: executions that failed.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    event_name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionView {
    #[schema(example = "sub_0197f0c2a4d87d0f9c1a2b3c4d5e6f70")]
    id: String,
    emitter_id: String,
    listener_id: String,
    event_name: String,
}

impl From<Subscription> for SubscriptionView {
    fn from(subscription: Subscription) -> Self {
        let Subscription { id, emitter_id, listener_id, event_name } = subscription;
        Self { id, emitter_id, listener_id, event_name }
    }
}

/// Subscribe a listener to a workflow's events
///
/// The same subscription again is the one that is there. The parameters may also be a JSON object in
/// the body.
#[utoipa::path(
    post,
    path = "/v1/subscriptions",
    tag = "subscriptions",
    params(SubscriptionParameters),
    responses(
        (status = 200, description = "The subscription", body = Data<SubscriptionView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn subscribe(
    State(shared): State<Shared>,
    BodyOrQuery(given): BodyOrQuery<SubscriptionParameters>,
) -> Result<Json<Data<SubscriptionView>>, ApiError> {
    let engine = shared.engine()?;
    let name = given.event_name.as_deref().unwrap_or_default();
    let subscription =
        engine.subscriptions().subscription(&given.emitter_id, &given.listener_id, name)?;
    engine.register(Registration::Subscription(subscription.clone())).await?;
    Ok(Json(Data { data: subscription.into() }))
}

/// The listener of every workflow.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct AutoSubscriptionParameters {
    /// The webhook (`wh_…`), or the name of a listener in the process.
    #[param(
        min_length = 1,
        max_length = 1024,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "p_def456",
        required = true
    )]
    #[serde(default)]
    listener_id: String,
    /// The channel; without one, events that have none. `$errors`: executions that failed.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    event_name: Option<String>,
}

/// Subscribe a listener to the events of all workflows
///
/// Those to come included: the same as a subscription to `*`. The parameters may also be a JSON object
/// in the body.
#[utoipa::path(
    post,
    path = "/v1/auto_subscriptions",
    tag = "subscriptions",
    params(AutoSubscriptionParameters),
    responses(
        (status = 200, description = "The subscription", body = Data<SubscriptionView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn auto_subscribe(
    state: State<Shared>,
    BodyOrQuery(given): BodyOrQuery<AutoSubscriptionParameters>,
) -> Result<Json<Data<SubscriptionView>>, ApiError> {
    let AutoSubscriptionParameters { listener_id, event_name } = given;
    let emitter_id = "*".to_owned();
    subscribe(state, BodyOrQuery(SubscriptionParameters { emitter_id, listener_id, event_name }))
        .await
}

/// End a subscription
#[utoipa::path(
    delete,
    path = "/v1/subscriptions",
    tag = "subscriptions",
    params(SubscriptionParameters),
    responses(
        (status = 204, description = "It is no more"),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 404, description = "There is no such subscription", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn unsubscribe(
    State(shared): State<Shared>,
    BodyOrQuery(given): BodyOrQuery<SubscriptionParameters>,
) -> Result<StatusCode, ApiError> {
    let engine = shared.engine()?;
    let name = given.event_name.as_deref().unwrap_or_default();
    let ids = engine.subscriptions().ids_of(&given.emitter_id, &given.listener_id, name);
    if ids.is_empty() {
        return Err(ApiError::not_found("there is no such subscription"));
    }
    engine.unregister(ids).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Part of a list that is ordered by ids.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParameters {
    /// At most this many. Default: all.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Only what comes after this cursor.
    #[param(pattern = r"^(sub|wh)_[0-9a-f]{32}$")]
    after: Option<String>,
}

impl ListParameters {
    /// Returns the page of `all`, whose ids ascend. A cursor is the time-ordered number in an id,
    /// whichever list it comes from.
    pub(super) fn page<T>(&self, all: Vec<(String, T)>) -> Result<Page<T>, ApiError> {
        let limit = self.limit.map_or(Ok(usize::MAX), |limit| limit_of(Some(limit), limit))?;
        let given = self.after.as_deref();
        let after = given.map_or(Some(""), number_of).ok_or_else(|| {
            let given = given.unwrap_or_default();
            ApiError::invalid(format!("after: {given:?} is not a cursor of this list"))
        })?;
        let total = all.len();
        let rest = all
            .into_iter()
            .skip_while(|(id, _)| number_of(id).is_some_and(|number| number <= after));
        Ok(Page::new(Total::Known(total), rest.take(limit).collect()))
    }
}

/// Returns the number in the id of a subscription or a webhook.
fn number_of(id: &str) -> Option<&str> {
    let digits = id.strip_prefix("sub_").or_else(|| id.strip_prefix("wh_"))?;
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == 32 && digits.bytes().all(is_digit)).then_some(digits)
}

#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionList {
    page_info: PageInfo,
    data: Vec<SubscriptionView>,
}

/// Every subscription
///
/// In the order in which they were made.
#[utoipa::path(
    get,
    path = "/v1/users/me/subscriptions",
    tag = "subscriptions",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of them", body = SubscriptionList),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn subscriptions(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<ListParameters>,
) -> Result<Json<Page<SubscriptionView>>, ApiError> {
    let all = shared.engine()?.subscriptions().subscriptions();
    let rows = all.into_iter().map(|subscription| (subscription.id.clone(), subscription.into()));
    asked.page(rows.collect()).map(Json)
}
