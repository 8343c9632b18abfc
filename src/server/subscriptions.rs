//! Subscriptions to emitted events, and webhooks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Data, Page, PageInfo, Problem, Refusals, Refused};
use super::limit_of;
use super::parameters::{Asked, Given, Nothing, Segment};
use super::state::Shared;
use crate::streams::{Registration, Subscription, Webhook};

/// Who is told of what.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct SubscriptionParameters {
    /// The workflow that emits; `*` stands for any characters.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "p_abc123",
        required = true
    )]
    #[serde(default)]
    emitter_id: String,
    /// The webhook (`wh_…`), or the name of a listener in the process.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "p_def456",
        required = true
    )]
    #[serde(default)]
    listener_id: String,
    /// The channel; without one, events that have none. `$errors`: executions that failed.
    #[param(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
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
        Refusals,
    ),
)]
pub(super) async fn subscribe(
    State(shared): State<Shared>,
    Given(given): Given<SubscriptionParameters>,
) -> Result<Json<Data<SubscriptionView>>, Refused> {
    let engine = shared.engine()?;
    let name = given.event_name.as_deref().unwrap_or_default();
    let subscription =
        engine.subscriptions().subscription(&given.emitter_id, &given.listener_id, name)?;
    engine.register(Registration::Subscription(subscription.clone())).await?;
    Ok(Json(Data { data: subscription.into() }))
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
        Refusals,
    ),
)]
pub(super) async fn unsubscribe(
    State(shared): State<Shared>,
    Given(given): Given<SubscriptionParameters>,
) -> Result<StatusCode, Refused> {
    let engine = shared.engine()?;
    let name = given.event_name.as_deref().unwrap_or_default();
    let found = engine.subscriptions().find(&given.emitter_id, &given.listener_id, name);
    let found = found.ok_or_else(|| Refused::not_found("there is no such subscription"))?;
    engine.unregister(vec![found.id]).await?;
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
    fn page<T>(&self, all: Vec<(String, T)>) -> Result<Page<T>, Refused> {
        let limit = self.limit.map_or(Ok(usize::MAX), |limit| limit_of(Some(limit), limit))?;
        let given = self.after.as_deref();
        let after = given.map_or(Some(""), number_of).ok_or_else(|| {
            let given = given.unwrap_or_default();
            Refused::invalid(format!("after: {given:?} is not a cursor of this list"))
        })?;
        let total = all.len();
        let rest = all
            .into_iter()
            .skip_while(|(id, _)| number_of(id).is_some_and(|number| number <= after));
        Ok(Page::new(total, rest.take(limit).collect()))
    }
}

/// The number in the id of a subscription or a webhook.
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

#[derive(Serialize, ToSchema)]
pub(super) struct WebhookList {
    page_info: PageInfo,
    data: Vec<WebhookView>,
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
        Refusals,
    ),
)]
pub(super) async fn subscriptions(
    State(shared): State<Shared>,
    Asked(asked): Asked<ListParameters>,
) -> Result<Json<Page<SubscriptionView>>, Refused> {
    let all = shared.engine()?.subscriptions().subscriptions();
    let rows = all.into_iter().map(|subscription| (subscription.id.clone(), subscription.into()));
    asked.page(rows.collect()).map(Json)
}

/// A URL that events are sent to.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct WebhookParameters {
    /// Where events go.
    #[param(format = "uri", example = "https://example.com/hook", required = true)]
    #[serde(default)]
    url: String,
    /// A name, for people.
    #[param(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: Option<String>,
    /// A description, for people.
    #[param(max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// What requests are signed with, as Standard Webhooks has it: `whsec_` and the base64 of 24 to
    /// 64 bytes, or `generate` for one that is drawn. Default: requests are not signed.
    #[param(pattern = r"^(generate|whsec_([A-Za-z0-9+/]{4}){8,21})$")]
    secret: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookView {
    #[schema(example = "wh_0197f0c2a4d87d0f9c1a2b3c4d5e6f70")]
    id: String,
    url: String,
    name: Option<String>,
    description: Option<String>,
    /// Whether events are sent to it.
    active: bool,
    /// Whether requests are signed.
    signed: bool,
    /// What they are signed with; it is shown once, when the webhook is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Seconds since 1970.
    created_at: u64,
    /// Seconds since 1970.
    updated_at: u64,
}

