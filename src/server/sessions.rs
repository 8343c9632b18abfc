//! `/session`: the sign-in of the page.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Grant;
use super::parameters::{JsonBody, Nothing, QueryParams};
use super::response::{ApiError, Problem};
use super::state::Shared;
use crate::error::ErrorKind;

/// The path of the routes.
pub(super) const SESSION: &str = "/session";

/// The permission of a client.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionState {
    /// `true` if requests like this one are authorized.
    authenticated: bool,
    /// `true` if the server has tokens.
    required: bool,
    /// `read` or `act`; absent unless authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    role: Option<RoleName>,
    /// `true` if the operator allows test calls (`server.try`).
    r#try: bool,
    /// The version of the server; absent unless authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Read,
    Act,
}

impl From<crate::config::server::TokenRole> for RoleName {
    fn from(role: crate::config::server::TokenRole) -> Self {
        match role {
            crate::config::server::TokenRole::Read => Self::Read,
            crate::config::server::TokenRole::Act => Self::Act,
        }
    }
}

/// The permission of this client
#[utoipa::path(
    get,
    path = "/session",
    tag = "session",
    responses(
        (status = 200, description = "The permission", body = SessionState),
        (status = 400, description = "There is a parameter", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
    ),
    security(("bearer" = []), ("session" = []), ()),
)]
pub(super) async fn session(
    State(shared): State<Shared>,
    grant: Option<Extension<Grant>>,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> impl IntoResponse {
    let role = grant.map(|grant| grant.role);
    let state = SessionState {
        authenticated: role.is_some(),
        required: shared.access().requires_token(),
        role: role.map(RoleName::from),
        r#try: shared.allows_test_calls(),
        version: role.map(|_| env!("CARGO_PKG_VERSION")),
    };
    ([(CACHE_CONTROL, "no-store")], Json(state))
}

/// The token to sign in with.
#[derive(Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// One of `server.tokens`.
    token: String,
}

/// Sign in
///
/// Sets an `HttpOnly`, `SameSite=Strict` cookie for 12 hours. The page of another origin cannot.
#[utoipa::path(
    post,
    path = "/session",
    tag = "session",
    request_body = SignIn,
    responses(
        (status = 204, description = "The cookie is set; without server.tokens, none is needed"),
        (status = 400, description = "The body has no token", body = Problem),
        (status = 401, description = "The server has no such token", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 415, description = "The body is not JSON", body = Problem),
    ),
    security(()),
)]
pub(super) async fn sign_in(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<SignIn>,
) -> Result<Response, ApiError> {
    let access = shared.access();
    if !access.requires_token() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(role) = access.role_of(asked.token.as_bytes()) else {
        let message = "the server has no such token: see server.tokens";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, ErrorKind::InvalidArgument, message));
    };
    Ok(with_cookie(&access.sign_in(role, &headers, &uri)?))
}

/// Sign out
///
/// Ends the session of the cookie, and its streams.
#[utoipa::path(
    delete,
    path = "/session",
    tag = "session",
    responses(
        (status = 204, description = "There is no session any more"),
        (status = 400, description = "There is a parameter", body = Problem),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
    ),
    security(("session" = []), ()),
)]
pub(super) async fn sign_out(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Response {
    with_cookie(&shared.access().sign_out(&headers, &uri))
}

fn with_cookie(cookie: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
