//! Every route, and what stands in front of it.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Router, routing};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::{PathItemExt as _, paste};

use super::response::ApiError;
use super::sessions::SESSION;
use super::state::Shared;
use super::{
    changes, deliveries, events, log, operations, overview, page, queues, replay_runs, replays,
    sessions, settlements, sql, sse, subscriptions, test_calls, webhooks,
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

/// The `OpenAPI` document of the routes, as JSON. A test holds it equal to what the handlers say.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Passes the handlers of the document to a macro.
macro_rules! with_handlers {
    ($use:ident) => {
        $use! {
            sse::follow,
            events::emitted,
            events::errors,
            subscriptions::subscribe,
            subscriptions::unsubscribe,
            subscriptions::auto_subscribe,
            subscriptions::subscriptions,
            webhooks::make_webhook,
            webhooks::webhook,
            webhooks::change_webhook,
            webhooks::remove_webhook,
            webhooks::webhooks,
            deliveries::executions,
            deliveries::execution,
            deliveries::deliveries,
            deliveries::delivery,
            settlements::settlements,
            changes::follow,
            overview::overview,
            replays::replay,
            replays::replay_all,
            replay_runs::replays,
            replay_runs::replay_run,
            replay_runs::cancel_replay,
            replays::dismiss,
            queues::queues,
            queues::pause,
            queues::resume,
            queues::retry_now,
            test_calls::make,
            sql::query,
            sql::csv,
            sessions::session,
            sessions::sign_in,
            sessions::sign_out,
            operations::healthz,
            operations::readyz,
            operations::metrics,
        }
    };
}

#[cfg(test)]
mod document;

macro_rules! described_routes {
    ($($module:ident::$handler:ident,)+) => {
        /// Returns the routes of the document.
        fn described() -> Router<Shared> {
            let router = Router::new();
            $(let router = paste! {
                route::<$module::[<__path_ $handler>], _, _>(router, &$module::$handler)
            };)+
            router
        }
    };
}

with_handlers!(described_routes);

/// Adds a handler under the path and the methods of its description.
fn route<Path: utoipa::Path, H: Handler<T, Shared>, T: 'static>(
    router: Router<Shared>,
    handler: &H,
) -> Router<Shared> {
    let on = |routes: MethodRouter<Shared>, method: HttpMethod| {
        routes.on(method.to_method_filter(), handler.clone())
    };
    router.route(&Path::path(), Path::methods().into_iter().fold(MethodRouter::new(), on))
}

/// Returns the routes with what stands in front of them.
pub(super) fn routes(config: &Config, shared: &Shared) -> Router {
    let document = || std::future::ready(([(CONTENT_TYPE, "application/json")], DOCUMENT));
    let router = described()
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
        let message = format!("there was no response within {} s{end}", limit.as_secs());
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
