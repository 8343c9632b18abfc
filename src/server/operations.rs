//! Endpoints for operators: liveness, readiness and metrics.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::parameters::{Nothing, QueryParams};
use super::response::{ApiError, CommonErrors, Problem};
use super::state::Shared;
use crate::engine::{Engine, NodeFigures};
use crate::error::{Error, ErrorKind};
use crate::observability::alerts::AlertStats;
use crate::observability::metrics::Stats;
use crate::time::Timestamp;

/// The response of a passed check.
#[derive(Serialize, ToSchema)]
pub(super) struct Fine {
    #[schema(example = "ok")]
    status: &'static str,
}

const FINE: Fine = Fine { status: "ok" };

/// Liveness check
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

/// Readiness check
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "The engine is open, and its journal takes calls", body = Fine),
        (status = 403, description = "The request is of a page that may not make it", body = Problem),
        (status = 503, description = "It is closing, the disk is full or fails, or the database is away",
         body = Problem),
    ),
    security(()),
)]
pub(super) async fn readyz(State(shared): State<Shared>) -> Result<Json<Fine>, ApiError> {
    let engine = shared.engine()?;
    shared.readiness().check(&engine).await.map(|()| Json(FINE))
}

/// The time for which a result of the journal's probe holds.
const PROBE_HOLDS: Duration = Duration::from_secs(1);
/// The longest wait for a probe.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// The last probe of the journal. However many ask, there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Option<ApiError>)>>);

impl Readiness {
    async fn check(&self, engine: &Engine) -> Result<(), ApiError> {
        let mut last = self.0.lock().await;
        if last.as_ref().is_none_or(|(at, _)| at.elapsed() > PROBE_HOLDS) {
            let probed = tokio::time::timeout(PROBE_LIMIT, engine.probe()).await;
            let refused = match probed {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(not_ready(error.kind())),
                Err(_) => Some(not_ready(ErrorKind::Journal)),
            };
            *last = Some((Instant::now(), refused));
        }
        last.as_ref().and_then(|(_, refused)| refused.clone()).map_or(Ok(()), Err)
    }
}

/// Returns the refusal of a check that needs no token: paths and hosts are in the engine's warnings.
fn not_ready(kind: ErrorKind) -> ApiError {
    let message = match kind {
        ErrorKind::JournalFull => "the journal is full",
        _ => "the journal cannot be written: see the warnings of the engine (JOURNAL_TROUBLE)",
    };
    Error::new(kind, message).into()
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
        CommonErrors,
    ),
)]
pub(super) async fn metrics(
    State(shared): State<Shared>,
    QueryParams(Nothing {}): QueryParams<Nothing>,
) -> Result<impl IntoResponse, ApiError> {
    let engine = shared.engine()?;
    let (stats, alerts) = (engine.stats(), engine.alert_stats());
    let log = LogFigures::read(&engine).await;
    let text = rendered(&stats, &alerts, engine.fleet_stats(), engine.streams().followers(), log);
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}

/// The longest wait for the figures of the log: without them there are the others.
const LOG_LIMIT: Duration = Duration::from_secs(2);

/// The figures that the journal has to be asked for.
struct LogFigures {
    dead_letters: usize,
    waiting: usize,
    since: Option<Timestamp>,
}

impl LogFigures {
    /// Returns `None` if the journal does not respond in time.
    async fn read(engine: &Engine) -> Option<Self> {
        let read = async {
            let (waiting, since) = engine.waiting().await?;
            Ok::<_, Error>(Self {
                dead_letters: engine.count_dead_letters().await?,
                waiting,
                since,
            })
        };
        tokio::time::timeout(LOG_LIMIT, read).await.ok()?.ok()
    }

    fn register(&self, registry: &mut Registry) {
        let gauges = [
            (
                "dead_letters",
                "Failed calls that are neither replayed nor dismissed",
                self.dead_letters,
            ),
            ("calls_waiting", "Calls that wait for an attempt", self.waiting),
        ];
        for (name, help, value) in gauges {
            registry.register(name, help, ConstGauge::new(signed(value)));
        }
        let now = Timestamp::now().as_millis();
        let waited = self.since.map_or(0, |since| now.saturating_sub(since.as_millis()));
        let waited = ConstGauge::new(Duration::from_millis(waited).as_secs_f64());
        let help = "Age of the oldest waiting call; in a fleet, of its run";
        registry.register_with_unit("oldest_waiting", help, Unit::Seconds, waited);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    destination: String,
    lane: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    kind: &'static str,
}

/// Lanes that are shown, the busiest first: their names are hosts, of which there may be many.
const MAX_LANES: usize = 100;

fn rendered(
    stats: &Stats,
    alerts: &[AlertStats],
    fleet: Option<NodeFigures>,
    clients: usize,
    log: Option<LogFigures>,
) -> String {
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
    if let Some(log) = log {
        log.register(&mut registry);
    }
    if let Some(fleet) = fleet {
        register_fleet(&mut registry, fleet);
    }
    register_alerts(&mut registry, alerts);
    let mut text = String::new();
    if encode(&mut text, &registry).is_err() {
        // Writing to memory does not fail.
        let _ = write!(text, "# EOF");
    }
    text
}

/// Adds the alerts, by their kinds.
fn register_alerts(registry: &mut Registry, alerts: &[AlertStats]) {
    let (raised, active) = (Family::<_, Counter>::default(), Family::<_, Gauge>::default());
    for alert in alerts {
        let labels = AlertLabels { kind: alert.kind.as_str() };
        raised.get_or_create(&labels).inc_by(alert.raised);
        active.get_or_create(&labels).set(signed(alert.active));
    }
    registry.register("alerts", "Alerts raised since the engine was opened", raised);
    registry.register("alerts_active", "Values that are too high", active);
}

/// Adds what a node of a fleet knows of itself.
fn register_fleet(registry: &mut Registry, fleet: NodeFigures) {
    let gauges = [
        ("fleet_nodes", "Nodes with a valid lease", fleet.nodes),
        ("fleet_shards", "Shards that this node owns", fleet.shards),
        ("fleet_inbox", "Commits of other nodes that this one has not taken", fleet.inbox),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(signed(value)));
    }
    let times = [
        ("fleet_lease_age", "Time since this node renewed its lease", fleet.lease_age),
        ("fleet_inbox_lag", "Time for which the oldest of them has waited", fleet.inbox_lag),
    ];
    for (name, help, value) in times {
        let seconds = ConstGauge::new(value.as_secs_f64());
        registry.register_with_unit(name, help, Unit::Seconds, seconds);
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
