//! What the writer is asked to write.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::journal::SealedBatch;
use crate::observability::log::{Entry, ExecutionLog, Tally};
use crate::observability::time::Timestamp;
use crate::streams::{Event, EventId};

/// Who waits for an operation to be on disk.
pub(super) type Waiter = oneshot::Sender<Result<()>>;

/// One thing to write. Doing one again changes nothing, except for [`Op::Append`], which is done
/// once or refused.
#[derive(Debug)]
pub(super) enum Op {
    /// A hand-over, and who waits for it.
    Append(Box<Append>, Waiter),
    /// A delivery that is terminal.
    Settle(Box<Row>),
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
        /// When there is another one.
        due: Timestamp,
    },
    /// Every call of the commit with this first number is terminal.
    Close {
        /// The commit.
        first_seq: u64,
        /// Whether its payloads are still wanted: some call failed, and may be replayed.
        keep: bool,
    },
    /// Everything of an execution is terminal.
    Finish {
        /// The execution.
        execution: Arc<ExecutionLog>,
        /// How its deliveries ended.
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
        /// Who waits for it.
        waiter: Waiter,
    },
    /// What became of a batch.
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
        /// Those that are not kept any more because of it.
        forgotten: Vec<EventId>,
    },
    /// Registrations change, and who waits for it.
    Register(Vec<Register>, Waiter),
    /// Everything asked for before this is on disk.
    Sync(Waiter),
}

/// What a hand-over adds to an execution.
#[derive(Debug)]
pub(super) struct Append {
    /// The execution.
    pub execution: Arc<ExecutionLog>,
    /// How it ended by this, if it did.
    pub ending: Option<Ending>,
    /// Deliveries that it has more than before.
    pub calls: usize,
    /// The calls that wait, sealed; absent when none does.
    pub commit: Option<Commit>,
    /// The calls that are terminal already: they were discarded.
    pub settled: Vec<Row>,
}

/// Records that become a batch.
#[derive(Debug)]
pub(super) struct Seal {
    /// The batch.
    pub batch: SealedBatch,
    /// The numbers of its records, in their order.
    pub records: Vec<u64>,
}

/// A registration that is new, changed or removed.
#[derive(Debug)]
pub(super) struct Register {
    /// Its id.
    pub id: String,
    /// What it is, sealed; `None`: it is no more.
    pub sealed: Option<Vec<u8>>,
}

/// How an execution ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// `completed` or `discarded`.
    pub how: &'static str,
    /// The message of the error that the runner completed it with.
    pub error: Option<String>,
}

/// Calls that wait, as they lie on the disk.
#[derive(Debug)]
pub(super) struct Commit {
    /// The number of its first call; the others follow.
    pub first_seq: u64,
    /// The execution's share of the delivery ids.
    pub seed: u64,
    /// The calls, encoded and sealed.
    pub sealed: Vec<u8>,
}

/// One terminal delivery.
#[derive(Debug)]
pub(super) struct Row {
    /// Its number.
    pub seq: u64,
    /// The number of its execution.
    pub execution: u64,
    /// The log's entry.
    pub entry: Entry,
}
