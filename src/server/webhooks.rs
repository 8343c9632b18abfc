//! Webhooks: made, changed, listed and removed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{BodyOrQuery, Nothing, PathParam, QueryParams};
use super::response::{ApiError, CommonErrors, Data, Page, PageInfo, Problem};
use super::state::Shared;
use super::subscriptions::ListParameters;
use crate::redact::redact_url;
use crate::streams::{OVERLAP_S, Registration, Webhook, WebhookChange, WebhookState};
use crate::time::Timestamp;

/// The maximum overlap of secrets: 30 days.
const MAX_OVERLAP_S: u64 = 30 * OVERLAP_S;

/// A URL that events are sent to.
#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct WebhookParameters {
    /// The URL that events are sent to. Credentials in it are sent, and shown nowhere.
    #[param(format = "uri", example = "https://example.com/hook", required = true)]
    #[serde(default)]
    url: String,
    /// A name, for people.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: Option<String>,
    /// A description, for people.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// The secret that requests are signed with, as Standard Webhooks has it: `whsec_` and the
    /// base64 of 24 to 64 bytes, or `generate` for one that is drawn. Default: requests are not
    /// signed.
    #[param(
        pattern = r"^(generate|whsec_(([A-Za-z0-9+/]{4}){8,21}|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|([A-Za-z0-9+/]{4}){8,21}[A-Za-z0-9+/][AQgw]==))$"
    )]
    secret: Option<String>,
}

/// Changes of a webhook. What is not given stays as it is.
#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeParameters {
    /// The URL that events are sent to, including those that wait already. They are attempted at
    /// once.
    #[param(format = "uri", example = "https://example.com/hook")]
    url: Option<String>,
    /// A name, for people; empty for none.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: Option<String>,
    /// A description, for people; empty for none.
    #[param(max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    description: Option<String>,
    /// `false` pauses the webhook: its deliveries wait. `true` resumes or enables it: what waits is
    /// attempted at once.
    #[serde(default, deserialize_with = "active")]
    active: Option<bool>,
    /// A new secret, or `generate`. Requests are signed with the earlier one, too, for
    /// `secret_overlap_s`.
    #[param(
        pattern = r"^(generate|whsec_(([A-Za-z0-9+/]{4}){8,21}|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|([A-Za-z0-9+/]{4}){8,21}[A-Za-z0-9+/][AQgw]==))$"
    )]
    secret: Option<String>,
    /// Seconds for which earlier secrets stay valid at most; 0 ends all of them at once. Default,
    /// with a new secret: a day.
    #[param(maximum = 2_592_000)]
    #[serde(default, deserialize_with = "number")]
    secret_overlap_s: Option<u64>,
}

fn active<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag("active", from)
}

/// Reads the boolean of a parameter, which a query string has as a text.
pub(super) fn flag<'de, D: Deserializer<'de>>(
    name: &str,
    from: D,
) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Text(String),
    }
    let refused = || D::Error::custom(format!("{name}: must be true or false"));
    match Option::<Flag>::deserialize(from).map_err(|_| refused())? {
        None => Ok(None),
        Some(Flag::Bool(flag)) => Ok(Some(flag)),
        Some(Flag::Text(text)) => text.parse().map(Some).map_err(|_| refused()),
    }
}

/// Reads a whole number, which a query string has as a text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u64),
        Text(String),
    }
    let refused = || {
        let range = format!("a whole number from 0 to {MAX_OVERLAP_S}");
        D::Error::custom(format!("secret_overlap_s: must be {range}"))
    };
    let number = match Option::<Number>::deserialize(from).map_err(|_| refused())? {
        None => return Ok(None),
        Some(Number::Number(number)) => number,
        Some(Number::Text(text)) => text.parse().map_err(|_| refused())?,
    };
    if number > MAX_OVERLAP_S { Err(refused()) } else { Ok(Some(number)) }
}

/// The state of deliveries to a webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Activity {
    /// Events are sent.
    Active,
    /// Events wait until it is resumed.
    Paused,
    /// No events are sent: its receiver responded with 410 Gone.
    Disabled,
}

#[derive(Serialize, ToSchema)]
pub(super) struct WebhookView {
    #[schema(example = "wh_0197f0c2a4d87d0f9c1a2b3c4d5e6f70")]
    id: String,
    /// Without credentials, and without the values of query parameters that look like secrets.
    url: String,
    name: Option<String>,
    description: Option<String>,
    /// True if events are sent to it.
    active: bool,
    state: Activity,
    /// The reason why it is disabled.
    state_reason: Option<String>,
    /// The time since when it is paused or disabled, in seconds since 1970.
    state_since: Option<u64>,
    /// True if requests are signed.
    signed: bool,
    /// The secret that they are signed with; shown once, in the response to the request that set
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The time when the last of the replaced secrets expires, in seconds since 1970; `null` if
    /// none is valid beside the present one.
    previous_secret_valid_until: Option<u64>,
    /// Seconds since 1970.
    created_at: u64,
    /// Seconds since 1970.
    updated_at: u64,
}

/// The secret in a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Shown,
    Hidden,
}

