//! The operations of the writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::queue::Appending;
use crate::delivery::Failure;
use crate::error::Result;
use crate::execution::{Entry, ExecutionLog, Resolution};
use crate::journal::SealedBatch;
use crate::streams::{Event, EventId, NewEvent, StoredEvent, StreamKind};
use crate::time::Timestamp;

/// The caller of an operation, and since when it waits.
#[derive(Debug)]
pub(super) struct Waiter<T = ()> {
    pub answer: oneshot::Sender<Result<T>>,
    pub since: Instant,
}

/// One thing to write.
#[derive(Debug)]
pub(super) enum Op {
    /// A commit.
    Append(Box<AppendOp>, Option<Waiter<Appended>>),
    /// A delivery that is terminal.
    Settle(Box<SettledRow>),
    /// An attempt begins.
    Lease { seq: u64, attempts: u32, waiter: Option<Waiter> },
    /// Another attempt is made at `due`.
    Postpone {
        seq: u64,
        attempts: u32,
        due: Timestamp,
        /// The failure of the last attempt; `None` leaves that of an earlier one.
        last_error: Option<Arc<Failure>>,
        /// The attempts that are kept; `None` leaves those before.
        attempt_log: Option<String>,
    },
    /// Every call of a part is terminal; its payloads are kept if one failed.
    Close { first_seq: u64, keep: bool },
    /// Records become a batch.
    Seal { batch: Box<SealedBatch>, shard: u16, records: String, waiter: Waiter },
    /// A note beside a batch.
    Note { batch: u64, note: Option<String>, waiter: Waiter },
    /// The result of a batch.
    Conclude { batch: u64, conclusion: String },
    /// Every record of a batch is terminal.
    Forget { batch: u64 },
    /// An event was published.
    Keep { event: Arc<Event>, forgotten: Vec<EventId> },
    /// An event is published: it gets its number.
    Publish { event: Box<NewEvent>, waiter: Waiter<NumberedEvent> },
    /// Events that all nodes have read are removed.
    ForgetEvents(Vec<EventId>),
    /// Dead letters are dismissed. The result has those that still were some.
    Dismiss { dead: Vec<Uuid>, at: Timestamp, waiter: Waiter<Vec<Uuid>> },
    /// Registrations change, each encrypted, or removed.
    Register { changes: Vec<(String, Option<Vec<u8>>)>, waiter: Waiter },
    /// This node's result of a command.
    Answer { command: u64, result: usize },
    /// All earlier operations are written.
    Sync(Waiter),
}

impl Op {
    /// Returns the time since which a caller waits for it.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        match self {
            Self::Append(_, waiter) => waiter.as_ref().map(|waiter| waiter.since),
            Self::Lease { waiter, .. } => waiter.as_ref().map(|waiter| waiter.since),
            Self::Dismiss { waiter, .. } => Some(waiter.since),
            Self::Publish { waiter, .. } => Some(waiter.since),
            Self::Seal { waiter, .. }
            | Self::Note { waiter, .. }
            | Self::Register { waiter, .. }
            | Self::Sync(waiter) => Some(waiter.since),
            Self::Settle(_)
            | Self::Postpone { .. }
            | Self::Close { .. }
            | Self::Conclude { .. }
            | Self::Forget { .. }
            | Self::Answer { .. }
            | Self::Keep { .. }
            | Self::ForgetEvents(_) => None,
        }
    }

    /// Returns `true` if its caller has waited longer than `patience`. An event of a call waits on, so that
    /// none behind it goes before it.
    pub(super) fn is_late(&self, patience: Duration) -> bool {
        let waits_on = matches!(self, Self::Publish { .. }) && self.is_owners();
        let is_late = |since: Instant| since.elapsed() >= patience;
        !waits_on && self.waits_since().is_some_and(is_late)
    }

    /// Returns `true` for what only the owner of a shard may write.
    pub(super) fn is_owners(&self) -> bool {
        match self {
            Self::Settle(_)
            | Self::Lease { .. }
            | Self::Postpone { .. }
            | Self::Close { .. }
            | Self::Seal { .. }
            | Self::Note { .. }
            | Self::Conclude { .. }
            | Self::Forget { .. } => true,
            // An error is published by the node on which the execution ended.
            Self::Publish { event, .. } => {
                matches!(event.kind, StreamKind::Sse | StreamKind::Emits)
            }
            Self::Append(..)
            | Self::Keep { .. }
            | Self::ForgetEvents(_)
            | Self::Dismiss { .. }
            | Self::Register { .. }
            | Self::Answer { .. }
            | Self::Sync(_) => false,
        }
    }

    /// Answers the caller, if there is one.
    pub(super) fn answer(self, result: Result<()>) {
        match self {
            Self::Append(_, waiter) => {
                if let (Some(waiter), Err(error)) = (waiter, result) {
                    let _ = waiter.answer.send(Err(error));
                }
            }
            Self::Dismiss { dead, waiter, .. } => {
                let _ = waiter.answer.send(result.map(|()| dead));
            }
            Self::Publish { waiter, .. } => {
                // The number of one that was written is read from its row.
                let _ = waiter.answer.send(Err(result.err().unwrap_or_else(super::error::closed)));
            }
            Self::Lease { waiter: Some(waiter), .. }
            | Self::Seal { waiter, .. }
            | Self::Note { waiter, .. }
            | Self::Register { waiter, .. }
            | Self::Sync(waiter) => {
                let _ = waiter.answer.send(result);
            }
            Self::Lease { waiter: None, .. }
            | Self::Settle(_)
            | Self::Postpone { .. }
            | Self::Close { .. }
            | Self::Conclude { .. }
            | Self::Forget { .. }
            | Self::Answer { .. }
            | Self::Keep { .. }
            | Self::ForgetEvents(_) => {}
        }
    }
}

