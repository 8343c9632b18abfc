//! `http.retry` and `retry` of a call: their spellings, and which policy a call has.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::request::CallRetry;
use crate::delivery::{BreakerPolicy, Delays, Payload, RetryPolicy, TRANSIENT};
use crate::egress::HostPattern;
use crate::error::ErrorKind;

/// The retries of an engine: of all hosts, and of those that have their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retries {
    /// The policy of hosts without their own; `None`: one attempt.
    pub general: Option<RetryPolicy>,
    /// Policies of hosts, of which the first match counts; `None`: one attempt.
    pub hosts: Vec<(HostPattern, Option<RetryPolicy>)>,
}

impl Retries {
    /// Returns the policies of an engine's options: the general one and those of hosts, which
    /// inherit missing members from the general one. `Err`: the path of the invalid member, and the
    /// reason.
    pub fn read(
        general: RawRetryOptions,
        hosts: Vec<(String, RawRetryOptions)>,
    ) -> Result<Self, String> {
        let general = general.policy(&RetryPolicy::default())?;
        let mut read = Vec::new();
        for (host, spelling) in hosts {
            let pattern = HostPattern::parse(&host)
                .ok_or_else(|| format!("hosts: {host:?} is neither a host name nor an address"))?;
            let policy =
                spelling.policy(&general).map_err(|reason| format!("hosts.{host}.{reason}"))?;
            read.push((pattern, Some(policy)));
        }
        Ok(Self { general: Some(general), hosts: read })
    }

    /// Returns whether the options have an entry for this URL's host.
    fn name(&self, url: &Url) -> bool {
        let is_host =
            |(pattern, _): &(HostPattern, _)| url.host().is_some_and(|host| pattern.is_host(&host));
        self.general.is_some() || self.hosts.iter().any(is_host)
    }

    /// Returns the policy of a host.
    #[must_use]
    pub fn of(&self, url: &Url) -> Option<&RetryPolicy> {
        let host = url.host()?;
        let own = self.hosts.iter().find(|(pattern, _)| pattern.is_host(&host));
        own.map_or(self.general.as_ref(), |(_, policy)| policy.as_ref())
    }
}

/// A policy as it is spelled in the options and in a call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RawRetryOptions {
    /// Milliseconds between the attempts.
    pub schedule_ms: Option<Vec<f64>>,
    /// Attempts altogether.
    pub attempts: Option<f64>,
    /// Milliseconds before the second attempt.
    pub initial_ms: Option<f64>,
    /// The factor from each delay to the next.
    pub factor: Option<f64>,
    /// Milliseconds that no delay exceeds.
    pub max_ms: Option<f64>,
    /// The share of a delay that chance decides.
    pub jitter: Option<f64>,
    /// Milliseconds after the call past which there is no attempt.
    pub max_age_ms: Option<f64>,
    /// Milliseconds of the longest `Retry-After` that is waited for.
    pub retry_after_max_ms: Option<f64>,
    /// Statuses.
    pub statuses: Option<Vec<u16>>,
    /// Codes of failures without a response.
    pub errors: Option<Vec<String>>,
    /// The policy of the circuit breaker.
    pub breaker: Option<RawBreakerOptions>,
}

/// The members of a breaker.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RawBreakerOptions {
    /// Failures in a row that open it; 0 for none.
    pub failures: Option<f64>,
    /// Milliseconds that it stays open.
    pub cooldown_ms: Option<f64>,
}

/// No delay or age is longer: a year.
const MAX_MS: f64 = 365.0 * 24.0 * 3600.0 * 1000.0;
/// No delivery has more attempts.
const MAX_ATTEMPTS: f64 = 1000.0;

impl RawRetryOptions {
    /// Returns the policy, with missing members from `base`. `Err`: the path of the invalid member,
    /// and the reason.
    pub fn policy(self, base: &RetryPolicy) -> Result<RetryPolicy, String> {
        let errors = self.errors.as_ref().map(|codes| errors(codes)).transpose()?;
        let duration = |name, value: Option<f64>, default| match value {
            None => Ok(default),
            Some(millis) => millis_of(name, millis),
        };
        let max_age = duration("maxAgeMs", self.max_age_ms, base.max_age)?;
        let after = duration("retryAfterMaxMs", self.retry_after_max_ms, base.retry_after_max)?;
        let breaker = breaker(self.breaker.as_ref(), base.breaker)?;
        if self.statuses.as_ref().is_some_and(|all| all.iter().any(|s| !(300..600).contains(s))) {
            return Err("statuses: must be from 300 to 599".to_owned());
        }
        Ok(RetryPolicy {
            delays: self.delays(&base.delays)?,
            max_age,
            retry_after_max: after,
            statuses: self.statuses.unwrap_or_else(|| base.statuses.clone()),
            errors: errors.unwrap_or_else(|| base.errors.clone()),
            breaker,
        })
    }

