//! The HTTP request that delivers an alert to `alerts.url`, signed as webhooks are.

use serde::Serialize;

use crate::delivery::{Body, Payload};

/// The delays between the attempts of an alert, in milliseconds.
const SCHEDULE_MS: [u32; 5] = [5_000, 30_000, 120_000, 600_000, 1_800_000];

#[derive(Serialize)]
struct AlertRequest<'a> {
    method: &'static str,
    url: &'a str,
    headers: AlertHeaders<'a>,
    retry: AlertRetry,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AlertHeaders<'a> {
    webhook_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertRetry {
    schedule_ms: [u32; SCHEDULE_MS.len()],
}

/// Returns the call that posts an alert, a JSON text, to a URL.
#[must_use]
pub fn alert(url: &str, secret: &str, id: &str, text: String) -> Payload {
    let request = AlertRequest {
        method: "POST",
        url,
        headers: AlertHeaders { webhook_id: id },
        retry: AlertRetry { schedule_ms: SCHEDULE_MS },
    };
    let body = Body {
        bytes: text.into(),
        content_type: Some("application/json".into()),
        secret: Some(secret.into()),
        webhook: None,
    };
    let text = serde_json::to_vec(&request).unwrap_or_default();
    Payload { text: text.into(), body: Some(Box::new(body)) }
}
