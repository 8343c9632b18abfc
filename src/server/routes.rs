//! Every route, what stands in front of it, and the document that describes them.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::response::ApiError;
use super::sessions::SESSION;
use super::state::Shared;
use super::{
    changes, deliveries, events, log, operations, overview, page, queues, replay_runs, replays,
    sessions, sql, sse, subscriptions, test_calls, webhooks,
};
use crate::config::server::{Config, TokenRole};
use crate::engine::Query;
use crate::error::ErrorKind;

/// The time-out of a response, or of a stream's first byte.
const ANSWER: Duration = Duration::from_secs(30);
/// The time that a response may take beyond the query's own time-out.
const QUERY_GRACE: Duration = Duration::from_secs(15);
/// Bytes that the body of a request may have.
const MAX_BODY: usize = 64 << 10;
/// The time for which a browser may cache the CORS policy.
const CORS_AGE: Duration = Duration::from_secs(600);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dollar-send",
        description = "Streams, emitted events, subscriptions, webhooks, the warehouse and the log of an engine.",
        license(name = "MIT"),
    ),
    security(("bearer" = []), ("session" = []), ()),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("One of `server.tokens`; none is needed without any"));
        let cookie = ApiKeyValue::with_description(
            "dollar_send_session_8787",
            "Set by POST /session; its name ends with the port. Writes need the origin of the server",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
}

fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(sse::follow))
        .routes(routes!(events::emitted))
        .routes(routes!(events::errors))
        .routes(routes!(subscriptions::subscribe, subscriptions::unsubscribe))
        .routes(routes!(subscriptions::auto_subscribe))
        .routes(routes!(subscriptions::subscriptions))
        .routes(routes!(webhooks::make_webhook))
        .routes(routes!(webhooks::webhook, webhooks::change_webhook, webhooks::remove_webhook))
        .routes(routes!(webhooks::webhooks))
        .routes(routes!(deliveries::executions))
        .routes(routes!(deliveries::execution))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::delivery))
        .routes(routes!(changes::follow))
        .routes(routes!(overview::overview))
        .routes(routes!(replays::replay))
        .routes(routes!(replays::replay_all, replay_runs::replays))
        .routes(routes!(replay_runs::replay_run, replay_runs::cancel_replay))
        .routes(routes!(replays::dismiss))
        .routes(routes!(queues::queues))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .routes(routes!(queues::retry_now))
        .routes(routes!(test_calls::make))
        .routes(routes!(sql::query))
        .routes(routes!(sql::csv))
        .routes(routes!(sessions::session, sessions::sign_in, sessions::sign_out))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}

/// Returns the `OpenAPI` document of the routes, as JSON.
#[must_use]
pub fn openapi() -> String {
    described().split_for_parts().1.to_pretty_json().unwrap_or_default()
}

/// Returns the routes with what stands in front of them.
pub(super) fn routes(config: &Config, shared: &Shared) -> Router {
    let (router, document) = described().split_for_parts();
    let document = document.to_json().unwrap_or_default();
    let json = [(CONTENT_TYPE, "application/json")];
    let document = move || std::future::ready((json, document.clone()));
    let router = router
        .route("/openapi.json", routing::get(document))
        .route("/", routing::get(page::index))
        .route("/assets/{*name}", routing::get(page::asset))
        .route("/v1/users/me", routing::any(no_users))
        .route("/v1/sources/{*source}", routing::any(no_sources))
        .fallback(async || ApiError::not_found("route not found"))
        .method_not_allowed_fallback(async || {
            let message = "this route has no such method";
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidArgument, message)
        })
        .with_state(shared.clone())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(shared.clone(), renew))
        .layer(from_fn_with_state(shared.clone(), admit))
        .layer(from_fn_with_state(shared.clone(), in_time));
    let router = if config.cors.is_empty() { router } else { router.layer(cors(&config.cors)) };
    if config.access_log { router.layer(from_fn(log::record)) } else { router }
}

