//! The fleet as this node sees it: its figures, and those of all.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::op::NumberedEvent;
use super::params::Columns;
use super::row::RowReader;
use super::{PostgresJournal, Shared};
use crate::error::Result;
use crate::journal::{Fleet, FleetWaiting, NodeFigures, Promise};
use crate::streams::{EventId, NewEvent, StoredEvent};

/// What this node saw of others at its last look.
#[derive(Debug, Default)]
pub(super) struct SeenFleet {
    pub nodes: usize,
    pub inbox: usize,
    pub inbox_lag: Duration,
}

const WAITING: &str = "
    SELECT coalesce(sum(open), 0)::bigint
            - (SELECT count(*) FROM attempts WHERE is_under_way) AS calls,
        min(started_at) AS since
    FROM executions WHERE finished_at IS NULL AND open > 0";

impl Shared {
    pub(super) fn figures(&self) -> MutexGuard<'_, SeenFleet> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count_waiting(&self) -> Result<FleetWaiting> {
        let rows = self.read_written(WAITING, &Columns::default()).await?;
        let row = RowReader::new("executions", &rows[0]);
        // An attempt may be over whose end is not counted yet.
        let calls = usize::try_from(row.get::<i64>("calls")?).unwrap_or(0);
        Ok(FleetWaiting { calls, since: row.optional_time("since")? })
    }
}

impl Fleet for PostgresJournal {
    fn figures(&self) -> NodeFigures {
        let ownership = self.shared.ownership();
        let (node, shards) = (ownership.node.cast_unsigned(), ownership.held.len());
        let lease_age = ownership.renewed_at.elapsed();
        drop(ownership);
        let SeenFleet { nodes, inbox, inbox_lag } = *self.shared.figures();
        NodeFigures { node, nodes, shards, lease_age, inbox, inbox_lag }
    }

    fn waiting(&self) -> Promise<'_, Result<FleetWaiting>> {
        Box::pin(self.shared.count_waiting())
    }

    fn command(&self, content: String) -> Promise<'_, Result<usize>> {
        Box::pin(async move { self.shared.send_command(&content).await })
    }

    fn answer(&self, command: u64, result: usize) {
        self.shared.answer_command(command, result);
    }

    fn publish(&self, event: NewEvent) -> Promise<'_, Result<(StoredEvent, u64)>> {
        let published = self.shared.publish(event);
        Box::pin(async {
            let NumberedEvent { stored, registrations } = published.await?;
            Ok((stored, registrations))
        })
    }

    fn follow_events(&self, after: EventId, forgotten: Vec<EventId>) {
        self.shared.follow_events(after, forgotten);
    }

    fn look(&self) {
        self.shared.look_for_signals();
    }
}
