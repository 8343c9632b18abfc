//! The one part of the HTTP destination that talks to the network.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderName};
use http::response::Parts;
use http::{HeaderValue, Response};
use hyper::ext::ReasonPhrase;
use url::Url;

use super::charset::header_text;
use super::classify::{classify_transport_error, is_without_cause, timed_out, verdict};
use super::exchange::{Hop, request_log, response_log, timings_log, unprepared_log};
use super::item::Item;
use super::redirect;
use super::request::{self, Defaults, Prepared};
use super::response::{self, Capture, Received};
use super::sign;
use super::target::origin;
use super::transport::{self, IncomingBody};
use super::{Config, IdempotencyKey};
use crate::delivery::{Failure, Payload, Phase, RateLimiter, RateWait, RetryPolicy, Verdict};
use crate::destinations::{
    Attempt, BuiltIn, DeadLetter, Destination, Exchange, LaneRules, Outcome, Resources,
};
use crate::egress::{Client, Egress, NetworkPlace, Progress, ResponseOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{RequestLog, Trace};
use crate::time::{Timestamp, within_own};

/// The HTTP destination.
#[derive(Debug)]
pub struct Http {
    config: Config,
    defaults: Defaults,
    client: Client,
    egress: Egress,
    limiter: Mutex<RateLimiter>,
}

/// The results of a delivery's requests so far.
#[derive(Debug, Default)]
struct Trail {
    received: Option<Received>,
    /// The target of the last redirect.
    moved_to: Option<Url>,
}

impl Http {
    fn new(config: Config, egress: Egress) -> Result<Self> {
        let client = egress.client(&config.connections)?;
        let user_agent = HeaderValue::from_str(&config.user_agent).map_err(|source| {
            Error::new(ErrorKind::InvalidOption, "http.userAgent is not a header value")
                .with_source(source)
        })?;
        let defaults = Defaults {
            user_agent,
            retries: config.retries.clone(),
            header_case: config.connections.header_case,
        };
        Ok(Self { config, defaults, client, egress, limiter: Mutex::default() })
    }

    fn policy_of<'a>(&'a self, prepared: &'a Prepared) -> Option<&'a RetryPolicy> {
        match &prepared.retry {
            Some(of_call) => of_call.as_deref(),
            None => self.config.retries.of(&prepared.url),
        }
    }

    /// Returns the wait of a request that is over a rate limit.
    fn wait(&self, prepared: &Prepared, attempt: &Attempt<'_>) -> Option<RateWait> {
        if self.config.rates.is_empty() {
            return None;
        }
        let keys = self.config.rates.keys(&prepared.url, attempt.workflow_id);
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.admit(attempt.id, keys, Instant::now()).err()
    }

    /// Returns `true` if the request has an `Idempotency-Key`.
    fn has_key(&self, prepared: &Prepared, attempt: &Attempt<'_>) -> bool {
        match self.config.idempotency_key {
            IdempotencyKey::Always => true,
            IdempotencyKey::Never => false,
            IdempotencyKey::Repeatable => {
                attempt.id != attempt.call
                    || attempt.recovered
                    || self.policy_of(prepared).is_some()
            }
        }
    }

    /// Sends the request and follows its redirects; `trail` holds their results.
    async fn follow(
        &self,
        first: &Prepared,
        progress: &Progress,
        begun: Instant,
        trail: &mut Trail,
    ) -> std::result::Result<Verdict, Verdict> {
        let mut hops = Vec::new();
        let limit = first.max_redirects.unwrap_or(self.config.max_redirects);
        let mut redirected: Option<Prepared> = None;
        loop {
            let prepared = redirected.as_ref().unwrap_or(first);
            self.egress.check_url(&prepared.url).await.map_err(Verdict::Rejected)?;
            let response = self.send(prepared, progress).await?;
            let answerer = self.answerer(prepared, &response);
            let (head, mut body) = response.into_parts();
            let next = match self.next(prepared, &head, &answerer, limit) {
                Ok(None) => None,
                Ok(Some(next)) if hops.len() < limit => {
                    let status = head.status.as_u16();
                    // What the log shows when nothing comes of the next hop.
                    trail.received = Some(self.head(head, answerer, hops.clone(), begun));
                    trail.moved_to = Some(next.url.clone());
                    hops.push(Hop::new(status, &next.method, &next.url));
                    redirected = Some(next);
                    continue;
                }
                Ok(Some(_)) => Some(too_many_redirects(limit)),
                Err(failure) => Some(failure),
            };
            let received = trail.received.insert(self.head(head, answerer, hops, begun));
            progress.set(Phase::Body);
            response::read(&mut body, &mut received.body).await;
            return match next {
                None => Ok(verdict(received, || NetworkPlace::of(&prepared.url, &self.egress))),
                Some(failure) => Err(Verdict::Rejected(failure)),
            };
        }
    }

    fn next(
        &self,
        prepared: &Prepared,
        head: &Parts,
        answerer: &ResponseOrigin,
        limit: usize,
    ) -> std::result::Result<Option<Prepared>, Failure> {
        if limit == 0 || matches!(answerer, ResponseOrigin::Proxy(_)) {
            return Ok(None);
        }
        let location = head.headers.get(header::LOCATION);
        redirect::next(prepared, head.status, location, &self.config.redact)
    }

    fn answerer(&self, prepared: &Prepared, response: &Response<IncomingBody>) -> ResponseOrigin {
        let refusal = response.extensions().get::<ResponseOrigin>().cloned();
        refusal.unwrap_or_else(|| {
            self.egress.answerer(&prepared.url, response.status(), response.headers())
        })
    }

    async fn send(
        &self,
        prepared: &Prepared,
        progress: &Progress,
    ) -> std::result::Result<Response<IncomingBody>, Verdict> {
        progress.set(Phase::Request);
        let error = match transport::send(&self.client, prepared).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let phase = written(progress.phase(), prepared.body.as_ref());
        let place = NetworkPlace::of(&prepared.url, &self.egress);
        // Over TLS to the proxy, the handshake with it is what came last.
        if matches!(phase, Phase::Connect | Phase::Tls)
            && is_without_cause(error.as_ref())
            && let Some(proxy) = place.proxy()
            && let Some(refusal) = Box::pin(self.egress.refusal_of_tunnel(&prepared.url)).await
        {
            let mut refusal = refusal.map(|page| IncomingBody::Page(page.into()));
            refusal.extensions_mut().insert(ResponseOrigin::Proxy(proxy));
            return Ok(refusal);
        }
        Err(classify_transport_error(error.as_ref(), phase, &place))
    }

    fn head(
        &self,
        head: Parts,
        answerer: ResponseOrigin,
        hops: Vec<Hop>,
        begun: Instant,
    ) -> Received {
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

/// Returns the reason phrase as the server wrote it, which the client keeps where it is not the
/// standard's. HTTP/2 has none: there it is the standard's.
fn reason(head: &Parts) -> String {
    head.extensions.get::<ReasonPhrase>().map_or_else(
        || head.status.canonical_reason().unwrap_or_default().to_owned(),
        |phrase| header_text(phrase.as_bytes()),
    )
}

impl BuiltIn for Http {
    type Config = Config;

    const DEAD_LETTER: DeadLetter = Err("needs a URL: write a destination of your own");

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"url":"http://user:s3cr3t-of-the-step@127.0.0.1:1/","headers":{"authorization":"Bearer s3cr3t-of-the-step"}}"#;

    fn open(config: &Config, resources: &Resources) -> Result<Self> {
        Self::new(config.clone(), resources.egress.clone())
    }

    /// Returns the method and the URL.
    fn describe_alone(payload: &Payload) -> RequestLog {
        unprepared_log(&Item::parse(&payload.text).unwrap_or_default())
    }
}

impl Destination for Http {
    fn deliver<'a>(
        &'a self,
        payload: &'a Payload,
        attempt: &'a Attempt<'a>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.attempt(payload, attempt))
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        let item = Item::parse(&payload.text).unwrap_or_default();
        request::prepare(&item, payload, &self.defaults)
            .map_or_else(|_| unprepared_log(&item), |prepared| request_log(&prepared, &self.config))
    }

    /// Returns the origin of the call's URL; calls without one share a queue.
    fn lane(&self, payload: &Payload) -> Option<String> {
        Some(origin(payload).unwrap_or_default())
    }

    fn lane_rules(&self) -> LaneRules {
        LaneRules {
            concurrency: self.config.concurrency,
            lane_concurrency: self.config.per_host_concurrency,
            ..LaneRules::default()
        }
    }

    fn retry_policy(&self, payload: &Payload) -> Option<RetryPolicy> {
        let item = Item::parse(&payload.text).ok()?;
        let prepared = request::prepare(&item, payload, &self.defaults).ok()?;
        self.policy_of(&prepared).cloned()
    }

    /// Also the longest time after which a queued call checks its reservation again.
    fn longest_wait(&self, payload: &Payload) -> Duration {
        let retry =
            self.retry_policy(payload).map_or(Duration::ZERO, |policy| policy.longest_wait());
        retry.max(self.config.rates.longest_period())
    }
}

