//! Attempts that are made now instead of at their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Lanes;
use super::held::HELD;
use super::pause::is_host;
use crate::engine::shared::SharedParts;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Record;
use crate::time::Timestamp;

/// The deliveries that are attempted now. Absent members do not restrict.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryFilter {
    /// Only these deliveries.
    pub ids: Option<Vec<Uuid>>,
    /// Only of this workflow.
    pub workflow_id: Option<String>,
    /// Only of this execution.
    pub execution_id: Option<String>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only to this destination, by name.
    pub destination: Option<String>,
    /// Only to this host, `name` or `name:port`.
    pub host: Option<String>,
    /// Only after a failure with this code.
    pub error_code: Option<String>,
}

impl RetryFilter {
    /// Refuses a filter without members, unless everything `is_wanted`.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn checked(self, is_wanted: bool) -> Result<Self> {
        if !is_wanted && self.selects_batches() && self.destination.is_none() {
            let message = "give ids, or a filter such as status: 'pending'";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(self)
    }

    /// Returns `true` if it selects the record, which waits in a queue of this name.
    fn admits(&self, record: &Record, key: impl FnOnce() -> String) -> bool {
        let info = &record.execution.info;
        let is = |wanted: &Option<String>, actual: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == actual)
        };
        self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && is(&self.workflow_id, &info.workflow_id)
            && is(&self.execution_id, &info.execution_id)
            && is(&self.destination, record.kind.name())
            && self.error_code.as_deref().is_none_or(|wanted| {
                record.last_error.as_ref().is_some_and(|last| last.kind.code() == wanted)
            })
            && self.step.as_deref().is_none_or(|wanted| {
                *record.execution.state().entries[record.place].step == *wanted
            })
            && self.host.as_deref().is_none_or(|host| is_host(&key(), host))
    }

    /// Returns `true` if only the destination restricts: whole batches are selected by it alone.
    const fn selects_batches(&self) -> bool {
        self.ids.is_none()
            && self.workflow_id.is_none()
            && self.execution_id.is_none()
            && self.step.is_none()
            && self.host.is_none()
            && self.error_code.is_none()
    }
}

/// A command to every node of a fleet.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    RetryNow(RetryFilter),
}

impl Lanes {
    /// Attempts those deliveries now that wait for their next attempt, and probes their hosts, at every
    /// node of a fleet. Paused deliveries stay paused. Delayed batches are selected by their destination
    /// alone. Returns the number of deliveries.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub(crate) async fn retry_now(self: &Arc<Self>, filter: &RetryFilter) -> Result<usize> {
        let SharedParts { stage, journal, .. } = &*self.shared;
        stage.check_open()?;
        let Some(fleet) = journal.fleet() else { return Ok(self.retry_here(filter)) };
        let command = serde_json::to_string(&Command::RetryNow(filter.clone()));
        let text = command.map_err(|error| {
            let message = "a command cannot be written";
            Error::new(ErrorKind::Internal, message).with_source(error)
        })?;
        fleet.command(text).await
    }

    /// Does what a node of the fleet commands. A command of a newer version does nothing.
    pub(crate) fn obey(self: &Arc<Self>, number: u64, text: &str) {
        let result = match serde_json::from_str(text) {
            Ok(Command::RetryNow(filter)) => self.retry_here(&filter),
            Err(_) => 0,
        };
        if let Some(fleet) = self.shared.journal.fleet() {
            fleet.answer(number, result);
        }
    }

    fn retry_here(self: &Arc<Self>, filter: &RetryFilter) -> usize {
        let SharedParts { journal, destinations, .. } = &*self.shared;
        let retried = AtomicUsize::new(0);
        let lanes = journal.hasten(Timestamp::now(), &|due, record| {
            let workflow_id = &record.execution.info.workflow_id;
            let key = || destinations.lane(record.kind, &record.payload, workflow_id);
            let wanted = due != HELD && filter.admits(record, key);
            retried.fetch_add(usize::from(wanted), Ordering::Relaxed);
            wanted
        });
        for lane in &lanes {
            self.breakers.probe(lane);
        }
        self.wake(lanes);
        let stored = if filter.selects_batches() {
            self.batches.store_now(filter.destination.as_deref())
        } else {
            0
        };
        retried.into_inner() + stored
    }
}
