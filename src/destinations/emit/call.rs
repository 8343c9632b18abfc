//! The HTTP request that delivers an event to a webhook.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::delivery::{Body, Kind, Payload};
use crate::destinations::FollowUpCall;
use crate::streams::{Event, Webhook};
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
struct WebhookRequest<'a> {
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    headers: WebhookHeaders<'a>,
}

/// Receivers recognise repeated requests by `webhook-id` (Standard Webhooks).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WebhookHeaders<'a> {
    webhook_id: String,
    x_emitter_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    x_event_name: String,
    x_event_id: Cow<'a, str>,
    x_emit_depth: String,
}

/// Returns the call that sends an event to a webhook: the event is the body, as it is. The webhook's
/// secrets are added at each attempt, see [`renewed`].
pub(super) fn of(webhook: &Webhook, event: &Event) -> FollowUpCall {
    let id = event.id.to_string();
    let request = WebhookRequest {
        method: "POST".into(),
        url: webhook.url.as_str().into(),
        headers: WebhookHeaders {
            webhook_id: format!("msg_{}", event.delivery.simple()),
            x_emitter_id: header_text(&event.workflow_id),
            x_event_name: header_text(&event.name),
            x_event_id: id.as_str().into(),
            x_emit_depth: event.depth.to_string(),
        },
    };
    let text = serde_json::to_vec(&request).unwrap_or_default();
    let body = Body {
        bytes: event.content.bytes(),
        content_type: Some("application/json".into()),
        secret: None,
        webhook: Some(webhook.id.as_str().into()),
    };
    FollowUpCall {
        workflow_id: webhook.id.as_str().into(),
        step: format!("{} {}", event.workflow_id, id),
        kind: Kind::Http,
        payload: Payload { text: text.into(), body: Some(Box::new(body)) },
    }
}

/// Returns a call that [`of`] made as it is to be made now: to the webhook's present URL, with the
/// secrets that are valid at this time.
#[must_use]
pub fn renewed(payload: &Payload, webhook: &Webhook, now: Timestamp) -> Payload {
    let mut renewed = payload.clone();
    if let Ok(mut request) = serde_json::from_slice::<WebhookRequest<'_>>(&payload.text)
        && request.url != webhook.url
    {
        request.url = webhook.url.as_str().into();
        renewed.text = serde_json::to_vec(&request).unwrap_or_default().into();
    }
    if let Some(body) = &mut renewed.body {
        let secrets: Vec<_> = webhook.secrets(now.as_millis() / 1000).collect();
        body.secret = (!secrets.is_empty()).then(|| secrets.join(" ").into());
    }
    renewed
}

/// Returns a text as the value of a header: what has no place in one is percent-encoded.
fn header_text(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::CONTROLS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{NewEvent, StreamKind, Streams, Subscriptions, WebhookChange};

    #[test]
    fn a_call_follows_its_webhook_s_url_and_secrets() {
        let members =
            |url: &str| WebhookChange { url: Some(url.into()), ..WebhookChange::default() };
        let now = Timestamp::from_millis(100_000);
        let webhook = Subscriptions::default().webhook(members("http://a/?x=\"é\""), now).unwrap();
        let new_event = NewEvent {
            kind: StreamKind::Emits,
            workflow_id: "p\u{1}".into(),
            delivery: uuid::Uuid::from_u128(7),
            name: "".into(),
            depth: 2,
            content: "{\"a\":1}".into(),
        };
        let published = Streams::default().publish(new_event);
        let call = of(&webhook, &published.event).payload;
        let same = renewed(&call, &webhook, now);
        assert_eq!((same.text.clone(), same.body.unwrap().secret), (call.text.clone(), None));
        let secret = Some("whsec_a".to_owned());
        let moved = WebhookChange { secret, ..members("http://b/") };
        let moved = webhook.changed(moved, 100).unwrap();
        let rotated = WebhookChange { secret: Some("whsec_b".into()), ..members("http://b/") };
        let rotated = moved.changed(rotated, 100).unwrap();
        let renewed = renewed(&call, &rotated, now);
        let text = std::str::from_utf8(&call.text).unwrap();
        assert_eq!(renewed.text, text.replace(r#"http://a/?x=\"é\""#, "http://b/"));
        assert_eq!(renewed.body.unwrap().secret.as_deref(), Some("whsec_b whsec_a"));
    }
}
