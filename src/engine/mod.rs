//! Moves deliveries from the journal to their destinations. It names no protocol.
//!
//! An [`Engine`] has rooms: `intake` brings calls into the journal, `lanes` attempts them, `batches`
//! stores those that belong together, `lifecycle` opens and ends all of it. They share what is in
//! `shared`; `settlement` has every effect of an end. This file has what others may ask of an engine.

mod alerts;
mod batches;
mod directory;
mod forward;
mod intake;
mod lanes;
mod lifecycle;
mod moving;
mod pending;
mod settlement;
mod shared;
mod stage;
mod streams;
#[cfg(test)]
mod tests;

pub use crate::destinations::sql::{Answered, Column, Format, Query};
pub use crate::journal::{MoveOptions, MoveProgress, NodeFigures};
pub use directory::{read_executions, read_log, read_settled};
pub use intake::{
    Execution, Handover, Receipt, Replay, ReplayPlan, ReplayRequest, ReplayRun, ReplayView,
    Replayed, Run, Skipped,
};
pub use lanes::{PauseTarget, RetryFilter};
pub use lifecycle::{Drained, Handle, HttpServer, OpenExecution, registry, runtime};
pub use moving::{move_directory, plan_move};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;

use crate::config::Config;
use crate::delivery::Kind;
use crate::destinations::custom::Options;
use crate::destinations::sql::duckdb::{DuckDb, ParquetWriter};
use crate::egress::Lookup;
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{
    DeliveryQuery, Detail, ExecutionQuery, Sample, Selection, SettlementCursor, deliveries_json,
    settled_json,
};
use crate::jobs::Thread;
use crate::journal::{self, FleetWaiting, Lane};
use crate::observability::alerts::AlertStats;
use crate::observability::changes::Changes;
use crate::observability::events::Events;
use crate::observability::metrics::{PauseView, Stats};
use crate::streams::{Registration, Streams, Subscriptions, Webhook, WebhookChange};
use crate::time::Timestamp;
use intake::{Intake, Replays};
use lanes::Lanes;
use lifecycle::Lifecycle;
use shared::SharedParts;

/// An open engine. Its tasks go on while there is something to deliver.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<SharedParts>,
    intake: Intake,
    lanes: Arc<Lanes>,
    replays: Replays,
    streams: Arc<Streams>,
    lifecycle: Lifecycle,
}

impl Engine {
    /// Opens an engine of its own, with `lookup` to resolve host names.
    pub fn open(config: Config, lookup: Arc<dyn Lookup>) -> Result<Arc<Self>> {
        lifecycle::open(config, lookup)
    }

    /// Returns its options.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Returns the changes of its log.
    #[must_use]
    pub fn changes(&self) -> &Arc<Changes> {
        &self.shared.observers.changes
    }

    /// Returns the subscribers of its events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.shared.observers.events
    }

    /// Returns the runtime of its tasks.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.shared.tasks.runtime
    }

    /// Returns the events of the workflows, and their followers.
    #[must_use]
    pub const fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// Waits until the streams of this node have the event that a client had from another node of a fleet.
    pub async fn catch_up(&self, last: Option<&str>) {
        streams::catch_up(&self.shared, &self.streams, last).await;
    }

    /// Returns the subscriptions to emitted events.
    #[must_use]
    pub fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.lanes.webhooks.subscriptions
    }

    /// Returns `true` if commits survive the end of the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.shared.journal.is_durable()
    }

    /// Resolves when the journal would store a small commit now.
    ///
    /// # Errors
    /// `Journal`, `JournalFull`.
    pub async fn probe(&self) -> Result<()> {
        self.shared.journal.probe().await
    }

    /// Begins an execution.
    pub fn execution(self: &Arc<Self>, run: Run) -> Result<Arc<Execution>> {
        Execution::begin(self, run)
    }

    /// Waits until undelivered calls take at most half of `maxPendingBytes`, or nothing that was
    /// committed is left: then only calls of open executions take memory, and waiting frees none.
    ///
    /// # Errors
    /// `Timeout`, and `Closed` when the engine closes before that.
    pub async fn ready(&self, timeout: Option<Duration>) -> Result<()> {
        intake::ready(&self.shared, timeout).await
    }
}

