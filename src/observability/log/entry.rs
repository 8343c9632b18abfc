//! One delivery in the log.

use std::sync::Arc;

use uuid::Uuid;

use super::Warnings;
use super::{RequestLog, ResponseLog};
use crate::destinations::{Failure, Kind, Payload};
use crate::observability::time::Timestamp;

/// Where a delivery is on its way. The last three are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In the open buffer of an execution that is not completed.
    Recorded,
    /// Handed over, waiting for its turn.
    Pending,
    /// In a batch that is not stored yet.
    Batched,
    /// An attempt is under way.
    InFlight,
    /// The destination has it.
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

    /// Whether nothing more will happen to the delivery.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Discarded)
    }
}

/// The request of a delivery: the call as recorded, until there is one that was sent.
#[derive(Debug, Clone)]
pub enum Request {
    /// Not sent yet; rendered when somebody looks.
    Recorded(Payload),
    /// As it was sent, redacted.
    Sent(RequestLog),
}

/// How a delivery ended.
#[derive(Debug)]
pub struct Settlement {
    /// `None`: delivered. `Some`: failed, and why.
    pub failure: Option<Failure>,
    /// The request as it was sent; `None` keeps the call as recorded.
    pub request: Option<RequestLog>,
    /// The response, if there was one.
    pub response: Option<Box<ResponseLog>>,
    /// Warnings to add to those of the call.
    pub warnings: Vec<String>,
}

/// One delivery and all that is known about it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `UUIDv7`, stable from the call on.
    pub id: Uuid,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// The delivery that this one repeats.
    pub replay_of: Option<Box<Uuid>>,
    /// The step that made the call.
    pub step: Arc<str>,
    /// The destination.
    pub kind: Kind,
    /// Where it is.
    pub status: Status,
    /// What is or was sent.
    pub request: Request,
    /// What came back.
    pub response: Option<Box<ResponseLog>>,
    /// Why it failed.
    pub failure: Option<Box<Failure>>,
    /// What it would take to do it again, if it failed.
    pub replayable: Option<Box<Payload>>,
    /// What the sender should know.
    pub warnings: Warnings,
    /// Attempts begun.
    pub attempts: u32,
    /// When the call was made.
    pub recorded_at: Timestamp,
    /// When it became terminal.
    pub settled_at: Option<Timestamp>,
}

impl Entry {
    /// Moves to the terminal state that `settlement` says.
    pub fn settle(&mut self, settlement: Settlement, now: Timestamp) {
        self.status = if settlement.failure.is_none() { Status::Delivered } else { Status::Failed };
        if let (Status::Failed, Request::Recorded(payload)) = (self.status, &self.request) {
            self.replayable = Some(Box::new(payload.clone()));
        }
        self.failure = settlement.failure.map(Box::new);
        if let Some(request) = settlement.request {
            self.request = Request::Sent(request);
        }
        self.response = settlement.response;
        self.warnings.extend(settlement.warnings);
        self.settled_at = Some(now);
    }

    /// Bytes that the entry holds, for the log's limit.
    #[must_use]
    pub fn size(&self) -> usize {
        let request = match &self.request {
            Request::Recorded(payload) => payload.len(),
            Request::Sent(request) => request.size(),
        };
        let response = self.response.as_ref().map_or(0, |response| response.size());
        let replayable = self.replayable.as_ref().map_or(0, |payload| payload.len());
        size_of::<Self>() + request + response + replayable
    }

    /// Drops what the log has no room for, keeping everything but the bodies.
    pub fn strip(&mut self) {
        self.replayable = None;
        match &mut self.request {
            Request::Recorded(payload) => *payload = Payload::from_text("{}"),
            Request::Sent(request) => request.strip(),
        }
        if let Some(response) = &mut self.response {
            response.strip();
        }
    }
}
