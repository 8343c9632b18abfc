//! A recorded call becomes the request that is sent: pure, and all decisions in one place.
//!
//! The wire form is that of axios 1.x for the same `{ method, url, data, headers, params, auth }`;
//! `docs/destinations/axios-differences.md` lists every place where it is not. Compression and the connection
//! are the HTTP client's. Read [`super::redirect`] next.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use url::Url;

use super::headers::{self, Headers};
use super::item::Item;
use super::retry::Retries;
use super::{auth, body, json, query, retry, target};
use crate::delivery::{Failure, Payload, RetryPolicy};
use crate::egress::{HeaderCase, Names};
use crate::error::ErrorKind;
use crate::redact::redact_url;

/// The maximum `timeout` of a call, in milliseconds.
const MAX_TIMEOUT_MS: f64 = 300_000.0;

/// Defaults for members that the call leaves out.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    /// The `User-Agent`.
    pub user_agent: HeaderValue,
    /// The policy of retries.
    pub retries: Retries,
    /// The case of header names.
    pub header_case: HeaderCase,
}

/// One request, ready to be sent.
#[derive(Clone)]
pub(super) struct Prepared {
    /// Any method but `CONNECT`.
    pub method: Method,
    /// `http` or `https`, without user-info and fragment, its query complete.
    pub url: Url,
    /// Everything but `Host`, `Accept-Encoding` and what belongs to the connection.
    /// `Content-Length` is there whenever Node would send it.
    pub headers: HeaderMap,
    /// Names of headers as the call wrote them, if they are to be sent so.
    pub names: Names,
    /// `None` is no body; an empty one is sent with `Content-Length: 0`.
    pub body: Option<Bytes>,
    /// The whole-request deadline of the call, in place of the engine's.
    pub timeout: Option<Duration>,
    /// The maximum number of redirects, if the call sets it.
    pub max_redirects: Option<usize>,
    /// The call's own policy of retries, if it sets one.
    pub retry: Option<CallRetry>,
    /// Sentences for the step's log. A request after a redirect has none of its own.
    pub warnings: Vec<String>,
}

/// A call's own retry option: the policy, or `None` for one attempt.
pub(super) type CallRetry = Option<Box<RetryPolicy>>;

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} {})", self.method, redact_url(&self.url))
    }
}

/// Decides what to send for one call.
///
/// # Errors
/// `InvalidUrl`, `InvalidHeader`, `InvalidArgument`, or `PayloadTooLarge` for a form far larger than
/// its data. No message holds a header value, user-info or query.
pub(super) fn prepare(
    item: &Item<'_>,
    payload: &Payload,
    defaults: &Defaults,
) -> Result<Prepared, Failure> {
    let mut warnings = Vec::new();
    let (url, user_info) = address(item)?;
    let method = method(item.method, payload.body.is_some() || item.data.is_some(), &mut warnings)?;
    let names = match defaults.header_case {
        HeaderCase::Lower => Names::default(),
        HeaderCase::AsGiven => headers::names(item.headers),
    };
    let mut headers = Headers::read(item.headers, &method, &url, &mut warnings)?;
    let body = body::encode(payload, item.data, &mut headers)?;
    if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
        headers.default_content_type(HeaderValue::from_static(body::FORM));
    }
    headers.default_user_agent(&defaults.user_agent);
    let mut headers = headers.map;
    if let Some(credentials) = auth::basic(item.auth, user_info)? {
        headers.insert(AUTHORIZATION, credentials);
    }
    if let Some(length) = content_length(&method, body.as_ref()) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let timeout = timeout(item.timeout, &mut warnings);
    let max_redirects = max_redirects(item.max_redirects, &mut warnings);
    let retry = item.retry.and_then(|raw| call_retry(raw, &url, defaults, &mut warnings));
    let retry = retry.or_else(|| retry::of_webhook(payload, &url, &defaults.retries));
    Ok(Prepared { method, url, headers, names, body, timeout, max_redirects, retry, warnings })
}