/// An event that has its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberedEvent {
    pub stored: StoredEvent,
    /// The version of the registrations when it was published.
    pub registrations: u64,
}

/// A commit and its effect on the execution.
#[derive(Debug)]
pub(super) struct AppendOp {
    pub execution: Arc<ExecutionLog>,
    /// The end of the execution, if it ends.
    pub ending: Option<Ending>,
    /// Deliveries that are not terminal.
    pub open: i64,
    /// Calls that it has more than before: deliveries that repeat no other.
    pub calls: i64,
    /// The change of its counts.
    pub counts: Counts,
    /// The deliveries that it repeats.
    pub replays: Vec<ReplayClaim>,
    /// The failed delivery that it forwards.
    pub forwards: Option<Uuid>,
    /// The calls that wait, by shards.
    pub parts: Vec<Part>,
    /// The calls that are terminal already: they were discarded.
    pub settled: Vec<SettledRow>,
    /// Keeps the parts out of the lanes until it is known what became of them.
    pub appending: Option<Arc<Appending>>,
}

/// The result of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is stored. Each part has the epoch under which this node owns its shard.
    Stored(Vec<Option<i64>>),
    /// Nothing is stored: another node has replayed or dismissed these deliveries, which it repeats.
    Taken(Vec<Uuid>),
}

/// A delivery that a commit repeats. It is claimed with the commit, or the commit is refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayClaim {
    pub of: Uuid,
    pub replay: Uuid,
    /// The state in which it must be.
    pub before: Resolution,
}

/// The end of an execution.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    /// `completed` or `discarded`.
    pub how: &'static str,
    /// The message of the error that the runner completed it with.
    pub error: Option<String>,
    /// The runner's text for the log.
    pub message: Option<String>,
    pub at: Timestamp,
}

/// A change of the counts of an execution's calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub delivered: i64,
    pub failed: i64,
    pub discarded: i64,
    pub dismissed: i64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.discarded += other.discarded;
        self.dismissed += other.dismissed;
    }
}

/// The calls of a commit in one shard, as they lie in the database.
#[derive(Debug)]
pub(super) struct Part {
    pub first_seq: u64,
    pub shard: u16,
    pub calls: usize,
    pub seed: u64,
    pub ciphertext: Vec<u8>,
}

/// One terminal delivery.
#[derive(Debug)]
pub(super) struct SettledRow {
    pub seq: u64,
    pub execution: u64,
    pub execution_id: Arc<str>,
    pub entry: Entry,
    /// The change of the counts of its execution; `None`: it was never open.
    pub counts: Option<Counts>,
    /// The shard of its lane, if it is to be forwarded.
    pub forwards_in: Option<u16>,
    /// Serialised warnings.
    pub warnings: Option<String>,
}
