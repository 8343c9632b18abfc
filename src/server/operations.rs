//! What those who run the server look at: whether it lives, whether it is ready, and what it counts.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Problem, Refusals, Refused};
use super::parameters::{Asked, Nothing};
use super::state::Shared;
use crate::observability::stats::Stats;

/// That all is well.
#[derive(Serialize, ToSchema)]
pub(super) struct Fine {
    #[schema(example = "ok")]
    status: &'static str,
}

const FINE: Fine = Fine { status: "ok" };

/// Whether the process lives
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses(
        (status = 200, description = "It does", body = Fine),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
    ),
    security(()),
)]
pub(super) async fn healthz() -> Json<Fine> {
    Json(FINE)
}

/// Whether the engine takes work
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It does", body = Fine),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 503, description = "It is closing", body = Problem),
    ),
    security(()),
)]
pub(super) async fn readyz(State(shared): State<Shared>) -> Result<Json<Fine>, Refused> {
    shared.engine().map(|_| Json(FINE))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters and gauges for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses(
        (status = 200, description = "In OpenMetrics text", body = String,
         content_type = "application/openmetrics-text"),
        (status = 400, description = "There is a parameter", body = Problem),
        Refusals,
    ),
)]
pub(super) async fn metrics(
    State(shared): State<Shared>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<impl IntoResponse, Refused> {
    let engine = shared.engine()?;
    let text = rendered(&engine.stats(), engine.streams().followers());
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    destination: String,
    lane: String,
}

/// Lanes that are shown, the busiest first: their names are hosts, of which there may be many.
const MAX_LANES: usize = 100;

fn rendered(stats: &Stats, clients: usize) -> String {
    let mut registry = Registry::with_prefix("dollar_send");
    let counters = [
        ("calls_recorded", "Calls recorded since the engine was opened", stats.recorded),
        ("deliveries_delivered", "Deliveries that reached their destination", stats.delivered),
        ("deliveries_failed", "Deliveries that failed", stats.failed),
        ("calls_discarded", "Calls that were discarded", stats.discarded),
    ];
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }
    let gauges = [
        ("deliveries_pending", "Deliveries that are not terminal", stats.pending),
        ("deliveries_in_flight", "Attempts under way", stats.in_flight),
        ("deliveries_retrying", "Deliveries that wait for another attempt", stats.retrying),
        ("executions_open", "Executions that are not over", stats.open_executions),
        ("sse_clients", "Clients that follow a stream", clients),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(signed(value)));
    }
    let bytes = ConstGauge::new(signed(stats.pending_bytes));
    registry.register_with_unit("pending", "Bytes of undelivered calls", Unit::Bytes, bytes);
    let (in_flight, waiting, open) = (
        Family::<_, Gauge>::default(),
        Family::<_, Gauge>::default(),
        Family::<_, Gauge>::default(),
    );
    for lane in stats.lanes.iter().take(MAX_LANES) {
        let labels =
            LaneLabels { destination: lane.destination.to_owned(), lane: lane.lane.clone() };
        in_flight.get_or_create(&labels).set(signed(lane.in_flight));
        waiting.get_or_create(&labels).set(signed(lane.waiting));
        open.get_or_create(&labels).set(i64::from(lane.breaker != "closed"));
    }
    registry.register("lane_in_flight", "Attempts under way in a lane", in_flight);
    registry.register("lane_waiting", "Deliveries that wait in a lane", waiting);
    registry.register("lane_breaker_open", "Whether a lane is left alone", open);
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        // Writing to memory does not fail.
        let _ = write!(text, "# EOF");
    }
    text
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