fn address(item: &Item<'_>) -> Result<(Url, Option<target::UserInfo>), Failure> {
    let text = item.url.and_then(json::decode);
    let text =
        text.ok_or_else(|| Failure::new(ErrorKind::InvalidUrl, "the url is not a string"))?;
    let mut url = target::parse(&text)?;
    let user_info = target::take_user_info(&mut url);
    query::append(&mut url, item.params)?;
    target::check_length(&url)?;
    Ok((url, user_info))
}

fn method(
    raw: Option<&str>,
    has_data: bool,
    warnings: &mut Vec<String>,
) -> Result<Method, Failure> {
    let given = match raw {
        None | Some("null" | "\"\"") => return Ok(default_method(has_data, warnings)),
        Some(raw) => json::decode(raw),
    };
    let given = given
        .ok_or_else(|| Failure::new(ErrorKind::InvalidArgument, "the method is not a string"))?;
    let upper = if given.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Some(given.to_ascii_uppercase())
    } else {
        None
    };
    let method = Method::from_bytes(upper.as_deref().unwrap_or(&given).as_bytes());
    let method = method.ok().filter(|method| method != Method::CONNECT).ok_or_else(|| {
        let shown: String = given.chars().take(40).collect();
        let message = format!("the method {shown:?} is not one that a request can be sent with");
        Failure::new(ErrorKind::InvalidArgument, message)
    })?;
    if upper.is_some() {
        warnings.push(format!("the method is sent in upper case, as {method}"));
    }
    Ok(method)
}

fn default_method(has_data: bool, warnings: &mut Vec<String>) -> Method {
    let method = if has_data { Method::POST } else { Method::GET };
    warnings.push(format!("the method is missing: {method} is used"));
    method
}

/// Returns the length of the body; without one, zero for the methods that usually have a body.
fn content_length(method: &Method, body: Option<&Bytes>) -> Option<usize> {
    match (body, method) {
        (Some(body), _) => Some(body.len()),
        (
            None,
            &Method::GET | &Method::HEAD | &Method::DELETE | &Method::OPTIONS | &Method::TRACE,
        ) => None,
        (None, _) => Some(0),
    }
}

fn call_retry(
    raw: &str,
    url: &Url,
    defaults: &Defaults,
    warnings: &mut Vec<String>,
) -> Option<CallRetry> {
    if raw == "null" {
        return None;
    }
    match retry::of_call(raw, defaults.retries.of(url)) {
        Ok(policy) => Some(policy.map(Box::new)),
        Err(reason) => {
            warnings.push(format!("`retry` is ignored: {reason}"));
            None
        }
    }
}

/// The maximum of a call's `maxRedirects`.
const MAX_REDIRECTS: usize = 100;

fn max_redirects(raw: Option<&str>, warnings: &mut Vec<String>) -> Option<usize> {
    let raw = raw.filter(|raw| *raw != "null")?;
    let count = raw.parse().ok().filter(|count| *count <= MAX_REDIRECTS);
    if count.is_none() {
        let range = format!("a whole number from 0 to {MAX_REDIRECTS}");
        warnings.push(format!("maxRedirects is ignored: it is not {range}"));
    }
    count
}

fn timeout(raw: Option<&str>, warnings: &mut Vec<String>) -> Option<Duration> {
    let raw = raw.filter(|raw| *raw != "null")?;
    let milliseconds = raw.parse().ok().filter(|ms| (1.0..=MAX_TIMEOUT_MS).contains(ms));
    if milliseconds.is_none() {
        let range = format!("a number of milliseconds from 1 to {MAX_TIMEOUT_MS}");
        warnings.push(format!("the timeout is ignored: it is not {range}"));
    }
    milliseconds.map(|ms: f64| Duration::from_secs_f64(ms / 1000.0))
}
