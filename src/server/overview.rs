//! `GET /overview`: deliveries by hour and by host, and the queues.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parameters::QueryParams;
use super::response::{ApiError, CommonErrors, Problem};
use super::search;
use super::state::Shared;
use crate::execution::{MAX_SAMPLES, Sample, Status};
use crate::streams::StreamStats;
use crate::time::Timestamp;

/// Hosts that are named, the busiest first.
const MAX_HOSTS: usize = 100;
/// Queues that are named, the busiest first.
const MAX_QUEUES: usize = 100;
/// Streams that are named, the most followed first.
const MAX_STREAMS: usize = 100;
const HOUR_MS: u64 = 3_600_000;
/// The period when none is given: 24 hours.
const DEFAULT_MS: u64 = 24 * HOUR_MS;
/// The longest period: 31 days.
const MAX_MS: u64 = 31 * 24 * HOUR_MS;

/// The period of the figures.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OverviewParameters {
    /// The beginning: a duration before now (`24h`) or a time, 31 days ago at most.
    #[param(default = "24h")]
    since: Option<String>,
}

#[derive(Default, Serialize, ToSchema)]
struct Figures {
    delivered: usize,
    failed: usize,
    /// The median of the last attempt's duration, in milliseconds.
    p50: Option<f64>,
    /// 95 of 100 last attempts took at most so many milliseconds.
    p95: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct Hour {
    #[schema(format = DateTime)]
    time: String,
    #[serde(flatten)]
    figures: Figures,
    /// Responses by the class of their status: `2xx`, `4xx`, …
    statuses: BTreeMap<String, usize>,
}

#[derive(Serialize, ToSchema)]
struct HostFigures {
    /// The host with its port; without one, the name of the destination.
    host: String,
    /// The name of the destination, if there is no host.
    destination: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueFigures {
    destination: &'static str,
    queue: String,
    in_flight: usize,
    /// Deliveries that wait for their turn, or for their next attempt.
    waiting: usize,
    /// `closed`, `open` or `half-open`.
    breaker: &'static str,
}

/// A stream of a workflow (`$send.sse`).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamFigures {
    workflow_id: String,
    /// The clients that follow it.
    followers: usize,
    /// The events that a new client receives first.
    kept: usize,
}

impl From<StreamStats> for StreamFigures {
    fn from(stats: StreamStats) -> Self {
        let StreamStats { workflow_id, followers, kept } = stats;
        Self { workflow_id: workflow_id.to_string(), followers, kept }
    }
}

/// The figures of a period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    #[schema(format = DateTime)]
    since: String,
    /// The hours with deliveries, oldest first.
    hours: Vec<Hour>,
    /// The busiest hosts.
    hosts: Vec<HostFigures>,
    /// Deliveries that wait for their turn, for their batch or for their next attempt; with
    /// `journal.postgres` those of all nodes.
    waiting: usize,
    /// The time of the call that has waited longest; with `journal.postgres` the beginning of its
    /// execution.
    #[schema(format = DateTime)]
    oldest_waiting_at: Option<String>,
    /// The queues; with `journal.postgres` those of this node.
    queues: Vec<QueueFigures>,
    /// The streams of workflows, those with most followers first.
    streams: Vec<StreamFigures>,
    /// `true` if only the newest 50,000 deliveries of the period are counted.
    sampled: bool,
}

/// Deliveries by hour and by host
///
/// Of the deliveries whose call was recorded in the period, those that are terminal.
#[utoipa::path(
    get,
    path = "/overview",
    tag = "log",
    params(OverviewParameters),
    responses(
        (status = 200, description = "The figures", body = Overview),
        (status = 400, description = "A parameter is wrong", body = Problem),
        CommonErrors,
    ),
)]
pub(super) async fn overview(
    State(shared): State<Shared>,
    QueryParams(asked): QueryParams<OverviewParameters>,
) -> Result<Json<Overview>, ApiError> {
    let engine = shared.engine()?;
    let now = Timestamp::now();
    let since = match asked.since.as_deref() {
        None => Timestamp::from_millis(now.as_millis().saturating_sub(DEFAULT_MS)),
        Some(text) => search::point_in_time(text, now).ok_or_else(|| {
            ApiError::invalid(format!(
                "since: {text:?} is neither a duration (30m, 2h, 7d) nor a time (2026-11-26)"
            ))
        })?,
    };
    let since = since.max(Timestamp::from_millis(now.as_millis().saturating_sub(MAX_MS)));
    let samples = engine.samples(since).await?;
    let stats = engine.stats();
    let (waiting, oldest) = engine.waiting().await?;
    let queues = stats.lanes.iter().take(MAX_QUEUES).map(|lane| QueueFigures {
        destination: lane.destination,
        queue: lane.lane.clone(),
        in_flight: lane.in_flight,
        waiting: lane.waiting,
        breaker: lane.breaker,
    });
    Ok(Json(Overview {
        since: since.to_string(),
        hours: hours(&samples),
        hosts: hosts(&samples),
        waiting,
        oldest_waiting_at: oldest.map(|at| at.to_string()),
        queues: queues.collect(),
        streams: engine.streams().list(MAX_STREAMS).into_iter().map(Into::into).collect(),
        sampled: samples.len() >= MAX_SAMPLES,
    }))
}

