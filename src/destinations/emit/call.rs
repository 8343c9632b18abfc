//! The HTTP request that tells a webhook of an event.

use serde::Serialize;

use crate::destinations::{Body, Call, Kind, Payload};
use crate::streams::{Event, Webhook};

#[derive(Serialize)]
struct Request<'a> {
    method: &'static str,
    url: &'a str,
    headers: Headers<'a>,
}

/// `webhook-id` is what receivers tell repeated requests by (Standard Webhooks).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Headers<'a> {
    webhook_id: String,
    x_emitter_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    x_event_name: String,
    x_event_id: &'a str,
    x_emit_depth: String,
}

/// The call that sends an event to a webhook: the event is the body, as it is.
pub(super) fn of(webhook: &Webhook, event: &Event) -> Call {
    let id = event.id.to_string();
    let request = Request {
        method: "POST",
        url: &webhook.url,
        headers: Headers {
            webhook_id: format!("msg_{}", event.delivery.simple()),
            x_emitter_id: header_text(&event.workflow_id),
            x_event_name: header_text(&event.name),
            x_event_id: &id,
            x_emit_depth: event.depth.to_string(),
        },
    };
    let text = serde_json::to_vec(&request).unwrap_or_default();
    let body = Body {
        bytes: event.content.bytes(),
        content_type: Some("application/json".into()),
        secret: webhook.secret.as_deref().map(Into::into),
    };
    Call {
        workflow_id: webhook.id.as_str().into(),
        step: format!("{} {}", event.workflow_id, id),
        kind: Kind::Http,
        payload: Payload { text: text.into(), body: Some(Box::new(body)) },
    }
}

/// A text as the value of a header: what has no place in one is percent-encoded.
fn header_text(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::CONTROLS).to_string()
}
