//! The writer of a simulation: a task of its runtime in place of the thread, so that the paused clock knows
//! of it. Each transaction is one step of the task, and the seed decides how long the disk takes before it
//! and whether deferred operations are in it. With upkeep, each of its parts is a step, and so are the two
//! parts of a checkpoint, which the seed begins after fewer pages than the thread would.

use std::cell::Cell;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::op::Op;
use super::queue::{MAX_DELAY, SharedQueue};
use super::writer::{RETRY_DELAY, WriterThread};
use crate::journal::sqlite::file::{checkpoint, during_upkeep};
use crate::time::simulated::chance;

thread_local! {
    static HAS_UPKEEP: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether the writers of this thread make checkpoints and upkeep.
pub(crate) fn set_upkeep(is_on: bool) {
    HAS_UPKEEP.set(is_on);
}

/// Returns `true` if the writers of this thread make checkpoints and upkeep.
pub(crate) fn has_upkeep() -> bool {
    HAS_UPKEEP.get()
}

/// The upkeep of a simulated writer.
struct Tidying {
    /// The connection of the thread that makes checkpoints.
    helper: Connection,
    /// `true` between the two parts of a checkpoint.
    is_helped: bool,
}

/// Writes until the journal is closed, as [`WriterThread`] does. A runtime that is dropped ends it at once,
/// as the death of its process would.
pub(super) async fn write(mut thread: WriterThread) {
    let shared = Arc::clone(&thread.shared);
    let mut tidying = HAS_UPKEEP.get().then(|| Tidying::new(&thread));
    while !shared.queue().stopping {
        let pause = tidying.is_some().then(|| thread.upkeep.pause());
        wait_for_work(&shared, pause).await;
        while has_work(&shared) || !thread.left.is_empty() {
            let is_troubled = !thread.left.is_empty();
            wait(&shared, is_troubled).await;
            let mut batch = std::mem::take(&mut thread.left);
            take(&shared, &mut batch);
            thread.write(batch);
            if is_troubled && !thread.left.is_empty() && shared.queue().stopping {
                break;
            }
            tidy(&mut thread, tidying.as_mut()).await;
        }
        tidy(&mut thread, tidying.as_mut()).await;
    }
    thread.end();
}

impl Tidying {
    fn new(thread: &WriterThread) -> Self {
        let helper = Connection::open(&thread.path).expect("the file is there");
        Self { helper, is_helped: false }
    }

    /// Makes one of the two parts of a checkpoint. Its errors are those of a transaction, too.
    fn check(&mut self, thread: &WriterThread) {
        let connection = if self.is_helped { &thread.connection } else { &self.helper };
        let _ = checkpoint(connection);
        self.is_helped = !self.is_helped;
    }
}

/// Does a part of the upkeep, and sometimes one of a checkpoint. The process may die before each of them,
/// and while it writes: then the writer comes no further.
async fn tidy(thread: &mut WriterThread, tidying: Option<&mut Tidying>) {
    let Some(tidying) = tidying else { return };
    tokio::task::yield_now().await;
    if during_upkeep(|| thread.tidy()) {
        pending::<()>().await;
    }
    let likelihood = if tidying.is_helped { 0.3 } else { 0.1 };
    if chance().is_none_or(|chance| chance >= likelihood) {
        return;
    }
    tokio::task::yield_now().await;
    if during_upkeep(|| tidying.check(thread)) {
        pending::<()>().await;
    }
}

/// Waits until there is something to write, or upkeep after this time.
async fn wait_for_work(shared: &SharedQueue, upkeep: Option<Duration>) {
    let work = shared.simulated.notified();
    let Some(pause) = upkeep else { return work.await };
    let _ = tokio::time::timeout(pause, work).await;
}

/// Takes the operations of the next transaction.
fn take(shared: &SharedQueue, batch: &mut Vec<Op>) {
    let mut queue = shared.queue();
    let since = queue.since.unwrap_or_else(Instant::now);
    let is_due = chance().is_none_or(|chance| chance < 0.5);
    queue.take(if is_due { since + MAX_DELAY } else { since }, batch);
}

fn has_work(shared: &SharedQueue) -> bool {
    let queue = shared.queue();
    !queue.awaited.is_empty() || !queue.deferred.is_empty()
}

/// Waits for the disk; before operations that could not be written, as long as the thread would.
async fn wait(shared: &SharedQueue, is_troubled: bool) {
    if is_troubled && !has_work(shared) && !shared.queue().stopping {
        let _ = tokio::time::timeout(RETRY_DELAY, shared.simulated.notified()).await;
    }
    wait_for_disk().await;
}

/// Waits no time, or a few milliseconds, or rarely many.
async fn wait_for_disk() {
    let millis = match chance().unwrap_or_default() {
        0.0..0.4 => return tokio::task::yield_now().await,
        0.4..0.95 => 1,
        _ => 40,
    };
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
