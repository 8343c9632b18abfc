//! JavaScript options of retries: `http.retry` and the others.

use std::collections::HashMap;

use napi_derive::napi;
use serde::Deserialize;

use crate::destinations::http::{RawBreakerOptions, RawRetryOptions, Retries};

/// Retries. The delays between attempts are either those of `scheduleMs`, or grow from `initialMs`.
/// Every attempt carries the delivery's id in an `Idempotency-Key` header, unless the call sets one. A
/// call may have its own `retry`: `false`, a number of attempts, or an object with these members but
/// `hosts`.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryOptions {
    /// Delays after the first attempt, the second, and so on, in milliseconds: there is one attempt
    /// more than delays. Default: none, the delays grow.
    pub schedule_ms: Option<Vec<f64>>,
    /// Attempts in total, the first included. Default: 5.
    pub attempts: Option<f64>,
    /// Delay before the second attempt, in milliseconds. Default: 1000.
    pub initial_ms: Option<f64>,
    /// Factor by which each delay is longer than the one before. Default: 2.
    pub factor: Option<f64>,
    /// The longest delay, in milliseconds. Default: 300000 (5 minutes).
    pub max_ms: Option<f64>,
    /// Random share by which each delay may be shorter, from 0 to 1. Default: 0.5.
    pub jitter: Option<f64>,
    /// Age of a call after which it is not retried, in milliseconds. Default: a day.
    pub max_age_ms: Option<f64>,
    /// The longest `Retry-After` to honour, in milliseconds; a longer one is cut to it. Default: an
    /// hour.
    pub retry_after_max_ms: Option<f64>,
    /// HTTP statuses to retry. Default: 408, 425, 429, 500, 502, 503, 504,
    /// 507 and 520 to 530.
    pub statuses: Option<Vec<u16>>,
    /// Error codes to retry. Default: `ERR_SEND_DNS`, `ERR_SEND_CONNECT`, `ERR_SEND_TLS`,
    /// `ERR_SEND_CONNECTION`, `ERR_SEND_TIMEOUT`.
    #[napi(ts_type = "Array<ErrorCode>")]
    pub errors: Option<Vec<String>>,
    /// The circuit breaker.
    pub breaker: Option<BreakerOptions>,
    /// Options of single hosts, by host name, `*.example.com`, address or CIDR range. Absent members are
    /// as for all hosts. Default: none.
    pub hosts: Option<HashMap<String, RetryOptions>>,
}

/// The circuit breaker of each host. It opens after consecutive failures, and stops all attempts; after
/// the cooldown one attempt decides whether it closes.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BreakerOptions {
    /// Consecutive failures that open it; 0 disables it. Default: 10.
    pub failures: Option<f64>,
    /// Time that it stays open, in milliseconds. Default: 30000.
    pub cooldown_ms: Option<f64>,
}

impl RetryOptions {
    /// Reads the policies. `Err`: the path of what is wrong, and the reason.
    pub(super) fn read(mut self) -> Result<Retries, String> {
        let hosts = self.hosts.take().unwrap_or_default();
        if hosts.values().any(|host| host.hosts.is_some()) {
            return Err("hosts: a host has no hosts of its own".to_owned());
        }
        let mut hosts: Vec<_> =
            hosts.into_iter().map(|(host, own)| (host, own.into_raw())).collect();
        // A longer pattern says more: `api.example.com` comes before `*.example.com`.
        hosts.sort_by_key(|(host, _)| (host.starts_with('*'), std::cmp::Reverse(host.len())));
        Retries::read(self.into_raw(), hosts)
    }

    /// Returns the policy unchecked, without the hosts.
    pub(super) fn into_raw(self) -> RawRetryOptions {
        RawRetryOptions {
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
            breaker: self.breaker.map(|breaker| RawBreakerOptions {
                failures: breaker.failures,
                cooldown_ms: breaker.cooldown_ms,
            }),
        }
    }
}
