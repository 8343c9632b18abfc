//! `http.retry`: the mirror of its spelling.

use std::collections::HashMap;

use napi_derive::napi;
use serde::Deserialize;

use crate::destinations::http::{BreakerSpelling, Retries, RetrySpelling};

/// When a failed request is made again. The delays between attempts are either those of
/// `scheduleMs`, or grow from `initialMs`. Every attempt carries the delivery's id in an
/// `Idempotency-Key` header, unless the call brings one. A call may have its own `retry`: `false`,
/// a number of attempts, or an object with these members but `hosts`.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryOptions {
    /// Milliseconds to wait after the first attempt, the second, and so on: there is one attempt
    /// more than delays. Default: none, the delays grow.
    pub schedule_ms: Option<Vec<f64>>,
    /// Attempts altogether, the first included. Default: 5.
    pub attempts: Option<f64>,
    /// Milliseconds before the second attempt. Default: 1000.
    pub initial_ms: Option<f64>,
    /// How many times as long each delay is as the one before. Default: 2.
    pub factor: Option<f64>,
    /// Milliseconds that no delay exceeds. Default: 300000, five minutes.
    pub max_ms: Option<f64>,
    /// The share of each delay that chance may take away, from 0 to 1. Default: 0.5.
    pub jitter: Option<f64>,
    /// Milliseconds after the call past which nothing is attempted. Default: a day.
    pub max_age_ms: Option<f64>,
    /// Milliseconds of the longest `Retry-After` that is waited for; where a server asks for
    /// more, this is the wait. Default: an hour.
    pub retry_after_max_ms: Option<f64>,
    /// Statuses after which there is another attempt. Default: 408, 425, 429, 500, 502, 503, 504,
    /// 507 and 520 to 530.
    pub statuses: Option<Vec<u16>>,
    /// Codes of failures after which there is another attempt. Default: `ERR_SEND_DNS`,
    /// `ERR_SEND_CONNECT`, `ERR_SEND_TLS`, `ERR_SEND_CONNECTION`, `ERR_SEND_TIMEOUT`.
    #[napi(ts_type = "Array<ErrorCode>")]
    pub errors: Option<Vec<String>>,
    /// When a host that keeps failing is left alone.
    pub breaker: Option<BreakerOptions>,
    /// Hosts with options of their own, by host name, `*.example.com`, address or CIDR range; what
    /// they do not say is as for all. Default: none.
    pub hosts: Option<HashMap<String, RetryOptions>>,
}

/// The circuit breaker of each host: after so many failures in a row it opens, and nothing is
/// attempted; after the cooldown one attempt decides whether it closes.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BreakerOptions {
    /// Failures in a row that open it; 0: it never opens. Default: 10.
    pub failures: Option<f64>,
    /// Milliseconds that it stays open. Default: 30000.
    pub cooldown_ms: Option<f64>,
}

impl RetryOptions {
    /// The policies. `Err`: the path of what is wrong, and why.
    pub(super) fn read(mut self) -> Result<Retries, String> {
        let hosts = self.hosts.take().unwrap_or_default();
        if hosts.values().any(|host| host.hosts.is_some()) {
            return Err("hosts: a host has no hosts of its own".to_owned());
        }
        let mut hosts: Vec<_> =
            hosts.into_iter().map(|(host, own)| (host, own.spelled())).collect();
        // A longer pattern says more: `api.example.com` comes before `*.example.com`.
        hosts.sort_by_key(|(host, _)| (host.starts_with('*'), std::cmp::Reverse(host.len())));
        Retries::read(self.spelled(), hosts)
    }

    /// The policy as it is spelled, without the hosts.
    pub(super) fn spelled(self) -> RetrySpelling {
        RetrySpelling {
            schedule_ms: self.schedule_ms,
            attempts: self.attempts,
            initial_ms: self.initial_ms,
            factor: self.factor,
            max_ms: self.max_ms,
            jitter: self.jitter,
            max_age_ms: self.max_age_ms,
            retry_after_max_ms: self.retry_after_max_ms,
            statuses: self.statuses,
            errors: self.errors,
            breaker: self.breaker.map(|breaker| BreakerSpelling {
                failures: breaker.failures,
                cooldown_ms: breaker.cooldown_ms,
            }),
        }
    }
}
