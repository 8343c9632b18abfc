//! The operations of the writer.

use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::delivery::Failure;
use crate::error::Result;
use crate::execution::{Entry, ExecutionLog, Tally};
use crate::journal::SealedBatch;
use crate::journal::sqlite::search::NewSegment;
use crate::streams::{Event, EventId};
use crate::time::Timestamp;

/// The caller that waits until an operation is on disk.
pub(crate) type Waiter = oneshot::Sender<Result<()>>;

/// One thing to write. Doing one again changes nothing, except for [`Op::Append`], which is done
/// once or refused.
#[derive(Debug)]
pub(crate) enum Op {
    /// A hand-over, and who waits for it.
    Append(Box<AppendOp>, Waiter),
    /// A delivery that is terminal.
    Settle(Box<SettledRow>),
    /// An attempt begins.
    Lease {
        /// The record.
        seq: u64,
        /// Attempts begun, this one included.
        attempts: u32,
        /// The attempt waits until its beginning is on disk.
        waiter: Option<Waiter>,
    },
    /// Another attempt is made later.
    Postpone {
        /// The record.
        seq: u64,
        /// Attempts made.
        attempts: u32,
        /// The due time of the next one.
        due: Timestamp,
        /// The failure of the last one; `None` leaves that of an earlier one.
        last_error: Option<Arc<Failure>>,
        /// The attempts that are kept; `None` leaves those before.
        attempt_log: Option<String>,
    },
    /// Every call of the commit with this first number is terminal.
    Close {
        /// The commit.
        first_seq: u64,
        /// `true` if its payloads are kept: a call failed and may be replayed.
        keep: bool,
    },
    /// Everything of an execution is terminal.
    Finish {
        /// The execution.
        execution: Arc<ExecutionLog>,
        /// Its terminal deliveries.
        tally: Tally,
        /// When.
        at: Timestamp,
    },
    /// Records become a batch, and who waits for it.
    Seal(Box<Seal>, Waiter),
    /// A note beside a batch.
    Note {
        /// The batch.
        batch: u64,
        /// The note.
        note: Option<String>,
        /// The caller.
        waiter: Waiter,
    },
    /// The result of a batch.
    Conclude {
        /// The batch.
        batch: u64,
        /// What.
        conclusion: String,
    },
    /// Every record of a batch is terminal.
    Forget {
        /// The batch.
        batch: u64,
    },
    /// An event was published.
    Keep {
        /// The event.
        event: Arc<Event>,
        /// The events that it replaces.
        forgotten: Vec<EventId>,
    },
    /// Dead letters are dismissed, and who waits for it.
    Dismiss {
        /// The dead letters, each with the number of its execution.
        dead: Vec<(u64, Uuid)>,
        /// The time.
        at: Timestamp,
        /// The caller.
        waiter: Waiter,
    },
    /// Registrations change, and who waits for it.
    Register(Vec<Register>, Waiter),
    /// Rows become a segment of the search index, and who waits for it.
    Index(Box<NewSegment>, Waiter),
    /// All earlier operations are on disk.
    Sync(Waiter),
    /// The file takes a small commit; nothing of it stays.
    Probe(Waiter),
}

/// A commit and its effect on the execution.
#[derive(Debug)]
pub(crate) struct AppendOp {
    /// The execution.
    pub execution: Arc<ExecutionLog>,
    /// The end of the execution, if it ends.
    pub ending: Option<Ending>,
    /// Deliveries that it has more than before.
    pub deliveries: usize,
    /// Calls that it has more than before: deliveries that repeat no other.
    pub calls: usize,
    /// The repeated deliveries, each with its replay.
    pub replays: Vec<(Uuid, Uuid)>,
    /// The calls that wait, sealed; absent when none does.
    pub commit: Option<EncryptedCommit>,
    /// The calls that are terminal already: they were discarded.
    pub settled: Vec<SettledRow>,
    /// The failed delivery that the call forwards.
    pub forwards: Option<Uuid>,
}

/// Records that become a batch.
#[derive(Debug)]
pub(crate) struct Seal {
    /// The batch.
    pub batch: SealedBatch,
    /// The numbers of its records, in their order.
    pub records: Vec<u64>,
}

/// A registration that is new, changed or removed.
#[derive(Debug)]
pub(crate) struct Register {
    /// Its id.
    pub id: String,
    /// Its encrypted text; `None`: it is removed.
    pub ciphertext: Option<Vec<u8>>,
}

/// The end of an execution.
#[derive(Debug)]
pub(crate) struct Ending {
    /// `completed` or `discarded`.
    pub how: &'static str,
    /// The message of the error that the runner completed it with.
    pub error: Option<String>,
    /// The text that the runner completed it with.
    pub message: Option<String>,
}

/// Calls that wait, as they lie on the disk.
#[derive(Debug)]
pub(crate) struct EncryptedCommit {
    /// The number of its first call; the others follow.
    pub first_seq: u64,
    /// The execution's share of the delivery ids.
    pub seed: u64,
    /// The calls, encoded and sealed.
    pub ciphertext: Vec<u8>,
}

/// One terminal delivery.
#[derive(Debug)]
pub(crate) struct SettledRow {
    /// Its number.
    pub seq: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The log's entry.
    pub entry: Entry,
    /// `true` if it is to be forwarded.
    pub is_forwarded: bool,
}
