//! What the log keeps of a request and its response: redacted, capped, already JSON.

use std::time::Duration;

use http::{Method, Version};
use url::Url;

use super::Config;
use super::item::Item;
use super::logged_headers::{Headers, cut};
use super::request::Prepared;
use super::response::Received;
use crate::destinations::Payload;
use crate::egress::{Answerer, Timings};
use crate::observability::log::{LoggedBody, RequestLog, ResponseLog};
use crate::observability::redact::{REDACTED, redact_url};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestHead<'a> {
    method: &'a str,
    url: String,
    headers: Headers<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    headers_truncated: bool,
}

/// The request as it is sent.
pub(super) fn request_log(prepared: &Prepared, config: &Config) -> RequestLog {
    let headers = Headers::new(&prepared.headers, &config.redact);
    let head = RequestHead {
        method: prepared.method.as_str(),
        url: redact_url(&prepared.url),
        headers_truncated: headers.are_cut(),
        headers,
    };
    let body = prepared.body.as_ref();
    RequestLog::new(&head, body.map(|body| LoggedBody::capped(body, config.log_body_bytes)))
}

/// A call that no request could be made of: its URL's host and method, never its secrets.
pub(super) fn unprepared_log(payload: &Payload) -> RequestLog {
    #[derive(serde::Serialize)]
    struct Head<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    }
    let item = Item::parse(&payload.text).unwrap_or_default();
    let url = item.url.and_then(super::json::decode);
    let url = url.map(|text| match Url::parse(&text) {
        Ok(url) if url.has_host() => redact_url(&url),
        _ => unparsed(&text),
    });
    let method = item.method.map(|method| method.trim_matches('"'));
    RequestLog::new(&Head { method, url }, None)
}

/// A text that is no URL of a host, with nothing before its last `@`, and no query. In
/// `user:secret@host`, where the scheme was forgotten, `user` parses as one.
fn unparsed(text: &str) -> String {
    let (user_info, rest) = text.rsplit_once('@').map_or(("", text), |(_, rest)| (REDACTED, rest));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let at = if user_info.is_empty() { "" } else { "@" };
    format!("{user_info}{at}{}", rest.chars().take(200).collect::<String>())
}

/// A redirect that was followed.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Hop {
    pub status: u16,
    pub method: String,
    pub url: String,
}

impl Hop {
    /// The hop that led to `url`.
    pub(super) fn new(status: u16, method: &Method, url: &Url) -> Self {
        Self { status, method: method.to_string(), url: redact_url(url) }
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseHead<'a> {
    status: u16,
    status_text: &'a str,
    http_version: &'static str,
    headers: Headers<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    headers_truncated: bool,
    duration_ms: f64,
    timings: TimingsView,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    redirects: &'a [Hop],
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<&'static str>,
}

/// Milliseconds by phase; the connecting ones are absent when a connection was reused.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names in the log carry their unit")]
struct TimingsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ms: Option<f64>,
    first_byte_ms: f64,
    body_ms: f64,
}

/// Bytes of a reason phrase that the log keeps.
const MAX_REASON_BYTES: usize = 1024;

/// The response as it was received, up to now.
pub(super) fn response_log(
    received: Received,
    timings: Timings,
    duration: Duration,
    config: &Config,
) -> ResponseLog {
    let Received { status, reason, version, headers, answerer, hops, first_byte, body } = received;
    let shown = Headers::new(&headers, &config.redact);
    let head = ResponseHead {
        status: status.as_u16(),
        status_text: cut(&reason, MAX_REASON_BYTES),
        http_version: version_name(version),
        headers_truncated: shown.are_cut(),
        headers: shown,
        duration_ms: millis(duration),
        timings: TimingsView {
            dns_ms: timings.dns.map(millis),
            connect_ms: timings.connect.map(millis),
            tls_ms: timings.tls.map(millis),
            first_byte_ms: millis(first_byte),
            body_ms: millis(duration.saturating_sub(first_byte)),
        },
        redirects: &hops,
        answered_by: matches!(answerer, Answerer::Proxy(_)).then_some("proxy"),
    };
    ResponseLog::new(&head, Some(body.into_log(&headers)))
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        Version::HTTP_3 => "3.0",
        _ => "1.1",
    }
}

/// Milliseconds with two decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
