//! The open buffer of an execution: what its steps called, until the completion hook fires.
//!
//! Pure memory: no I/O, nothing that waits. [`Recording::push`] is what `$send.http(...)` costs.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::destinations::{Body, Failure, Kind, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::{Entry, Request, Status};
use crate::observability::time::Timestamp;

/// One recorded call.
#[derive(Debug)]
pub struct Item {
    /// The destination.
    pub kind: Kind,
    /// The step that made the call.
    pub step: Arc<str>,
    /// Place of the call within its execution, from 0.
    pub index: u32,
    /// When the call was made.
    pub recorded_at: Timestamp,
    /// The snapshot of the argument.
    pub payload: Payload,
    /// What was odd about the call.
    pub warnings: Vec<String>,
    /// Why the call cannot be delivered at all: its body could not be read.
    pub refused: Option<Box<Failure>>,
}

impl Item {
    /// The log's entry for this call.
    #[must_use]
    pub fn entry(&self, seed: u64, status: Status) -> Entry {
        Entry {
            id: delivery_id(self.recorded_at, self.index, seed),
            index: self.index,
            step: Arc::clone(&self.step),
            kind: self.kind,
            status,
            request: Request::Recorded(self.payload.clone()),
            response: None,
            failure: None,
            warnings: self.warnings.clone(),
            attempts: 0,
            recorded_at: self.recorded_at,
            settled_at: None,
        }
    }
}

/// The id of a call: a `UUIDv7` (RFC 9562) made of the call's time, its place and the execution's
/// 62 random bits, so that nothing is kept or drawn per call and ids sort in call order.
#[must_use]
pub fn delivery_id(recorded_at: Timestamp, index: u32, seed: u64) -> Uuid {
    let [_, _, time @ ..] = recorded_at.as_millis().to_be_bytes();
    let [high, low] = u16::try_from(index & 0xfff).unwrap_or_default().to_be_bytes();
    let random = (seed ^ u64::from(index >> 12)).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time);
    bytes[6] = 0x70 | high;
    bytes[7] = low;
    bytes[8..].copy_from_slice(&random);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    Uuid::from_bytes(bytes)
}

/// Why a recording takes no more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Completed,
    Discarded,
}

/// The calls of an execution that were not handed over yet.
#[derive(Debug)]
pub struct Recording {
    state: State,
    items: Vec<Item>,
    next_index: u32,
    awaited_bodies: usize,
}

impl Default for Recording {
    fn default() -> Self {
        Self { state: State::Open, items: Vec::new(), next_index: 0, awaited_bodies: 0 }
    }
}

/// A body that JavaScript can only read asynchronously (a `Blob`, a `FormData`): the recorded
/// call keeps its place, the bytes follow before the hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyArrival {
    /// All that will be sent is there.
    Now,
    /// [`Recording::fill`] will bring it.
    Later,
}

impl Recording {
    /// Adds a call; the answer is its index.
    pub fn push(
        &mut self,
        kind: Kind,
        step: &Arc<str>,
        payload: Payload,
        warnings: Vec<String>,
        body: BodyArrival,
    ) -> Result<u32> {
        self.check_open()?;
        let index = self.next_index;
        self.next_index += 1;
        self.awaited_bodies += usize::from(body == BodyArrival::Later);
        let recorded_at = Timestamp::now();
        let step = Arc::clone(step);
        self.items.push(Item { kind, step, index, recorded_at, payload, warnings, refused: None });
        Ok(index)
    }

    /// Brings the body of a call that was recorded without it. `Err`: it could not be read, and the
    /// call will fail for that reason.
    pub fn fill(&mut self, index: u32, body: std::result::Result<Bytes, String>) {
        let Some(item) = self.items.iter_mut().find(|item| item.index == index) else { return };
        self.awaited_bodies = self.awaited_bodies.saturating_sub(1);
        match body {
            Ok(bytes) => {
                let content_type =
                    item.payload.body.take().and_then(|placeholder| placeholder.content_type);
                item.payload.body = Some(Body { bytes, content_type });
            }
            Err(reason) => {
                let message = format!("the body of the call could not be read: {reason}");
                item.refused = Some(Box::new(Failure::new(ErrorKind::InvalidArgument, message)));
            }
        }
    }

    /// Whether every body has arrived.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.awaited_bodies == 0
    }

    /// Refuses a call after the end.
    pub fn check_open(&self) -> Result<()> {
        let how = match self.state {
            State::Open => return Ok(()),
            State::Completed => "completed",
            State::Discarded => "discarded",
        };
        Err(Error::new(
            ErrorKind::ExecutionCompleted,
            format!(
                "the execution was already {how}: nothing can be recorded, completed or flushed \
                 after that. Await what the step starts before it returns"
            ),
        ))
    }

    /// Whether calls are accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Ends the recording: no call is accepted from here on.
    pub fn complete(&mut self) -> Result<()> {
        self.check_open()?;
        self.state = State::Completed;
        Ok(())
    }

    /// Takes what is recorded so far.
    pub fn take(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.items)
    }

    /// Ends the recording for nothing.
    pub fn discard(&mut self) -> Result<Vec<Item>> {
        self.check_open()?;
        self.state = State::Discarded;
        self.awaited_bodies = 0;
        Ok(self.take())
    }

    /// What is recorded and not taken yet.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}
