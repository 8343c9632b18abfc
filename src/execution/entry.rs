//! One delivery of an execution: its status and what is known about it.

use std::sync::Arc;

use uuid::Uuid;

use super::{AttemptLog, BatchDue, CallState, Link, RequestLog, ResponseLog, Settlement, Warnings};
use crate::delivery::{Failure, Kind, Payload};
use crate::time::Timestamp;

/// The status of a delivery. The last three are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In the open buffer of an execution that is not completed.
    Recorded,
    /// Handed over, waiting for its turn.
    Pending,
    /// In a batch that is not stored yet.
    Batched,
    /// An attempt is in progress.
    InFlight,
    /// The destination accepted it.
    Delivered,
    /// It failed for good.
    Failed,
    /// Its execution was discarded.
    Discarded,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Recorded,
        Self::Pending,
        Self::Batched,
        Self::InFlight,
        Self::Delivered,
        Self::Failed,
        Self::Discarded,
    ];

    /// The status with this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// The spelling in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Pending => "pending",
            Self::Batched => "batched",
            Self::InFlight => "in-flight",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// Returns `true` if the status is final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Discarded)
    }
}

/// The request of a delivery: the call as recorded, until there is one that was sent.
#[derive(Debug, Clone)]
pub enum DeliveryRequest {
    /// Not sent yet; rendered when it is read.
    Recorded(Payload),
    /// As it was sent, redacted.
    Sent(RequestLog),
}

/// One delivery and all that is known about it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `UUIDv7`, stable from the call on.
    pub id: Uuid,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// The other deliveries of the call, if there are any.
    pub call_state: Option<Box<CallState>>,
    /// The step that made the call.
    pub step: Arc<str>,
    /// The destination.
    pub kind: Kind,
    /// The status.
    pub status: Status,
    /// The request, as recorded or as sent.
    pub request: DeliveryRequest,
    /// The response.
    pub response: Option<Box<ResponseLog>>,
    /// The cause of its failure.
    pub failure: Option<Box<Failure>>,
    /// The payload for a replay, if it failed.
    pub replayable: Option<Box<Payload>>,
    /// The state of a delivery that waits for another attempt, or makes it.
    pub waiting: Option<Box<Waiting>>,
    /// The due time of its batch.
    pub batch: Option<Arc<BatchDue>>,
    /// Warnings for the sender.
    pub warnings: Warnings,
    /// Attempts begun.
    pub attempts: u32,
    /// The attempts that are kept: none if the only one succeeded.
    pub attempt_log: Option<Box<AttemptLog>>,
    /// The time of the call.
    pub recorded_at: Timestamp,
    /// The time at which it became terminal.
    pub settled_at: Option<Timestamp>,
}

/// The wait of a delivery for another attempt.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// The failure of the last attempt.
    pub last_error: Option<Arc<Failure>>,
    /// The time of the next attempt by the system's clock, if it is known.
    pub next_attempt_at: Option<Timestamp>,
}

impl Waiting {
    /// Returns the wait for an attempt at `until`; a time that never comes is not shown.
    #[must_use]
    pub fn new(last_error: Option<Arc<Failure>>, until: Timestamp) -> Self {
        let next_attempt_at = (until < NEVER).then_some(until);
        Self { last_error, next_attempt_at }
    }
}

/// Times from here on mean that a record is held: the end of the year 9999.
const NEVER: Timestamp = Timestamp::from_millis(253_402_300_799_000);

impl Entry {
    /// Returns the id of the call: that of its first delivery.
    #[must_use]
    pub fn call(&self) -> Uuid {
        self.call_state.as_ref().and_then(|state| state.call).unwrap_or(self.id)
    }

    /// Returns `true` if this is the newest delivery of a call that failed and is not resolved.
    #[must_use]
    pub fn is_dead_letter(&self) -> bool {
        let is_resolved = |state: &CallState| {
            state.replayed_by.is_some()
                || state.resolved_by.is_some()
                || state.dismissed_at.is_some()
        };
        self.status == Status::Failed && !self.call_state.as_deref().is_some_and(is_resolved)
    }

    /// Returns the delivery as a link of its call's chain.
    #[must_use]
    pub fn link(&self) -> Link {
        let state = self.call_state.as_deref();
        Link {
            id: self.id,
            status: self.status,
            is_replayed: state.is_some_and(|state| state.replayed_by.is_some()),
            is_dismissed: state.is_some_and(|state| state.dismissed_at.is_some()),
            code: self.failure.as_ref().map(|failure| failure.kind),
        }
    }

    /// Returns the time at which its open batch is sent, if it is not full before.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.batch.as_ref().filter(|_| self.status == Status::Batched)?.get()
    }

    /// Returns the delivery that this one repeats.
    #[must_use]
    pub fn replay_of(&self) -> Option<Uuid> {
        self.call_state.as_ref().and_then(|state| state.replay_of)
    }

    /// Moves to the terminal state that `settlement` says.
    pub fn settle(&mut self, settlement: Settlement, now: Timestamp) {
        self.status = if settlement.failure.is_none() { Status::Delivered } else { Status::Failed };
        if let (Status::Failed, DeliveryRequest::Recorded(payload)) = (self.status, &self.request) {
            self.replayable = Some(Box::new(payload.clone()));
        }
        self.failure = settlement.failure.map(Box::new);
        self.waiting = None;
        self.batch = None;
        if let Some(request) = settlement.request {
            self.request = DeliveryRequest::Sent(request);
        }
        self.response = settlement.response;
        self.warnings.extend(settlement.warnings);
        self.settled_at = Some(now);
    }

    /// Bytes that the entry holds, for the log's limit.
    #[must_use]
    pub fn size(&self) -> usize {
        let request = match &self.request {
            DeliveryRequest::Recorded(payload) => payload.len(),
            DeliveryRequest::Sent(request) => request.size(),
        };
        let response = self.response.as_ref().map_or(0, |response| response.size());
        let replayable = self.replayable.as_ref().map_or(0, |payload| payload.len());
        let attempts = self.attempt_log.as_ref().map_or(0, |log| log.size());
        size_of::<Self>() + request + response + replayable + attempts
    }

    /// Drops what the log has no room for, keeping everything but the bodies.
    pub fn strip(&mut self) {
        self.replayable = None;
        match &mut self.request {
            DeliveryRequest::Recorded(payload) => *payload = Payload::from_text("{}"),
            DeliveryRequest::Sent(request) => request.strip(),
        }
        if let Some(response) = &mut self.response {
            response.strip();
        }
    }
}