impl Http {
    async fn attempt(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let item = Item::parse(&payload.text);
        let readable = item.as_ref().map_err(Clone::clone);
        let prepared = readable.and_then(|item| request::prepare(item, payload, &self.defaults));
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                let request = Some(unprepared_log(&item.unwrap_or_default()));
                let exchange = Exchange { request, ..Exchange::default() };
                return Outcome::of(Verdict::Rejected(failure), exchange);
            }
        };
        if let Some(RateWait { left: after, option: reason }) = self.wait(&prepared, attempt) {
            return Outcome::of(Verdict::Later { after, reason }, Exchange::default());
        }
        let mut warnings = std::mem::take(&mut prepared.warnings);
        if self.has_key(&prepared, attempt) {
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
        let progress = Progress::new();
        let begun = Instant::now();
        let mut trail = Trail::default();
        let ended = {
            let exchange = self.follow(&prepared, &progress, begun, &mut trail);
            within_own(limit, || progress.waited(), pin!(progress.scope(exchange))).await
        };
        let verdict = if let Some(Ok(verdict) | Err(verdict)) = ended {
            verdict
        } else {
            let place =
                NetworkPlace::of(trail.moved_to.as_ref().unwrap_or(&prepared.url), &self.egress);
            let phase = written(progress.phase(), prepared.body.as_ref());
            timed_out(limit, phase, Some(&place), progress.lack())
        };
        let duration = begun.elapsed();
        let response = trail.received.map(|received| {
            warnings.extend(received.body.warnings());
            Box::new(response_log(received, progress.timings(), duration, &self.config))
        });
        let timings = response.is_none().then(|| timings_log(progress.timings())).flatten();
        let retry = match verdict {
            Verdict::Delivered => None,
            Verdict::Retry { .. } | Verdict::Rejected(_) | Verdict::Later { .. } => {
                self.policy_of(&prepared).cloned()
            }
        };
        let exchange = Exchange { request: Some(request), response, warnings, timings };
        Outcome::of(verdict, exchange).with_retry(retry)
    }
}

/// The header by which a receiver detects repeated requests (the IETF's draft).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Gives the request the id of the call, unless the call brings a key of its own.
fn identify(prepared: &mut Prepared, attempt: &Attempt<'_>) {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id = attempt.call.hyphenated().encode_lower(&mut buffer);
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
