//! The one part of the HTTP destination that talks to the network.

use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::response::Parts;
use http::{HeaderValue, Response};
use hyper::ext::ReasonPhrase;
use url::Url;

use super::Config;
use super::charset::header_text;
use super::classify::{broken, is_without_cause, timed_out, verdict};
use super::deadline::within;
use super::exchange::{Hop, request_log, response_log, unprepared_log};
use super::redirect;
use super::request::{self, Defaults, Prepared};
use super::response::{self, Capture, Received};
use super::retry::Retries;
use super::sign;
use super::target::origin;
use super::transport::{Body, Transport};
use crate::destinations::{
    Attempt, Destination, Exchange, Failure, Outcome, Payload, Phase, RetryPolicy, Verdict,
};
use crate::egress::{Answerer, Door, Place, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::{RequestLog, Trace};
use crate::observability::time::Timestamp;

/// The HTTP destination.
#[derive(Debug)]
pub struct Http {
    config: Config,
    defaults: Defaults,
    transport: Transport,
    door: Door,
}

/// What came of a delivery's requests until now.
#[derive(Debug, Default)]
struct Trail {
    received: Option<Received>,
    /// Where the last redirect led.
    moved_to: Option<Url>,
}

impl Http {
    /// A destination that reaches the network through `door`.
    pub fn new(config: Config, door: Door) -> Result<Self> {
        let transport = Transport::new(&door, &config)?;
        let user_agent = HeaderValue::from_str(&config.user_agent).map_err(|source| {
            Error::new(ErrorKind::InvalidOption, "http.userAgent is not a header value")
                .with_source(source)
        })?;
        let defaults = Defaults { user_agent, retries: config.retries.clone() };
        Ok(Self { config, defaults, transport, door })
    }

    /// Requests under way at once to one origin.
    #[must_use]
    pub const fn per_host_concurrency(&self) -> usize {
        self.config.per_host_concurrency
    }

    /// Bytes of a body that the log keeps.
    #[must_use]
    pub const fn log_body_bytes(&self) -> usize {
        self.config.log_body_bytes
    }

    /// The origin of the call's URL; calls without one share a lane.
    #[must_use]
    pub fn lane(&self, payload: &Payload) -> String {
        origin(payload).unwrap_or_default()
    }

    /// What the log shows of a call that was not sent yet.
    #[must_use]
    pub fn describe(&self, payload: &Payload) -> RequestLog {
        described(payload, &self.defaults, &self.config)
    }

    /// When a failed attempt of this call is followed by another; `None`: never.
    #[must_use]
    pub fn retry_policy(&self, payload: &Payload) -> Option<RetryPolicy> {
        let prepared = request::prepare(payload, &self.defaults).ok()?;
        self.policy_of(&prepared).cloned()
    }

    fn policy_of<'a>(&'a self, prepared: &'a Prepared) -> Option<&'a RetryPolicy> {
        match &prepared.retry {
            Some(of_call) => of_call.as_deref(),
            None => self.config.retries.of(&prepared.url),
        }
    }

    /// Sends the request and those that redirects ask for; `trail` holds what came of them.
    async fn follow(
        &self,
        mut prepared: Prepared,
        progress: &Progress,
        begun: Instant,
        trail: &mut Trail,
    ) -> std::result::Result<Verdict, Verdict> {
        let mut hops = Vec::new();
        let limit = prepared.max_redirects.unwrap_or(self.config.max_redirects);
        loop {
            self.door.admit(&prepared.url).await.map_err(Verdict::Rejected)?;
            let response = self.send(&prepared, progress).await?;
            let answerer = self.answerer(&prepared, &response);
            let (head, mut body) = response.into_parts();
            let next = match self.next(&prepared, &head, &answerer, limit) {
                Ok(None) => None,
                Ok(Some(next)) if hops.len() < limit => {
                    let status = head.status.as_u16();
                    // What the log shows when nothing comes of the next hop.
                    trail.received = Some(self.head(head, answerer, hops.clone(), begun));
                    trail.moved_to = Some(next.url.clone());
                    hops.push(Hop::new(status, &next.method, &next.url));
                    prepared = next;
                    continue;
                }
                Ok(Some(_)) => Some(too_many_redirects(limit)),
                Err(failure) => Some(failure),
            };
            let received = trail.received.insert(self.head(head, answerer, hops, begun));
            progress.set(Phase::Body);
            response::read(&mut body, &mut received.body).await;
            return match next {
                None => Ok(verdict(received, || Place::of(&prepared.url, &self.door))),
                Some(failure) => Err(Verdict::Rejected(failure)),
            };
        }
    }

    fn next(
        &self,
        prepared: &Prepared,
        head: &Parts,
        answerer: &Answerer,
        limit: usize,
    ) -> std::result::Result<Option<Prepared>, Failure> {
        if limit == 0 || matches!(answerer, Answerer::Proxy(_)) {
            return Ok(None);
        }
        let location = head.headers.get(header::LOCATION);
        redirect::next(prepared, head.status, location, &self.config.redact)
    }

    fn answerer(&self, prepared: &Prepared, response: &Response<Body>) -> Answerer {
        let refusal = response.extensions().get::<Answerer>().cloned();
        refusal.unwrap_or_else(|| {
            self.door.answerer(&prepared.url, response.status(), response.headers())
        })
    }

    /// The place of the request that was made last. It is needed so rarely that it is found anew.
    fn place(&self, payload: &Payload, trail: &Trail) -> Option<Place> {
        let first = || Some(request::prepare(payload, &self.defaults).ok()?.url);
        let url = trail.moved_to.clone().or_else(first)?;
        Some(Place::of(&url, &self.door))
    }

    async fn send(
        &self,
        prepared: &Prepared,
        progress: &Progress,
    ) -> std::result::Result<Response<Body>, Verdict> {
        progress.set(Phase::Request);
        let error = match self.transport.send(prepared).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let phase = written(progress.phase(), prepared.body.as_ref());
        let place = Place::of(&prepared.url, &self.door);
        // Over TLS to the proxy, the handshake with it is what came last.
        if matches!(phase, Phase::Connect | Phase::Tls)
            && is_without_cause(error.as_ref())
            && let Some(proxy) = place.proxy()
            && let Some(refusal) = Box::pin(self.door.refusal_of_tunnel(&prepared.url)).await
        {
            let mut refusal = refusal.map(|page| Body::Page(page.into()));
            refusal.extensions_mut().insert(Answerer::Proxy(proxy));
            return Ok(refusal);
        }
        Err(broken(error.as_ref(), phase, &place))
    }

    fn head(&self, head: Parts, answerer: Answerer, hops: Vec<Hop>, begun: Instant) -> Received {
        let Config { log_body_bytes: keep, max_response_bytes: limit, .. } = self.config;
        Received {
            status: head.status,
            reason: reason(&head),
            version: head.version,
            body: Capture::new(&head.headers, keep, limit),
            headers: head.headers,
            answerer,
            hops,
            first_byte: begun.elapsed(),
        }
    }
}

/// The reason phrase as the server wrote it, which the client keeps where it is not the standard's.
/// HTTP/2 has none: there it is the standard's.
fn reason(head: &Parts) -> String {
    head.extensions.get::<ReasonPhrase>().map_or_else(
        || head.status.canonical_reason().unwrap_or_default().to_owned(),
        |phrase| header_text(phrase.as_bytes()),
    )
}

/// What the log shows of a call that was not sent yet, where no destination is configured.
#[must_use]
pub fn describe(payload: &Payload) -> RequestLog {
    let config = Config::default();
    let user_agent = HeaderValue::from_static(super::config::USER_AGENT);
    described(payload, &Defaults { user_agent, retries: Retries::default() }, &config)
}

fn described(payload: &Payload, defaults: &Defaults, config: &Config) -> RequestLog {
    request::prepare(payload, defaults)
        .map_or_else(|_| unprepared_log(payload), |prepared| request_log(&prepared, config))
}

impl Destination for Http {
    async fn deliver(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let mut prepared = match request::prepare(payload, &self.defaults) {
            Ok(prepared) => prepared,
            Err(failure) => return Outcome::rejected(failure),
        };
        let mut warnings = std::mem::take(&mut prepared.warnings);
        if attempt.recovered || self.policy_of(&prepared).is_some() {
            identify(&mut prepared, attempt);
        }
        if let Some(trace) = attempt.trace {
            propagate(&mut prepared, trace);
        }
        if let Some(secret) = payload.body.as_ref().and_then(|body| body.secret.as_deref()) {
            sign::sign(&mut prepared, secret, Timestamp::now());
        }
        let request = request_log(&prepared, &self.config);
        let limit = prepared.timeout.unwrap_or(self.config.timeout);
        let body = prepared.body.clone();
        let progress = Progress::new();
        let begun = Instant::now();
        let mut trail = Trail::default();
        let exchange = self.follow(prepared, &progress, begun, &mut trail);
        let ended = within(limit, &progress, progress.scope(exchange)).await;
        let verdict = if let Some(Ok(verdict) | Err(verdict)) = ended {
            verdict
        } else {
            let place = self.place(payload, &trail);
            let phase = written(progress.phase(), body.as_ref());
            timed_out(limit, phase, place.as_ref(), progress.lack())
        };
        let duration = begun.elapsed();
        let response = trail.received.map(|received| {
            warnings.extend(received.body.warnings());
            Box::new(response_log(received, progress.timings(), duration, &self.config))
        });
        Outcome::of(verdict, Exchange { request: Some(request), response, warnings })
    }
}

/// What a receiver tells repeated requests by (the IETF's draft of the header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Gives the request the delivery's id, unless the call brings a key of its own.
fn identify(prepared: &mut Prepared, attempt: &Attempt<'_>) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id = attempt.id.hyphenated().encode_lower(&mut buffer);
    if let (Ok(value), header::Entry::Vacant(place)) =
        (HeaderValue::from_str(id), prepared.headers.entry(IDEMPOTENCY_KEY))
    {
        place.insert(value);
    }
}

/// Gives the request the trace of its execution (W3C Trace Context), unless the call brings its own.
fn propagate(prepared: &mut Prepared, trace: &Trace) {
    let headers = &mut prepared.headers;
    let Ok(parent) = HeaderValue::from_str(&trace.parent) else { return };
    if headers.contains_key(TRACEPARENT) {
        return;
    }
    headers.insert(TRACEPARENT, parent);
    let state = trace.state.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(state)) = state {
        headers.insert(TRACESTATE, state);
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A body this small fits into the socket's buffer with its headers: once connected, the request
/// is written and the server's turn has come.
const WRITTEN_AT_ONCE: usize = 16 << 10;

fn written(phase: Phase, body: Option<&Bytes>) -> Phase {
    match phase {
        Phase::Request if body.is_none_or(|body| body.len() <= WRITTEN_AT_ONCE) => Phase::Response,
        phase => phase,
    }
}

fn too_many_redirects(limit: usize) -> Failure {
    Failure::new(
        ErrorKind::TooManyRedirects,
        format!("the redirects did not end after {limit} (http.maxRedirects)"),
    )
}
