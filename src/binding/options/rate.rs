//! JavaScript options of rate limits: `http.rate`, and the rates of others.

use std::collections::HashMap;
use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;

use super::place::Place;
use crate::delivery::Rate;
use crate::destinations::http::Rates;
use crate::error::Result;

/// No rate looks at more time than a year.
pub(super) const MAX_RATE_MS: u64 = 365 * 24 * 3600 * 1000;

/// A rate: `count` requests may be sent at once, later ones as soon as the period allows them.
#[napi(object)]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateOptions {
    /// The number of requests.
    pub count: f64,
    /// The period in milliseconds, up to a year.
    pub per_ms: f64,
}

/// Rate limits of requests, retries included. A call over a limit waits and does not fail; its
/// `warnings` have the time and the option. Limits that apply together are all kept.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpRateOptions {
    /// Rate limit of each host (scheme, name and port). Default: unlimited.
    pub per_host: Option<RateOptions>,
    /// Rate limits of single hosts in place of `perHost`, by host name, `*.example.com`, address or
    /// CIDR range. Each matching host is counted for itself. Default: none.
    pub hosts: Option<HashMap<String, RateOptions>>,
    /// Rate limit of each workflow, over all hosts. Default: unlimited.
    pub per_workflow: Option<RateOptions>,
    /// Rate limits of single workflows in place of `perWorkflow`, by id, with `*` for any characters.
    /// Each matching workflow is counted for itself. Default: none.
    pub workflows: Option<HashMap<String, RateOptions>>,
}

/// Reads a rate.
pub(super) fn read(place: &Place, count: f64, per_ms: f64) -> Result<Rate> {
    let count = place.count("count", Some(count), 1, 1)?;
    let millis = place.integer("perMs", Some(per_ms), 1..=MAX_RATE_MS, 1)?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Rate { count, period: Duration::from_millis(millis) })
}

impl HttpRateOptions {
    pub(super) fn read(self, place: &Place) -> Result<Rates> {
        let one = |name: &str, rate: Option<RateOptions>| {
            let read = |RateOptions { count, per_ms }| read(&place.at(name), count, per_ms);
            rate.map(read).transpose()
        };
        let many = |name: &str, rates: Option<HashMap<String, RateOptions>>| {
            let place = place.at(name);
            let rates = rates.unwrap_or_default().into_iter().map(|(pattern, rate)| {
                let rate = read(&place.at(&pattern), rate.count, rate.per_ms)?;
                Ok((pattern, rate))
            });
            rates.collect::<Result<Vec<_>>>()
        };
        let general = (one("perHost", self.per_host)?, one("perWorkflow", self.per_workflow)?);
        let rates =
            Rates::new(general, many("hosts", self.hosts)?, many("workflows", self.workflows)?);
        rates.map_err(|reason| place.refuse_within(reason))
    }
}
