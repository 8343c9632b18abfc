//! The writer of a simulation: a task of its runtime in place of the thread, so that the paused clock knows
//! of it. Each transaction is one step of the task, and the seed decides how long the disk takes before it
//! and whether deferred operations are in it. It makes no checkpoints and no upkeep.

use std::time::{Duration, Instant};

use super::queue::{MAX_DELAY, SharedQueue};
use super::writer::{RETRY_DELAY, WriterThread};
use crate::time::simulated::chance;

/// Writes until the journal is closed, as [`WriterThread`] does. A runtime that is dropped ends it at once,
/// as the death of its process would.
pub(super) async fn write(mut thread: WriterThread) {
    let shared = std::sync::Arc::clone(&thread.shared);
    while !shared.queue().stopping {
        shared.simulated.notified().await;
        while has_work(&shared) || !thread.left.is_empty() {
            let is_troubled = !thread.left.is_empty();
            wait(&shared, is_troubled).await;
            let mut batch = std::mem::take(&mut thread.left);
            let mut queue = shared.queue();
            let since = queue.since.unwrap_or_else(Instant::now);
            let is_due = chance().is_none_or(|chance| chance < 0.5);
            queue.take(if is_due { since + MAX_DELAY } else { since }, &mut batch);
            drop(queue);
            thread.write(batch);
            if is_troubled && !thread.left.is_empty() && shared.queue().stopping {
                break;
            }
        }
    }
    thread.end();
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