    fn delays(&self, base: &Delays) -> Result<Delays, String> {
        let others = [self.attempts, self.initial_ms, self.factor, self.max_ms, self.jitter];
        let grows = others.iter().any(Option::is_some);
        if let Some(schedule) = &self.schedule_ms {
            if grows {
                return Err(
                    "scheduleMs: stands alone, without attempts, initialMs, factor, maxMs \
                            and jitter"
                        .to_owned(),
                );
            }
            let delays = schedule.iter().map(|millis| millis_of("scheduleMs", *millis));
            return Ok(Delays::Schedule(delays.collect::<Result<_, _>>()?));
        }
        if !grows {
            return Ok(base.clone());
        }
        let default = RetryPolicy::default().delays;
        let known = if matches!(base, Delays::Exponential { .. }) { base } else { &default };
        let &Delays::Exponential { initial, factor, max, jitter, attempts } = known else {
            return Ok(default);
        };
        let within = |name, value: Option<f64>, default, least: f64, most: f64| match value {
            Some(value) if !(least..=most).contains(&value) => {
                Err(format!("{name}: {value} is not from {least} to {most}"))
            }
            value => Ok(value.unwrap_or(default)),
        };
        Ok(Delays::Exponential {
            initial: self.initial_ms.map_or(Ok(initial), |ms| millis_of("initialMs", ms))?,
            factor: within("factor", self.factor, factor, 1.0, 100.0)?,
            max: self.max_ms.map_or(Ok(max), |ms| millis_of("maxMs", ms))?,
            jitter: within("jitter", self.jitter, jitter, 0.0, 1.0)?,
            attempts: whole("attempts", self.attempts, attempts)?,
        })
    }
}

fn breaker(
    spelling: Option<&RawBreakerOptions>,
    base: Option<BreakerPolicy>,
) -> Result<Option<BreakerPolicy>, String> {
    let Some(spelling) = spelling else { return Ok(base) };
    if spelling.failures == Some(0.0) {
        return Ok(None);
    }
    let default = base.unwrap_or_default();
    let cooldown =
        spelling.cooldown_ms.map(|ms| millis_of("breaker.cooldownMs", ms)).transpose()?;
    Ok(Some(BreakerPolicy {
        failures: whole("breaker.failures", spelling.failures, default.failures)?,
        cooldown: cooldown.unwrap_or(default.cooldown),
    }))
}

fn errors(codes: &[String]) -> Result<Vec<ErrorKind>, String> {
    let kind = |code: &String| {
        let kind = ErrorKind::from_code(code);
        kind.ok_or_else(|| format!("errors: {code:?} is not one of the ERR_SEND_ codes"))
    };
    codes.iter().map(kind).collect()
}

fn millis_of(name: &str, millis: f64) -> Result<Duration, String> {
    if (0.0..=MAX_MS).contains(&millis) {
        return Ok(Duration::from_secs_f64(millis / 1000.0));
    }
    Err(format!("{name}: {millis} is not from 0 to {MAX_MS} milliseconds"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range check comes first"
)]
fn whole(name: &str, value: Option<f64>, default: u32) -> Result<u32, String> {
    match value {
        None => Ok(default),
        Some(value) if value.fract() == 0.0 && (1.0..=MAX_ATTEMPTS).contains(&value) => {
            Ok(value as u32)
        }
        Some(value) => Err(format!("{name}: {value} is not a whole number from 1 to 1000")),
    }
}

/// Returns the policy from a call's `retry`: `false` for one attempt, `true` for the default
/// policy, a number of attempts, or the members. `Err`: the reason why it is invalid.
pub(super) fn of_call(
    raw: &str,
    engine: Option<&RetryPolicy>,
) -> Result<Option<RetryPolicy>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Call {
        Switch(bool),
        Attempts(f64),
        Members(Box<RawRetryOptions>),
    }
    let default = RetryPolicy::default();
    let base = engine.unwrap_or(&default);
    let spelling = match serde_json::from_str(raw) {
        Ok(Call::Switch(false)) => return Ok(None),
        Ok(Call::Switch(true)) => return Ok(Some(base.clone())),
        Ok(Call::Attempts(attempts)) => {
            RawRetryOptions { attempts: Some(attempts), ..RawRetryOptions::default() }
        }
        // A list would be read as the members in their order.
        Ok(Call::Members(spelling)) if raw.starts_with('{') => *spelling,
        _ => return Err("it is neither a boolean, nor a number, nor known members".to_owned()),
    };
    spelling.policy(base).map(Some)
}

/// Seconds between the attempts to deliver to a webhook: the schedule of Standard Webhooks, ten
/// attempts within 75 hours and 35 minutes.
const WEBHOOK_SCHEDULE_S: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
const HOUR: u64 = 60 * 60;
/// The status of a receiver that accepts no more requests.
const GONE: u16 = 410;

/// The policy of webhooks. Standard Webhooks counts every status but 2xx as a failure to be
/// retried. There is no breaker: a 404 of one webhook does not affect the others of its host.
static WEBHOOK: LazyLock<RetryPolicy> = LazyLock::new(|| RetryPolicy {
    delays: Delays::Schedule(WEBHOOK_SCHEDULE_S.map(Duration::from_secs).to_vec()),
    // The schedule alone ends the attempts, however long its webhook was paused.
    max_age: Duration::MAX,
    statuses: (300..600).filter(|status| *status != GONE).collect(),
    errors: [ErrorKind::InvalidResponse, ErrorKind::TooManyRedirects]
        .into_iter()
        .chain(TRANSIENT)
        .collect(),
    breaker: None,
    ..RetryPolicy::default()
});