/// Refuses a route of Pipedream's API that has no meaning here.
async fn no_users() -> ApiError {
    ApiError::not_found("there are no user accounts: requests are authorized by server.tokens")
}

/// Refuses Pipedream's routes of event sources.
async fn no_sources() -> ApiError {
    let message = "there are no event sources: workflows emit events, see \
                   /v1/workflows/{workflow_id}/event_summaries";
    ApiError::not_found(message)
}

/// Rejects unauthorized requests. Streams authorize themselves; health checks, the page and the
/// sign-in are public.
async fn admit(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let access = shared.access();
    let (method, headers, uri) = (request.method(), request.headers(), request.uri());
    if let Some(reason) = access.refuses_origin(method, headers, uri) {
        return ApiError::forbidden(reason).into_response();
    }
    let grant = access.grant(method, headers, uri);
    let path = uri.path();
    match &grant {
        _ if is_public(path) => {}
        None => return ApiError::unauthorized().into_response(),
        Some(grant) if grant.role == TokenRole::Read && is_act(method, path) => {
            return ApiError::reads_only().into_response();
        }
        Some(_) => {}
    }
    if let Some(grant) = grant {
        request.extensions_mut().insert(grant);
    }
    next.run(request).await
}

/// Has the routes of subscriptions and webhooks know what other nodes of a fleet registered before.
async fn renew(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let engine = shared.engine().ok().filter(|_| is_of_registrations(request.uri().path()));
    if let Some(engine) = engine
        && let Err(error) = engine.renew_registrations().await
    {
        return ApiError::from(error).into_response();
    }
    next.run(request).await
}

fn is_of_registrations(path: &str) -> bool {
    const ROOTS: [&str; 4] =
        ["/v1/subscriptions", "/v1/auto_subscriptions", "/v1/webhooks", "/v1/users/me/"];
    ROOTS.iter().any(|root| path.starts_with(root))
}

fn is_public(path: &str) -> bool {
    matches!(path, "/" | "/healthz" | "/readyz" | SESSION)
        || path.starts_with("/assets/")
        || path.starts_with("/pipelines/")
}

/// Returns `true` for requests that change something. A query of the warehouse only reads, and the
/// route of replays refuses everything but plans itself.
fn is_act(method: &Method, path: &str) -> bool {
    !method.is_safe() && !matches!(path, "/sql" | "/v1/replays")
}

/// Answers within a time. What a request changes is changed to its end, also when its client leaves or
/// the time is over: half of a change would be neither done nor undone.
async fn in_time(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let is_query = request.uri().path() == "/sql";
    let query = Duration::from_millis(Query::TIMEOUT_MS) + QUERY_GRACE;
    let limit = if is_query { query } else { ANSWER };
    let changes = !is_query && !request.method().is_safe();
    let answered = async move {
        let answer = next.run(request);
        let Some(engine) = changes.then(|| shared.engine().ok()).flatten() else {
            return answer.await;
        };
        let answer = engine.runtime().spawn(answer);
        drop(engine);
        answer.await.unwrap_or_else(|_| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            ApiError::new(status, ErrorKind::Internal, "the request failed".to_owned())
                .into_response()
        })
    };
    tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| {
        let end = if changes { "; what it changes goes on" } else { "" };
        let message = format!("there was no answer within {} s{end}", limit.as_secs());
        let status = StatusCode::SERVICE_UNAVAILABLE;
        ApiError::new(status, ErrorKind::Timeout, message).into_response()
    })
}

fn cors(origins: &[String]) -> CorsLayer {
    let is_any = origins.iter().any(|origin| origin == "*");
    let origin = if is_any {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    // A page of any origin must not be sent with the credentials that a proxy in front may require.
    CorsLayer::new()
        .allow_credentials(!is_any)
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CACHE_CONTROL,
            CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
        ])
        .max_age(CORS_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_every_route() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 30);
        assert!(paths.contains_key("/v1/workflows/{workflow_id}/$errors/event_summaries"));
        assert!(document["components"]["securitySchemes"]["bearer"].is_object());
    }
}
