//! The document that describes the routes, as their handlers say. `docs/reference/openapi.json` is a copy of
//! it: the code that builds it is as large as the server itself, and is not part of the addon.

use std::fs;
use std::path::Path;

use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{
    DOCUMENT, changes, deliveries, events, operations, overview, queues, replay_runs, replays,
    sessions, settlements, sql, sse, subscriptions, test_calls, webhooks,
};

macro_rules! document {
    ($($module:ident::$handler:ident,)+) => {
        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "dollar-send",
                description = "Streams, emitted events, subscriptions, webhooks, the warehouse and the log of an engine.",
                license(name = "MIT"),
            ),
            security(("bearer" = []), ("session" = []), ()),
            modifiers(&Bearer),
            paths($($module::$handler),+),
        )]
        struct Document;
    };
}

with_handlers!(document);

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

#[test]
fn the_document_describes_every_route() {
    let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 31);
    assert!(paths.contains_key("/v1/workflows/{workflow_id}/$errors/event_summaries"));
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
}

#[test]
fn the_document_is_what_the_handlers_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/openapi.json");
    let said = Document::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("WRITE_OPENAPI").is_some() {
        fs::write(&file, &said).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        written == said,
        "docs/reference/openapi.json is not what the handlers say: run this test with WRITE_OPENAPI=1"
    );
}
