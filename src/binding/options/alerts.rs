//! JavaScript options of alerts: `alerts`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use napi_derive::napi;
use serde::Deserialize;
use url::Url;

use super::place::{MAX_BYTES, Place};
use super::rate::MAX_RATE_MS;
use crate::config::alerts::{AlertLimits, AlertWebhook, JOURNAL_BYTES, JOURNAL_PERCENT};
use crate::delivery::Rate;
use crate::error::Result;

/// Limits whose excess raises an `alert`: an event of the engine, a metric, and a request to `url`. An
/// alert is raised once for each episode, which ends when the value has been below 80 % of the limit
/// for `calmMs`.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AlertOptions {
    /// The URL that each alert is posted to as JSON, signed as webhooks are. Needs `secret`. Default:
    /// none.
    pub url: Option<String>,
    /// The secret that the requests are signed with: `whsec_` and the base64 of 24 to 64 bytes.
    pub secret: Option<String>,
    /// Percentages of the consecutive failures that open the circuit breaker of a host; `[]`: none.
    /// Default: `[50, 70, 90, 100]`.
    pub breaker: Option<Vec<f64>>,
    /// Age of the call that has waited longest, in milliseconds; 0: none. Default: 900,000 (15 minutes).
    pub oldest_ms: Option<f64>,
    /// Rate of deliveries that fail. Default: `{ count: 10, perMs: 60000 }`.
    pub dead_letters: Option<DeadLetterRate>,
    /// Bytes of the journal's file; 0: none. Default: 80 % of `journal.maxBytes`, or 1 GiB without it.
    pub journal_bytes: Option<f64>,
    /// Time for which a value is calm before its episode ends, in milliseconds. Default: 60,000.
    pub calm_ms: Option<f64>,
}

/// A rate of dead letters.
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadLetterRate {
    /// The number of deliveries that fail; 0: no alert.
    pub count: f64,
    /// The period in milliseconds, up to a year.
    pub per_ms: f64,
}

/// The bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The largest percentage.
const MAX_PERCENT: u64 = 100;

impl AlertOptions {
    /// Reads the limits. `max_bytes`: those of the journal, if they are limited.
    pub(super) fn read(self, max_bytes: Option<u64>) -> Result<AlertLimits> {
        let place = Place::open("alerts");
        let default = AlertLimits::default();
        let millis = |member, given, default: Duration| {
            let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
            place.integer(member, given, 0..=MAX_RATE_MS, default).map(Duration::from_millis)
        };
        let oldest = millis("oldestMs", self.oldest_ms, default.oldest.unwrap_or_default())?;
        let of_journal = max_bytes.map_or(JOURNAL_BYTES, |most| most / 100 * JOURNAL_PERCENT);
        let bytes =
            place.integer("journalBytes", self.journal_bytes, 0..=MAX_BYTES * 16, of_journal)?;
        Ok(AlertLimits {
            webhook: webhook(&place, self.url, self.secret)?,
            breaker: match self.breaker {
                None => default.breaker,
                Some(percentages) => breaker(&place, &percentages)?,
            },
            oldest: Some(oldest).filter(|oldest| !oldest.is_zero()),
            dead_letters: match self.dead_letters {
                None => default.dead_letters,
                Some(rate) => dead_letters(&place.at("deadLetters"), &rate)?,
            },
            journal_bytes: Some(bytes).filter(|bytes| *bytes > 0),
            calm: millis("calmMs", self.calm_ms, default.calm)?,
        })
    }
}

fn breaker(place: &Place, percentages: &[f64]) -> Result<Vec<u32>> {
    let read = |(index, percentage): (usize, &f64)| {
        let member = format!("breaker[{index}]");
        let whole = place.integer(&member, Some(*percentage), 1..=MAX_PERCENT, 1)?;
        Ok(u32::try_from(whole).unwrap_or(u32::MAX))
    };
    let mut read = percentages.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

fn dead_letters(place: &Place, rate: &DeadLetterRate) -> Result<Option<Rate>> {
    let count = place.count("count", Some(rate.count), 0, 0)?;
    let millis = place.integer("perMs", Some(rate.per_ms), 1..=MAX_RATE_MS, 1)?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok((count > 0).then(|| Rate { count, period: Duration::from_millis(millis) }))
}

fn webhook(
    place: &Place,
    url: Option<String>,
    secret: Option<String>,
) -> Result<Option<AlertWebhook>> {
    let (url, secret) = match (url, secret) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(place.refuse("secret", "is needed with url")),
        (None, Some(_)) => return Err(place.refuse("secret", "has no meaning without url")),
        (Some(url), Some(secret)) => (url, secret),
    };
    let is_web = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !Url::parse(&url).is_ok_and(is_web) {
        return Err(place.refuse("url", "is not the URL of a web server"));
    }
    let key = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    if !key.is_some_and(|key| SECRET_BYTES.contains(&key.len())) {
        let reason = "must be whsec_ and the base64 of 24 to 64 bytes";
        return Err(place.refuse("secret", reason));
    }
    Ok(Some(AlertWebhook { url, secret }))
}
