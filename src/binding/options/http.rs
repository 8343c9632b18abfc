//! JavaScript options of the HTTP destination: `http`.

use napi_derive::napi;
use serde::Deserialize;

use super::place::Place;
use super::rate::HttpRateOptions;
use super::retry::RetryOptions;
use super::tls::{self, TlsOptions};
use crate::destinations::http::{Config, IdempotencyKey, Retries};
use crate::error::Result;
use crate::journal::OnInterrupted;

/// The HTTP destination.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpOptions {
    /// Deadline of a whole request in milliseconds, from 1 to 3,600,000: lookup, connection, TLS,
    /// writing, waiting, redirects and reading the response. A call's own `timeout` replaces it. Default: 5000.
    pub timeout_ms: Option<f64>,
    /// Redirects to follow; 0 follows none. A call's own `maxRedirects` replaces it. Default: 5.
    pub max_redirects: Option<f64>,
    /// The largest response body to read, in bytes after decompression; past it the connection is
    /// closed. Default: 1 MiB.
    pub max_response_bytes: Option<f64>,
    /// Bytes of each request and response body to keep in the log. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
    /// Concurrent requests, over all hosts. Default: that of `concurrency`.
    pub concurrency: Option<f64>,
    /// Concurrent requests to one host (scheme, name and port). Default: 64.
    pub per_host_concurrency: Option<f64>,
    /// The `User-Agent` of requests without one. Default: `dollar-send/VERSION`.
    pub user_agent: Option<String>,
    /// Certificate authorities, client certificates and pins. Default: the machine's authorities.
    pub tls: Option<TlsOptions>,
    /// HTTP/2: `'auto'` where a server offers it over TLS, or `'never'`. Default: `'auto'`.
    #[napi(ts_type = "'auto' | 'never'")]
    pub http2: Option<String>,
    /// The case of header names over HTTP/1.1: `'lower'`, or `'as-given'` by the step (not through
    /// `egress.proxy`). Default: `'lower'`.
    #[napi(ts_type = "'lower' | 'as-given'")]
    pub header_case: Option<String>,
    /// Retries of failed requests. Default: none; `{}` means five attempts.
    pub retry: Option<RetryOptions>,
    /// Rate limits. Default: none.
    pub rate: Option<HttpRateOptions>,
    /// Handling of requests that were in flight when the process died. `'resend'`: send them again,
    /// with the same id in an `Idempotency-Key` header (at least once). `'fail'`: fail them with
    /// `ERR_SEND_INTERRUPTED`, so that they can be replayed (at most once). Default: `'resend'`.
    #[napi(ts_type = "'resend' | 'fail'")]
    pub on_interrupted: Option<String>,
    /// The requests that have the id of their call as `Idempotency-Key`, unless the call brings a key
    /// of its own. `'auto'`: all with `dataDir` and `onInterrupted: 'resend'`, otherwise those with
    /// retries, and replays. Default: `'auto'`.
    #[napi(ts_type = "'auto' | 'always' | 'never'")]
    pub idempotency_key: Option<String>,
}

/// The default of `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 5000;

impl HttpOptions {
    /// Reads the configuration. `redact` names more headers whose values never reach the log, and
    /// `concurrency` is that of all destinations.
    pub(super) fn read(self, redact: Vec<String>, concurrency: usize) -> Result<Config> {
        let place = Place::open("http");
        let default = Config::default();
        let user_agent = self.user_agent.unwrap_or(default.user_agent);
        if ::http::HeaderValue::from_str(&user_agent).is_err() {
            return Err(place.refuse("userAgent", "is not a header value"));
        }
        Ok(Config {
            timeout: place.timeout(self.timeout_ms, DEFAULT_TIMEOUT_MS)?,
            max_redirects: place.count(
                "maxRedirects",
                self.max_redirects,
                0,
                default.max_redirects,
            )?,
            max_response_bytes: place.bytes(
                "maxResponseBytes",
                self.max_response_bytes,
                default.max_response_bytes,
            )?,
            log_body_bytes: place.bytes(
                "logBodyBytes",
                self.log_body_bytes,
                default.log_body_bytes,
            )?,
            concurrency: place.count("concurrency", self.concurrency, 1, concurrency)?,
            per_host_concurrency: place.count(
                "perHostConcurrency",
                self.per_host_concurrency,
                1,
                default.per_host_concurrency,
            )?,
            user_agent,
            connections: tls::header_case(self.header_case.as_deref())
                .and_then(|case| tls::read(self.tls, self.http2.as_deref(), case))
                .map_err(|reason| place.refuse_within(reason))?,
            retries: match self.retry {
                None => Retries::default(),
                Some(retry) => {
                    retry.read().map_err(|reason| place.at("retry").refuse_within(reason))?
                }
            },
            rates: self.rate.unwrap_or_default().read(&place.at("rate"))?,
            idempotency_key: default.idempotency_key,
            redact,
        })
    }

    /// Reads which requests have an `Idempotency-Key`. `resends`: the next process sends interrupted
    /// requests again.
    pub(super) fn idempotency_key(&self, resends: bool) -> Result<IdempotencyKey> {
        match self.idempotency_key.as_deref() {
            None | Some("auto") if resends => Ok(IdempotencyKey::Always),
            None | Some("auto") => Ok(IdempotencyKey::Repeatable),
            Some("always") => Ok(IdempotencyKey::Always),
            Some("never") => Ok(IdempotencyKey::Never),
            Some(other) => {
                let reason = format!("{other:?} is none of 'auto', 'always' and 'never'");
                Err(Place::open("http").refuse("idempotencyKey", reason))
            }
        }
    }

    /// Reads how requests are handled that the end of the process interrupted.
    pub(super) fn on_interrupted(&self) -> Result<OnInterrupted> {
        match self.on_interrupted.as_deref() {
            None | Some("resend") => Ok(OnInterrupted::Resend),
            Some("fail") => Ok(OnInterrupted::Fail),
            Some(other) => {
                let reason = format!("{other:?} is neither 'resend' nor 'fail'");
                Err(Place::open("http").refuse("onInterrupted", reason))
            }
        }
    }
}
