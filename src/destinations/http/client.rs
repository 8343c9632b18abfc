//! The one part of the HTTP destination that talks to the network.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use reqwest::Client;

use super::Config;
use super::classify::{broken, timed_out, verdict};
use super::exchange::{Hop, request_log, response_log, unprepared_log};
use super::redirect;
use super::request::{self, Defaults, Prepared};
use super::target::origin;
use super::response::{Appetite, Capture, Received};
use crate::destinations::{Destination, Exchange, Failure, Outcome, Payload, Phase, Verdict};
use crate::egress::{Door, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::RequestLog;

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The HTTP destination.
#[derive(Debug)]
pub struct Http {
    config: Config,
    defaults: Defaults,
    client: Client,
    door: Door,
}

impl Http {
    /// A destination that reaches the network through `door`.
    pub fn new(config: Config, door: Door) -> Result<Self> {
        let client = door
            .client_builder()?
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.per_host_concurrency)
            .build()
            .map_err(|source| {
                Error::new(ErrorKind::InvalidOption, "the HTTP client could not be set up")
                    .with_source(source)
            })?;
        let user_agent = HeaderValue::from_str(&config.user_agent).map_err(|source| {
            Error::new(ErrorKind::InvalidOption, "http.userAgent is not a header value")
                .with_source(source)
        })?;
        let defaults = Defaults { user_agent };
        Ok(Self { config, defaults, client, door })
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
        request::prepare(payload, &self.defaults).map_or_else(
            |_| unprepared_log(payload),
            |prepared| request_log(&prepared, &self.config),
        )
    }

    /// Sends the request and those that redirects ask for; `received` holds what came back.
    async fn follow(
        &self,
        mut prepared: Prepared,
        progress: &Progress,
        begun: Instant,
        received: &mut Option<Received>,
    ) -> std::result::Result<Verdict, Verdict> {
        let mut hops = Vec::new();
        loop {
            self.door.admit(&prepared.url).await.map_err(Verdict::Rejected)?;
            let response = self.send(&prepared, progress).await?;
            let status = response.status();
            let next = match self.next(&prepared, &response) {
                Ok(None) => None,
                Ok(Some(next)) if hops.len() < self.config.max_redirects => {
                    hops.push(Hop::new(status.as_u16(), &next.method, &next.url));
                    prepared = next;
                    continue;
                }
                Ok(Some(_)) => Some(too_many_redirects(self.config.max_redirects)),
                Err(failure) => Some(failure),
            };
            let received = received.insert(self.head(&response, hops, begun));
            self.read(response, progress, &mut received.body).await?;
            return match next {
                None => Ok(verdict(status, &received.headers)),
                Some(failure) => Err(Verdict::Rejected(failure)),
            };
        }
    }

    fn next(
        &self,
        prepared: &Prepared,
        response: &reqwest::Response,
    ) -> std::result::Result<Option<Prepared>, Failure> {
        if self.config.max_redirects == 0 {
            return Ok(None);
        }
        let location = response.headers().get(http::header::LOCATION);
        redirect::next(prepared, response.status(), location)
    }

    async fn send(
        &self,
        prepared: &Prepared,
        progress: &Progress,
    ) -> std::result::Result<reqwest::Response, Verdict> {
        progress.set(Phase::Request);
        let mut request = reqwest::Request::new(prepared.method.clone(), prepared.url.clone());
        *request.headers_mut() = prepared.headers.clone();
        *request.body_mut() = prepared.body.clone().map(reqwest::Body::from);
        let response = self.client.execute(request).await;
        response.map_err(|error| {
            broken(&error.without_url(), written(progress.phase(), prepared.body.as_ref()))
        })
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        progress: &Progress,
        body: &mut Capture,
    ) -> std::result::Result<(), Verdict> {
        progress.set(Phase::Body);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    if body.push(&chunk) == Appetite::Enough {
                        return Ok(());
                    }
                }
                Ok(None) => {
                    body.end();
                    return Ok(());
                }
                Err(error) => return Err(broken(&error.without_url(), Phase::Body)),
            }
        }
    }

    fn head(&self, response: &reqwest::Response, hops: Vec<Hop>, begun: Instant) -> Received {
        Received {
            status: response.status(),
            version: response.version(),
            headers: response.headers().clone(),
            hops,
            first_byte: begun.elapsed(),
            body: Capture::new(self.config.log_body_bytes, self.config.max_response_bytes),
        }
    }
}

impl Destination for Http {
    async fn deliver(&self, payload: &Payload) -> Outcome {
        let mut prepared = match request::prepare(payload, &self.defaults) {
            Ok(prepared) => prepared,
            Err(failure) => return Outcome::rejected(failure),
        };
        let warnings = std::mem::take(&mut prepared.warnings);
        let request = request_log(&prepared, &self.config);
        let limit = prepared.timeout.unwrap_or(self.config.timeout);
        let body = prepared.body.clone();
        let progress = Progress::new();
        let begun = Instant::now();
        let mut received = None;
        let exchange = self.follow(prepared, &progress, begun, &mut received);
        let verdict = match tokio::time::timeout(limit, progress.scope(exchange)).await {
            Ok(Ok(verdict) | Err(verdict)) => verdict,
            Err(_) => timed_out(limit, written(progress.phase(), body.as_ref())),
        };
        let duration = begun.elapsed();
        let response = received
            .map(|received| response_log(received, progress.timings(), duration, &self.config));
        Outcome { verdict, exchange: Exchange { request: Some(request), response, warnings } }
    }
}

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