fn hours(samples: &[Sample]) -> Vec<Hour> {
    let mut hours: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        hours.entry(sample.at.as_millis() / HOUR_MS).or_default().push(sample);
    }
    let hour = |(hour, samples): (u64, Vec<&Sample>)| {
        let mut statuses = BTreeMap::new();
        for status in samples.iter().filter_map(|sample| sample.http_status) {
            *statuses.entry(format!("{}xx", status / 100)).or_default() += 1;
        }
        let time = Timestamp::from_millis(hour * HOUR_MS).to_string();
        Hour { time, figures: figures(&samples), statuses }
    };
    hours.into_iter().map(hour).collect()
}

fn hosts(samples: &[Sample]) -> Vec<HostFigures> {
    let mut hosts: HashMap<(&str, bool), Vec<&Sample>> = HashMap::new();
    for sample in samples {
        hosts.entry((&sample.host, sample.has_host)).or_default().push(sample);
    }
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_unstable_by(|(a, of_a), (b, of_b)| (of_b.len(), *a).cmp(&(of_a.len(), *b)));
    hosts.truncate(MAX_HOSTS);
    let host = |((host, has_host), samples): ((&str, bool), Vec<&Sample>)| HostFigures {
        host: host.to_owned(),
        destination: (!has_host).then(|| host.to_owned()),
        figures: figures(&samples),
    };
    hosts.into_iter().map(host).collect()
}

fn figures(samples: &[&Sample]) -> Figures {
    let delivered = samples.iter().filter(|sample| sample.status == Status::Delivered).count();
    let mut durations: Vec<f64> = samples.iter().filter_map(|sample| sample.duration_ms).collect();
    durations.sort_unstable_by(f64::total_cmp);
    let percentile = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100);
        durations.get(rank.saturating_sub(1)).copied()
    };
    Figures {
        delivered,
        failed: samples.len() - delivered,
        p50: percentile(50),
        p95: percentile(95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_hour_and_host() {
        let sample = |at, status, host: &str, ms| Sample {
            at: Timestamp::from_millis(at),
            status,
            host: host.to_owned(),
            has_host: host == "a",
            http_status: Some(if status == Status::Delivered { 204 } else { 500 }),
            duration_ms: Some(ms),
        };
        let mut samples: Vec<_> =
            (1..=99).map(|ms| sample(HOUR_MS, Status::Delivered, "a", f64::from(ms))).collect();
        samples.push(sample(2 * HOUR_MS - 1, Status::Failed, "b", 100.0));
        samples.push(sample(2 * HOUR_MS, Status::Failed, "b", 7.0));
        let hours = hours(&samples);
        let seen: Vec<_> = hours
            .iter()
            .map(|hour| (hour.time.as_str(), hour.figures.delivered, hour.figures.failed))
            .collect();
        assert_eq!(seen, [("1970-01-01T01:00:00.000Z", 99, 1), ("1970-01-01T02:00:00.000Z", 0, 1)]);
        assert_eq!((hours[0].figures.p50, hours[0].figures.p95), (Some(50.0), Some(95.0)));
        assert_eq!((hours[0].statuses["2xx"], hours[0].statuses["5xx"]), (99, 1));
        let hosts = hosts(&samples);
        assert_eq!((hosts[0].host.as_str(), hosts[1].host.as_str()), ("a", "b"));
        assert_eq!((&hosts[0].destination, hosts[1].destination.as_deref()), (&None, Some("b")));
        assert_eq!(hosts[1].figures.failed, 2);
        assert_eq!(figures(&[]).p50, None);
    }
}
