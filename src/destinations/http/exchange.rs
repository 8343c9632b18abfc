//! Log entries of a request and its response: redacted, capped, already JSON.

use std::time::Duration;

use http::{Method, Version};
use serde_json::value::RawValue;
use url::Url;

use super::Config;
use super::item::Item;
use super::logged_headers::{LoggedHeaders, cut};
use super::request::Prepared;
use super::response::Received;
use crate::egress::{ResponseOrigin, Timings};
use crate::execution::{LoggedBody, RequestLog, ResponseLog};
use crate::redact::{REDACTED, redact_url};
use crate::time::millis;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestHead<'a> {
    method: &'a str,
    url: String,
    headers: LoggedHeaders<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    headers_truncated: bool,
}

/// Returns the request as it is sent.
pub(super) fn request_log(prepared: &Prepared, config: &Config) -> RequestLog {
    let headers = LoggedHeaders::new(&prepared.headers, &config.redact);
    let head = RequestHead {
        method: prepared.method.as_str(),
        url: redact_url(&prepared.url),
        headers_truncated: headers.are_cut(),
        headers,
    };
    let body = prepared.body.as_ref();
    RequestLog::new(&head, body.map(|body| LoggedBody::capped(body, config.log_body_bytes)))
}

/// Returns the log entry of a call that is not a valid request: its URL's host and method, never its secrets.
pub(super) fn unprepared_log(item: &Item<'_>) -> RequestLog {
    #[derive(serde::Serialize)]
    struct Head<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    }
    let url = item.url.and_then(super::json::decode);
    let url = url.map(|text| match Url::parse(&text) {
        Ok(url) if url.has_host() => redact_url(&url),
        _ => unparsed(&text),
    });
    let method = item.method.map(|method| method.trim_matches('"'));
    RequestLog::new(&Head { method, url }, None)
}

/// Returns a text that is no URL of a host, with nothing before its last `@`, and no query. In
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
    /// Returns the hop that led to `url`.
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
    headers: LoggedHeaders<'a>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_ms: Option<f64>,
}

impl TimingsView {
    fn connecting(timings: Timings) -> Self {
        Self {
            dns_ms: timings.dns.map(millis),
            connect_ms: timings.connect.map(millis),
            tls_ms: timings.tls.map(millis),
            first_byte_ms: None,
            body_ms: None,
        }
    }
}

/// Returns the phases of an attempt without a response.
pub(super) fn timings_log(timings: Timings) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&TimingsView::connecting(timings)).ok()
}

/// Bytes of a reason phrase that the log keeps.
const MAX_REASON_BYTES: usize = 1024;

/// Returns the response as it was received, up to now.
pub(super) fn response_log(
    received: Received,
    timings: Timings,
    duration: Duration,
    config: &Config,
) -> ResponseLog {
    let Received { status, reason, version, headers, answerer, hops, first_byte, body } = received;
    let shown = LoggedHeaders::new(&headers, &config.redact);
    let head = ResponseHead {
        status: status.as_u16(),
        status_text: cut(&reason, MAX_REASON_BYTES),
        http_version: version_name(version),
        headers_truncated: shown.are_cut(),
        headers: shown,
        duration_ms: millis(duration),
        timings: TimingsView {
            first_byte_ms: Some(millis(first_byte)),
            body_ms: Some(millis(duration.saturating_sub(first_byte))),
            ..TimingsView::connecting(timings)
        },
        redirects: &hops,
        answered_by: matches!(answerer, ResponseOrigin::Proxy(_)).then_some("proxy"),
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
