//! Deliveries that are held: for a service, a workflow or a webhook, until an operator changes it.

use std::sync::Arc;

use super::Lanes;
use super::webhooks::Barred;
use crate::delivery::Failure;
use crate::engine::shared::SharedParts;
use crate::journal::{Lane, Record, Tenure};
use crate::time::Timestamp;

/// The due time of a held delivery: not before it is released.
pub(crate) const HELD: Timestamp = Timestamp::NEVER;

/// The subject that a delivery is held for.
pub(super) enum HoldReason {
    /// Its destination lacks a service.
    Service(Arc<Failure>),
    /// Its workflow is paused.
    Workflow(Arc<str>),
    /// Its webhook is paused.
    Webhook(Box<str>),
}

impl Lanes {
    /// Brings deliveries back whose reason to wait is over: those held for a service that is there
    /// again or for a webhook that is not paused any more, those that cannot be delivered at all, and
    /// everything for `renewed`.
    pub(crate) fn release_held(self: &Arc<Self>, renewed: Option<&str>) {
        let SharedParts { config, journal, services, pauses, .. } = &*self.shared;
        if !config.deliver {
            return;
        }
        let lanes = journal.hasten(Timestamp::now(), &|due, record| {
            let Some(id) = record.payload.webhook() else {
                return due == HELD && !services.is_missing(record.kind) && !pauses.keeps(record);
            };
            if due == HELD && pauses.keeps(record) {
                return false;
            }
            match self.webhooks.find(id) {
                Ok(_) => due == HELD || renewed == Some(id),
                Err(Barred::Over(_)) => true,
                Err(Barred::Held(_)) => false,
            }
        });
        self.wake(lanes);
    }

    /// Releases a record that was just held, if its reason is over since.
    pub(super) fn recheck_hold(self: &Arc<Self>, reason: &HoldReason) {
        let is_over = match reason {
            HoldReason::Service(_) => {
                self.shared.services.count_waiting();
                false
            }
            HoldReason::Workflow(id) => !self.shared.pauses.has_workflow(id),
            HoldReason::Webhook(id) => !matches!(self.webhooks.find(id), Err(Barred::Held(_))),
        };
        if is_over {
            self.release_held(None);
        } else {
            self.shared.pending.idle.notify_waiters();
        }
    }

    /// Takes the next record of a lane into a batch; a record whose workflow is paused is held.
    pub(crate) fn join(self: &Arc<Self>, lane: &Lane) -> Option<(Record, Tenure)> {
        let SharedParts { journal, pauses, .. } = &*self.shared;
        loop {
            if pauses.holds(lane) {
                return None;
            }
            let (record, tenure) = journal.join(lane)?;
            let Some(note) = pauses.note(&record) else { return Some((record, tenure)) };
            let workflow = Arc::clone(&record.execution.info.workflow_id);
            journal.postpone(lane, record, HELD, note);
            self.recheck_hold(&HoldReason::Workflow(workflow));
        }
    }
}
