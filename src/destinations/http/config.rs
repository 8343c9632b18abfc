//! Configuration of the HTTP destination, with the defaults of the specification.

use std::time::Duration;

use super::rate::Rates;
use super::retry::Retries;
use crate::egress::HttpOptions;

/// The options of the HTTP destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Whole-request deadline: from the first lookup to the last byte of the body. Default: 5 s.
    pub timeout: Duration,
    /// Redirects followed. Default: 5.
    pub max_redirects: usize,
    /// Bytes of a response's body that are read, after decompression. Default: 1 MiB.
    pub max_response_bytes: usize,
    /// Bytes of each body that the log keeps. Default: 64 KiB.
    pub log_body_bytes: usize,
    /// Requests under way at once, over all hosts. Default: 1024.
    pub concurrency: usize,
    /// Requests under way at once to one origin. Default: 64.
    pub per_host_concurrency: usize,
    /// The `User-Agent` of requests that do not bring their own. Default: `dollar-send/VERSION`.
    pub user_agent: String,
    /// The policy of retries. Default: no retries.
    pub retries: Retries,
    /// The rate limits. Default: none.
    pub rates: Rates,
    /// The requests that have an `Idempotency-Key`.
    pub idempotency_key: IdempotencyKey,
    /// TLS and HTTP/2.
    pub connections: HttpOptions,
    /// More names of headers whose values never reach the log.
    pub redact: Vec<String>,
}

/// The requests that have an `Idempotency-Key`: the id of the call. A key that the call brings stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdempotencyKey {
    /// Those that may be or are repetitions within this process: with a retry policy, replays, and
    /// what an earlier process left.
    #[default]
    Repeatable,
    /// All.
    Always,
    /// None.
    Never,
}

/// The `User-Agent` of requests that do not bring their own.
pub(super) const USER_AGENT: &str = concat!("dollar-send/", env!("CARGO_PKG_VERSION"));

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_redirects: 5,
            max_response_bytes: 1 << 20,
            log_body_bytes: 64 << 10,
            concurrency: 1024,
            per_host_concurrency: 64,
            user_agent: USER_AGENT.to_owned(),
            retries: Retries::default(),
            rates: Rates::default(),
            idempotency_key: IdempotencyKey::default(),
            connections: HttpOptions::http2(),
            redact: Vec::new(),
        }
    }
}
