//! Batches: each lane of a batching destination has one that grows, and any number that are closed
//! and being stored.
//!
//! The way of a record: it joins the batch of its lane and is encoded at once; when the batch is
//! closed, the journal writes down which records are in it and what it is called, and only then is
//! it stored, again and again until it is there or refused; the journal writes down which, and its
//! records are settled. So after a crash at any point the same records are the same batch, under
//! the same name.

mod delayed;
mod flushes;
mod gather;
mod meter;
mod records;
mod restore;
mod result;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use crate::delivery::{Failure, Kind};
use crate::destinations::{Encoded, OpenBatch, Origin};
use crate::engine::shared::SharedParts;
use crate::error::ErrorKind;
use crate::execution::ExecutionLog;
use crate::journal::{Lane, SealedBatch};
use crate::observability::metrics::DelayedBatch;
use crate::time::Timestamp;
use delayed::DelayedBatches;
use flushes::{FlushGuard, Flushes};
use records::BatchRecords;

/// Batches that are stored at once, all together.
const STORING: usize = 64;
/// Places past this many are looked through for those that are not in use.
const MANY_PLACES: usize = 1000;
/// Records that join a batch, or are settled, before others have their turn.
const TURN: usize = 256;

/// The batches of one engine.
#[derive(Debug)]
pub(crate) struct BatchLanes {
    shared: Arc<SharedParts>,
    /// The task that gathers a lane is notified when there is something new for its batch.
    wakeups: Mutex<BTreeMap<Lane, Arc<Notify>>>,
    delayed: DelayedBatches,
    slots: Semaphore,
    places: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
    flushes: Flushes,
}

impl BatchLanes {
    /// No batches.
    pub(crate) fn new(shared: Arc<SharedParts>) -> Self {
        Self {
            shared,
            wakeups: Mutex::default(),
            delayed: DelayedBatches::default(),
            slots: Semaphore::new(STORING),
            places: Mutex::default(),
            flushes: Flushes::default(),
        }
    }

    /// Closes open batches, and stores delayed ones at once, until the returned guard is dropped.
    pub(crate) fn flush(&self) -> FlushGuard<'_> {
        let guard = self.flushes.begin();
        self.wakeups().values().for_each(|wakeup| wakeup.notify_one());
        guard
    }

    /// Returns the batches that could not be stored, oldest first.
    pub(crate) fn delayed(&self) -> Vec<DelayedBatch> {
        self.delayed.list()
    }

    /// Ends the delays of a destination's batches, or of all. Returns the number of their records.
    pub(crate) fn store_now(&self, destination: Option<&str>) -> usize {
        self.delayed.store_now(destination)
    }

    /// Forgets the tasks that gathered: they are gone.
    pub(crate) fn clear(&self) {
        self.wakeups().clear();
    }

    /// `most` is how many are stored there at once, so that one place that does not answer delays no
    /// other.
    fn place(&self, name: &str, most: usize) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() > MANY_PLACES {
            places.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots = places.entry(name.into());
        Arc::clone(slots.or_insert_with(|| Arc::new(Semaphore::new(most))))
    }

    fn wakeups(&self) -> MutexGuard<'_, BTreeMap<Lane, Arc<Notify>>> {
        self.wakeups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that is closed.
struct ClosedBatch {
    sealed: SealedBatch,
    encoded: Encoded,
    records: BatchRecords,
    /// The last checkpoint of storing it.
    checkpoint: Option<String>,
}

/// Closes a batch, beside the threads that deliver.
async fn encode(batch: Box<dyn OpenBatch>, at: Timestamp) -> Result<Encoded, Failure> {
    #[cfg(test)]
    if crate::time::simulated::is_on() {
        return batch.close(at);
    }
    let encoding = tokio::task::spawn_blocking(move || batch.close(at));
    encoding.await.unwrap_or_else(|_| {
        let message = "a defect of dollar-send: encoding a batch panicked. Please report it";
        Err(Failure::new(ErrorKind::Internal, message))
    })
}

fn no_batches(kind: Kind) -> Failure {
    let message =
        format!("a defect of dollar-send: the batches of {}. Please report it", kind.name());
    Failure::new(ErrorKind::Internal, message)
}

fn origin(execution: &ExecutionLog, place: usize, id: Uuid, recorded_at: Timestamp) -> Origin<'_> {
    let call = execution.call_of(place);
    Origin { id, call, workflow_id: &execution.info.workflow_id, recorded_at }
}
