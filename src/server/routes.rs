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
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Refused;
use super::state::Shared;
use super::{Config, deliveries, events, log, operations, sql, sse, subscriptions};
use crate::engine::Query;
use crate::error::ErrorKind;

/// How long an answer may take, a stream's first byte included.
const ANSWER: Duration = Duration::from_secs(30);
/// How much longer than a query may take its answer may.
const QUERY_GRACE: Duration = Duration::from_secs(15);
/// Bytes that the body of a request may have.
const MAX_BODY: usize = 64 << 10;
/// How long a browser may remember what CORS allows.
const CORS_AGE: Duration = Duration::from_secs(600);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dollar-send",
        description = "Streams, emitted events, subscriptions, webhooks, the warehouse and the log of an engine.",
        license(name = "MIT"),
    ),
    security(("bearer" = []), ()),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("One of `server.tokens`; none is needed without any"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
}

fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(sse::follow))
        .routes(routes!(events::emitted))
        .routes(routes!(events::errors))
        .routes(routes!(subscriptions::subscribe, subscriptions::unsubscribe))
        .routes(routes!(subscriptions::subscriptions))
        .routes(routes!(subscriptions::make_webhook))
        .routes(routes!(subscriptions::remove_webhook))
        .routes(routes!(subscriptions::webhooks))
        .routes(routes!(deliveries::executions))
        .routes(routes!(deliveries::execution))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::replay))
        .routes(routes!(sql::query))
        .routes(routes!(sql::csv))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}

/// The `OpenAPI` document of the routes, as JSON.
#[must_use]
pub fn openapi() -> String {
    described().split_for_parts().1.to_pretty_json().unwrap_or_default()
}

/// The routes with what stands in front of them.
pub(super) fn routes(config: &Config, shared: &Shared) -> Router {
    let (router, document) = described().split_for_parts();
    let document = document.to_json().unwrap_or_default();
    let json = [(CONTENT_TYPE, "application/json")];
    let document = move || std::future::ready((json, document.clone()));
    let router = router
        .route("/openapi.json", routing::get(document))
        .fallback(async || Refused::not_found("route not found"))
        .method_not_allowed_fallback(async || {
            let message = "this route has no such method";
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidArgument, message)
        })
        .with_state(shared.clone())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(shared.clone(), admit))
        .layer(from_fn(in_time));
    let router = if config.cors.is_empty() { router } else { router.layer(cors(&config.cors)) };
    if config.access_log { router.layer(from_fn(log::record)) } else { router }
}

/// Refuses who may not ask. Streams decide for themselves, and anybody may ask whether it is well.
async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let access = shared.access();
    let (method, headers, uri) = (request.method(), request.headers(), request.uri());
    if let Some(reason) = access.refuses_origin(method, headers, uri) {
        return Refused::forbidden(reason).into_response();
    }
    let path = uri.path();
    let open = matches!(path, "/healthz" | "/readyz") || path.starts_with("/pipelines/");
    if !open && !access.is_authorized(headers) {
        return Refused::unauthorized().into_response();
    }
    next.run(request).await
}

async fn in_time(request: Request, next: Next) -> Response {
    let query = Duration::from_millis(Query::TIMEOUT_MS) + QUERY_GRACE;
    let limit = if request.uri().path() == "/sql" { query } else { ANSWER };
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("there was no answer within {} s", limit.as_secs());
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Refused::new(status, ErrorKind::Timeout, message).into_response()
    })
}

fn cors(origins: &[String]) -> CorsLayer {
    let is_any = origins.iter().any(|origin| origin == "*");
    let origin = if is_any {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    // A page of any origin must not be sent with the credentials that a proxy in front may ask for.
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
        assert_eq!(paths.len(), 17);
        assert!(paths.contains_key("/v1/workflows/{workflow_id}/$errors/event_summaries"));
        assert!(document["components"]["securitySchemes"]["bearer"].is_object());
    }
}