/// Returns the policy of a call to a webhook, unless the options have one for its host.
pub(super) fn of_webhook(payload: &Payload, url: &Url, retries: &Retries) -> Option<CallRetry> {
    payload.webhook().filter(|_| !retries.name(url))?;
    Some(Some(Box::new(WEBHOOK.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Body;

    fn to_webhook() -> Payload {
        let body = Body { webhook: Some("wh_a".into()), ..Body::default() };
        Payload { text: "{}".into(), body: Some(Box::new(body)) }
    }

    #[test]
    fn webhooks_have_the_schedule_of_standard_webhooks() {
        let url = Url::parse("https://example.com/hook").unwrap();
        let policy = of_webhook(&to_webhook(), &url, &Retries::default()).flatten().unwrap();
        let delays: Vec<_> = (1..=10).map(|attempts| policy.delays.after(attempts, 1.0)).collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let hours = |hours: u64| seconds(hours * 3600);
        assert_eq!(policy.delays.attempts(), 10);
        assert_eq!(
            delays,
            [
                seconds(5),
                seconds(300),
                seconds(1800),
                hours(2),
                hours(5),
                hours(10),
                hours(14),
                hours(20),
                hours(24),
                None
            ],
        );
        let retried = |status| policy.statuses.contains(&status);
        assert!([301, 400, 404, 429, 500, 502, 504].into_iter().all(retried));
        assert!(!retried(200) && !retried(410));
        assert_eq!(policy.breaker, None);
    }

    #[test]
    fn the_options_and_calls_that_are_no_webhook_s_keep_their_own_policy() {
        let url = |text| Url::parse(text).unwrap();
        let general = Retries { general: Some(RetryPolicy::default()), hosts: Vec::new() };
        assert!(of_webhook(&to_webhook(), &url("http://a.example"), &general).is_none());
        let host = HostPattern::parse("a.example").unwrap();
        let hosts = Retries { general: None, hosts: vec![(host, None)] };
        assert!(of_webhook(&to_webhook(), &url("http://a.example"), &hosts).is_none());
        assert!(of_webhook(&to_webhook(), &url("http://b.example"), &hosts).is_some());
        let call = Payload::from_text("{}");
        assert!(of_webhook(&call, &url("http://b.example"), &Retries::default()).is_none());
    }

    #[test]
    fn a_call_may_ask_for_its_own_policy() {
        let attempts = |raw| {
            of_call(raw, None).map(|policy| policy.map_or(1, |policy| policy.delays.attempts()))
        };
        assert_eq!(attempts("false"), Ok(1));
        assert_eq!(attempts("true"), Ok(5));
        assert_eq!(attempts("3"), Ok(3));
        assert_eq!(attempts(r#"{"scheduleMs":[1,2,3]}"#), Ok(4));
        assert_eq!(attempts(r#"{"attempts":7,"jitter":0}"#), Ok(7));
        for raw in ["0", "1.5", "\"x\"", r#"{"attempt":1}"#, r#"{"scheduleMs":[-1]}"#, "[]", "null"]
        {
            assert!(attempts(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (r#"{"factor":0.5}"#, "factor: 0.5 is not from 1 to 100"),
            (r#"{"jitter":2}"#, "jitter: 2 is not from 0 to 1"),
            (r#"{"errors":["E"]}"#, "errors: \"E\" is not one of"),
            (r#"{"statuses":[200]}"#, "statuses: must be from 300 to 599"),
            (r#"{"breaker":{"failures":1.5}}"#, "breaker.failures: 1.5 is not"),
            (r#"{"scheduleMs":[1],"attempts":2}"#, "scheduleMs: stands alone"),
        ] {
            let spelling: RawRetryOptions = serde_json::from_str(text).unwrap();
            let refusal = spelling.policy(&RetryPolicy::default()).unwrap_err();
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }

    #[test]
    fn the_first_host_that_matches_has_its_own_policy() {
        let policy = |attempts| {
            let spelling =
                RawRetryOptions { attempts: Some(attempts), ..RawRetryOptions::default() };
            Some(spelling.policy(&RetryPolicy::default()).unwrap())
        };
        let pattern = |text| HostPattern::parse(text).unwrap();
        let retries = Retries {
            general: policy(2.0),
            hosts: vec![
                (pattern("api.example.com"), policy(3.0)),
                (pattern("*.example.com"), None),
                (pattern("127.0.0.0/8"), policy(4.0)),
            ],
        };
        for (url, attempts) in [
            ("http://api.example.com/x", 3),
            ("http://www.example.com", 1),
            ("http://example.com", 2),
            ("http://127.0.0.1:5/", 4),
        ] {
            let policy = retries.of(&Url::parse(url).unwrap());
            assert_eq!(policy.map_or(1, |policy| policy.delays.attempts()), attempts, "{url}");
        }
    }
}