/// The log, and the figures.
impl Engine {
    /// Returns the counters and gauges as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let SharedParts { journal, pauses, observers, budget, .. } = &*self.shared;
        let open = self.intake.open_executions();
        let postponed = journal.postponed();
        let (pending, retrying) = (self.shared.pending_deliveries(), postponed.values().sum());
        let mut stats =
            observers.counters.read(pending, retrying, open.len(), self.lanes.stats(&postponed));
        stats.pending_bytes = budget.bytes();
        stats.pauses = pauses.views();
        stats.delayed_batches = self.lanes.batches.delayed();
        stats.recorded += open.iter().map(|run| run.recorded_count() as u64).sum::<u64>();
        stats
    }

    /// Returns the log, and the open buffers, as a JSON array of deliveries, newest first.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<String> {
        let open = self.intake.open_buffers().await;
        let found = self.shared.journal.deliveries(query, &open).await?;
        let render = |kind, payload: &_| self.shared.destinations.of(kind).describe(payload);
        Ok(deliveries_json(&found, &render))
    }

    /// Returns the deliveries that became terminal after a place as JSON, with the place after them.
    pub async fn settled(
        &self,
        after: Option<SettlementCursor>,
        query: &DeliveryQuery,
        detail: Detail,
    ) -> Result<String> {
        let mut page = self.shared.journal.settled(after, query).await?;
        page.reduce(detail);
        let render = |kind, payload: &_| self.shared.destinations.of(kind).describe(payload);
        Ok(settled_json(&page, &render))
    }

    /// Returns the figures of terminal deliveries recorded since then, the newest.
    pub async fn samples(&self, since: Timestamp) -> Result<Vec<Sample>> {
        self.shared.journal.samples(since).await
    }

    /// Returns the number of calls that wait, and the time since which one does; of a fleet, those of
    /// all nodes.
    ///
    /// # Errors
    /// `Journal`.
    pub async fn waiting(&self) -> Result<(usize, Option<Timestamp>)> {
        if let Some(fleet) = self.shared.journal.fleet() {
            let FleetWaiting { calls, since } = fleet.waiting().await?;
            return Ok((calls, since));
        }
        let in_flight = self.shared.observers.counters.in_flight.load(Ordering::Relaxed);
        let waiting = self.shared.pending_deliveries().saturating_sub(in_flight);
        Ok((waiting, self.shared.journal.log().oldest_waiting()))
    }

    /// Returns the figures of this node of a fleet; `None`: there is no fleet.
    #[must_use]
    pub fn fleet_stats(&self) -> Option<NodeFigures> {
        Some(self.shared.journal.fleet()?.figures())
    }

    /// Returns the alerts of each kind.
    #[must_use]
    pub fn alert_stats(&self) -> Vec<AlertStats> {
        self.shared.alerts.stats()
    }

    /// Counts the dead letters; of a fleet, those of all nodes.
    ///
    /// # Errors
    /// `Journal`.
    pub async fn count_dead_letters(&self) -> Result<usize> {
        self.shared.journal.count_dead_letters().await
    }

    /// Returns executions as a JSON array, newest first.
    pub async fn executions(&self, query: &ExecutionQuery) -> Result<String> {
        let open = self.intake.open_buffers().await;
        self.shared.journal.executions(query, &open).await
    }

    /// Counts the deliveries of a query up to `most`, whatever its limit and place are.
    pub async fn count_deliveries(&self, query: &DeliveryQuery, most: usize) -> Result<usize> {
        let open = self.intake.open_buffers().await;
        self.shared.journal.count_deliveries(query, &open, most).await
    }

    /// Counts the executions of a query up to `most`, whatever its limit and place are.
    pub async fn count_executions(&self, query: &ExecutionQuery, most: usize) -> Result<usize> {
        let open = self.intake.open_buffers().await;
        self.shared.journal.count_executions(query, &open, most).await
    }
}

/// The controls of the operator.
impl Engine {
    /// Attempts those deliveries now that wait for their next attempt, at every node of a fleet. Returns
    /// their number.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub async fn retry_now(&self, filter: &RetryFilter) -> Result<usize> {
        self.lanes.retry_now(filter).await
    }

    /// Returns the selection of a request.
    ///
    /// # Errors
    /// `InvalidArgument` for a plan that is not known any more.
    pub fn selection_of(&self, request: ReplayRequest) -> Result<Selection> {
        self.replays.selection_of(request)
    }

    /// Begins a replay, which [`Engine::replay`] makes.
    #[must_use]
    pub fn begin_replay(&self) -> Arc<ReplayRun> {
        self.replays.runs.begin()
    }

    /// Returns the replays that run, and the last ones that ended, the newest first.
    #[must_use]
    pub fn replays(&self) -> Vec<ReplayView> {
        self.replays.runs.list()
    }

    /// Returns a replay by its id.
    #[must_use]
    pub fn replay_run(&self, id: &str) -> Option<Arc<ReplayRun>> {
        self.replays.runs.find(id)
    }

    /// Replays the calls of a selection in their original order, and waits where they do not fit into
    /// memory. Resolves when the new deliveries are as durable as a completion. After `run` is
    /// cancelled, no more calls are committed.
    ///
    /// # Errors
    /// `JournalFull` when a call does not fit and waiting makes no room: those before it are committed.
    pub async fn replay(&self, selection: &Selection, run: &ReplayRun) -> Result<Replayed> {
        self.replays.replay(selection, run).await
    }

    /// Returns the plan of a replay without making it.
    pub async fn plan_replay(&self, selection: &Selection) -> Result<ReplayPlan> {
        self.replays.plan(selection).await
    }

    /// Dismisses the dead letters of a selection. Returns their number.
    pub async fn dismiss(&self, selection: &Selection) -> Result<usize> {
        self.replays.dismiss(selection).await
    }

    /// Pauses queues or a workflow; resolves when the pause is as durable as a completion. Attempts
    /// under way go on. Returns all pauses.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub async fn pause(&self, target: PauseTarget) -> Result<Vec<PauseView>> {
        self.lanes.pause(target).await
    }

    /// Ends a pause; [`PauseTarget::All`] ends every pause. Returns those that are left.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub async fn resume(&self, target: &PauseTarget) -> Result<Vec<PauseView>> {
        self.lanes.resume(target).await
    }

    /// Returns the pauses, oldest first.
    #[must_use]
    pub fn pauses(&self) -> Vec<PauseView> {
        self.shared.pauses.views()
    }

    /// Takes on the subscriptions and webhooks that other nodes of a fleet registered before.
    ///
    /// # Errors
    /// `Journal`, `Closed`.
    pub async fn renew_registrations(&self) -> Result<()> {
        self.lanes.renew_webhooks().await
    }

    /// Puts a registration into effect; resolves when it is as durable as a completion.
    pub async fn register(&self, registration: Registration) -> Result<()> {
        self.lanes.register(registration).await
    }

    /// Ends the effect of registrations; resolves when that is as durable as a completion.
    pub async fn unregister(&self, ids: Vec<String>) -> Result<()> {
        self.lanes.unregister(ids).await
    }

    /// Changes a webhook; resolves when the change is as durable as a completion. Returns the
    /// webhook as it is then, or `None` if there is none with this id.
    ///
    /// # Errors
    /// `InvalidArgument`, `Closed`, `Journal`.
    pub async fn change_webhook(
        &self,
        id: &str,
        change: WebhookChange,
    ) -> Result<Option<Arc<Webhook>>> {
        self.lanes.change_webhook(id, change).await
    }
}