impl WebhookView {
    fn new(webhook: &Webhook, with_secret: bool) -> Self {
        Self {
            id: webhook.id.clone(),
            url: webhook.url.clone(),
            name: webhook.name.clone(),
            description: webhook.description.clone(),
            active: true,
            signed: webhook.secret.is_some(),
            secret: if with_secret { webhook.secret.clone() } else { None },
            created_at: webhook.created_at,
            updated_at: webhook.created_at,
        }
    }
}

/// Make a webhook
///
/// It gets the events of the emitters that it is subscribed to: each is the body of a POST request.
/// The parameters may also be a JSON object in the body.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    tag = "webhooks",
    params(WebhookParameters),
    responses(
        (status = 200, description = "The webhook", body = Data<WebhookView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        Refusals,
    ),
)]
pub(super) async fn make_webhook(
    State(shared): State<Shared>,
    Given(given): Given<WebhookParameters>,
) -> Result<Json<Data<WebhookView>>, Refused> {
    let engine = shared.engine()?;
    let WebhookParameters { url, name, description, secret } = given;
    check_url(&url)?;
    let secret = secret.map(checked_secret).transpose()?;
    let webhook = engine.subscriptions().webhook(&url, name, description, secret)?;
    engine.register(Registration::Webhook(webhook.clone())).await?;
    Ok(Json(Data { data: WebhookView::new(&webhook, true) }))
}

/// Remove a webhook
///
/// The subscriptions that lead to it go with it. What is on its way is still delivered.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook", example = "wh_abc123")),
    responses(
        (status = 204, description = "It is no more"),
        (status = 400, description = "The path cannot be read, or there is a parameter", body = Problem),
        (status = 404, description = "There is no such webhook", body = Problem),
        Refusals,
    ),
)]
pub(super) async fn remove_webhook(
    State(shared): State<Shared>,
    Segment(id): Segment,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<StatusCode, Refused> {
    let engine = shared.engine()?;
    let ids = engine.subscriptions().ids_of_webhook(&id);
    let ids = ids.ok_or_else(|| Refused::not_found("there is no such webhook"))?;
    engine.unregister(ids).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every webhook
///
/// In the order in which they were made.
#[utoipa::path(
    get,
    path = "/v1/users/me/webhooks",
    tag = "webhooks",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of them", body = WebhookList),
        (status = 400, description = "A parameter is wrong", body = Problem),
        Refusals,
    ),
)]
pub(super) async fn webhooks(
    State(shared): State<Shared>,
    Asked(asked): Asked<ListParameters>,
) -> Result<Json<Page<WebhookView>>, Refused> {
    let all = shared.engine()?.subscriptions().webhooks();
    let rows = all.iter().map(|webhook| (webhook.id.clone(), WebhookView::new(webhook, false)));
    asked.page(rows.collect()).map(Json)
}

fn check_url(url: &str) -> Result<(), Refused> {
    let parsed = url::Url::parse(url).ok();
    let fine = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if fine { Ok(()) } else { Err(Refused::invalid("url: must be an http or https URL")) }
}

fn checked_secret(secret: String) -> Result<String, Refused> {
    if secret == "generate" {
        let mut bytes = [0; 32];
        let drawn = aws_lc_rs::rand::fill(&mut bytes);
        drawn.map_err(|_| Refused::invalid("secret: the system has no random numbers"))?;
        return Ok(format!("whsec_{}", STANDARD.encode(bytes)));
    }
    let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    if bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len())) {
        return Ok(secret);
    }
    let message = "secret: must be `generate`, or `whsec_` and the base64 of 24 to 64 bytes";
    Err(Refused::invalid(message))
}