impl WebhookView {
    fn new(webhook: &Webhook, secret: Secret) -> Self {
        let (state, state_since, state_reason) = match &webhook.state {
            WebhookState::Active => (Activity::Active, None, None),
            WebhookState::Paused { since } => (Activity::Paused, Some(*since), None),
            WebhookState::Disabled { since, reason } => {
                (Activity::Disabled, Some(*since), Some(reason.clone()))
            }
        };
        Self {
            id: webhook.id.clone(),
            url: shown(&webhook.url),
            name: webhook.name.clone(),
            description: webhook.description.clone(),
            active: webhook.state == WebhookState::Active,
            state,
            state_reason,
            state_since,
            signed: webhook.secret.is_some(),
            secret: webhook.secret.clone().filter(|_| secret == Secret::Shown),
            previous_secret_valid_until: webhook.replaced_until(now()),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at.unwrap_or(webhook.created_at),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct WebhookList {
    page_info: PageInfo,
    data: Vec<WebhookView>,
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
        CommonErrors,
    ),
)]
pub(super) async fn make_webhook(
    State(shared): State<Shared>,
    BodyOrQuery(given): BodyOrQuery<WebhookParameters>,
) -> Result<Json<Data<WebhookView>>, ApiError> {
    let engine = shared.engine()?;
    let WebhookParameters { url, name, description, secret } = given;
    let url = Some(checked_url(url)?);
    let secret = secret.map(checked_secret).transpose()?;
    let members = WebhookChange { url, name, description, secret, ..WebhookChange::default() };
    let webhook = engine.subscriptions().webhook(members, Timestamp::now())?;
    engine.register(Registration::Webhook(webhook.clone())).await?;
    Ok(Json(Data { data: WebhookView::new(&webhook, Secret::Shown) }))
}

/// Change a webhook
///
/// The change applies to what waits already. The parameters may also be a JSON object in the body.
#[utoipa::path(
    patch,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook", example = "wh_abc123"), ChangeParameters),
    responses(
        (status = 200, description = "The webhook as it is now", body = Data<WebhookView>),
        (status = 400, description = "A parameter is wrong", body = Problem),
        (status = 404, description = "There is no such webhook", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is no JSON", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn change_webhook(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    BodyOrQuery(given): BodyOrQuery<ChangeParameters>,
) -> Result<Json<Data<WebhookView>>, ApiError> {
    let engine = shared.engine()?;
    let ChangeParameters { url, name, description, active, secret, secret_overlap_s } = given;
    let url = url.map(checked_url).transpose()?;
    let secret = secret.map(checked_secret).transpose()?;
    let shown = if secret.is_some() { Secret::Shown } else { Secret::Hidden };
    let change = WebhookChange { url, name, description, active, secret, secret_overlap_s };
    let webhook = engine.change_webhook(&id, change).await?.ok_or_else(no_webhook)?;
    Ok(Json(Data { data: WebhookView::new(&webhook, shown) }))
}

/// One webhook
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook", example = "wh_abc123")),
    responses(
        (status = 200, description = "The webhook", body = Data<WebhookView>),
        (status = 400, description = "The path cannot be read, or there is a parameter", body = Problem),
        (status = 404, description = "There is no such webhook", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn webhook(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<Json<Data<WebhookView>>, ApiError> {
    let webhook = shared.engine()?.subscriptions().find_webhook(&id).ok_or_else(no_webhook)?;
    Ok(Json(Data { data: WebhookView::new(&webhook, Secret::Hidden) }))
}

/// Remove a webhook
///
/// The subscriptions that lead to it go with it, and what waits for it fails.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook", example = "wh_abc123")),
    responses(
        (status = 204, description = "It is no more"),
        (status = 400, description = "The path cannot be read, or there is a parameter", body = Problem),
        (status = 404, description = "There is no such webhook", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn remove_webhook(
    State(shared): State<Shared>,
    PathParam(id): PathParam,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<StatusCode, ApiError> {
    let engine = shared.engine()?;
    let ids = engine.subscriptions().ids_of_webhook(&id).ok_or_else(no_webhook)?;
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
        CommonErrors,
    ),
)]
pub(super) async fn webhooks(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<ListParameters>,
) -> Result<Json<Page<WebhookView>>, ApiError> {
    let all = shared.engine()?.subscriptions().webhooks();
    let view = |webhook: &Webhook| WebhookView::new(webhook, Secret::Hidden);
    let rows = all.iter().map(|webhook| (webhook.id.clone(), view(webhook)));
    asked.page(rows.collect()).map(Json)
}

fn no_webhook() -> ApiError {
    ApiError::not_found("there is no such webhook")
}

fn now() -> u64 {
    Timestamp::now().as_millis() / 1000
}

/// Returns a URL without its secrets, and as it was given if it has none.
fn shown(url: &str) -> String {
    let Ok(parsed) = url::Url::parse(url) else { return String::new() };
    let redacted = redact_url(&parsed);
    if redacted == parsed.as_str() { url.to_owned() } else { redacted }
}

fn checked_url(url: String) -> Result<String, ApiError> {
    let parsed = url::Url::parse(&url).ok();
    let fine = parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if fine { Ok(url) } else { Err(ApiError::invalid("url: must be an http or https URL")) }
}

fn checked_secret(secret: String) -> Result<String, ApiError> {
    if secret == "generate" {
        let mut bytes = [0; 32];
        let drawn = aws_lc_rs::rand::fill(&mut bytes);
        drawn.map_err(|_| ApiError::invalid("secret: the system has no random numbers"))?;
        return Ok(format!("whsec_{}", STANDARD.encode(bytes)));
    }
    let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    if bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len())) {
        return Ok(secret);
    }
    let message = "secret: must be `generate`, or `whsec_` and the base64 of 24 to 64 bytes";
    Err(ApiError::invalid(message))
}