/// The work that is done in JavaScript: custom destinations, and DuckDB.
impl Engine {
    /// Adds a destination; what waits for it is delivered from here on.
    ///
    /// # Errors
    /// `InvalidArgument`, `Closed`.
    pub fn add_destination(
        &self,
        name: &str,
        options: Options,
        thread: Arc<dyn Thread>,
    ) -> Result<Kind> {
        self.shared.stage.check_open()?;
        let kind = self.shared.destinations.custom().add(name, options, thread)?;
        self.lanes.wake(vec![Lane { kind, key: kind.name().into() }]);
        Ok(kind)
    }

    /// Forgets the destinations of a thread that is gone, and the warehouse that it ran.
    pub fn forget_destinations(&self, thread: &Arc<dyn Thread>) {
        self.shared.destinations.forget_thread(thread);
    }

    /// Returns DuckDB, if that is the warehouse.
    #[must_use]
    pub fn duckdb(&self) -> Option<&DuckDb> {
        self.shared.destinations.sql().duckdb()
    }

    /// Returns the writer of Parquet, if objects are in that format.
    #[must_use]
    pub fn parquet(&self) -> Option<&ParquetWriter> {
        let s3 = self.shared.destinations.s3();
        s3.writes_parquet().then(|| s3.parquet())
    }

    /// Answers a query to the warehouse.
    ///
    /// # Errors
    /// `Closed`, `NotConfigured`, `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`.
    pub async fn query(&self, query: &Query) -> Result<Answered> {
        self.shared.stage.check_open()?;
        self.shared.destinations.sql().query(query).await
    }

    /// Completes a job with its result.
    pub fn answer_job(&self, job: u64, answer: String) {
        self.shared.destinations.answer_job(job, answer);
    }
}

/// The server, and the end.
impl Engine {
    /// Gives the engine its server. The first one counts.
    pub fn attach(&self, server: Box<dyn HttpServer>) {
        self.lifecycle.attach(server);
    }

    /// Returns the engine's server, if it has one.
    #[must_use]
    pub fn server(&self) -> Option<&dyn HttpServer> {
        self.lifecycle.server()
    }

    /// Notes a socket that the engine itself listens on: no delivery reaches it.
    pub fn add_self_address(&self, address: SocketAddr) {
        self.lifecycle.add_self_address(address);
    }

    /// Returns the addresses that the operator declared as this engine's own.
    #[must_use]
    pub fn egress_addresses(&self) -> &[String] {
        &self.shared.config.egress.addresses
    }

    /// Writes the address of the server into the data directory, where commands find it.
    pub fn announce(&self, address: &str) {
        if let Some(options) = &self.shared.config.journal {
            journal::announce(&options.directory, address);
        }
    }

    /// Closes every batch, and waits until every delivery that was committed is terminal.
    ///
    /// # Errors
    /// `Timeout`, and `Closed` when the engine closes with work left.
    pub async fn flush(&self, timeout: Option<Duration>) -> Result<Stats> {
        lifecycle::flush(self, timeout).await
    }

    /// Returns `true` once the engine takes no more work.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.stage.is_closed()
    }

    /// Returns `true` once everything that belongs to the engine is closed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.stage.has_ended()
    }

    /// Waits until the engine is closed and has given back its files and sockets.
    pub async fn ended(&self) {
        self.shared.stage.ended().await;
    }
}

/// Returns the refusal of a closed engine.
#[must_use]
pub fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the engine is closed: engine.close() was called before this. Close it last, or open another one with Engine.open()",
    )
}
