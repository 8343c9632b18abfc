//! Brings back what an earlier process left, a part at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::delivery::Failure;
use crate::engine::lanes::{HELD, Lanes};
use crate::engine::shared::{PendingGuard, SharedParts};
use crate::error::{ErrorKind, Result};
use crate::journal::{ChangedRows, Delayed, Refill};
use crate::time::Timestamp;

/// The wait before a journal that could not be read is read again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Begins to bring back what an earlier process left. Until all of it is in the lanes, it counts as
/// work.
pub(super) fn recover(lanes: &Arc<Lanes>) {
    let shared = &lanes.shared;
    if shared.journal.backlog() > 0 {
        let work = shared.begin_work();
        shared.tasks.spawn(bring_back(Arc::clone(lanes), work));
    } else if shared.config.fleet.is_some() {
        shared.tasks.runtime.spawn(follow(Arc::downgrade(lanes)));
    }
}

async fn bring_back(lanes: Arc<Lanes>, work: PendingGuard) {
    let SharedParts { journal, observers, pending, .. } = &*lanes.shared;
    loop {
        match bring_back_part(&lanes).await {
            Ok(true) => pending.wait_for_room(journal.room()).await,
            Ok(false) => break,
            Err(error) => {
                observers.events.journal_trouble(&error.to_string());
                tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
            }
        }
    }
    drop(work);
    if lanes.shared.config.fleet.is_some() {
        lanes.shared.tasks.runtime.spawn(follow(Arc::downgrade(&lanes)));
    }
}

/// Takes on what other processes record, until the journal is closed.
async fn follow(lanes: Weak<Lanes>) {
    let journal = lanes.upgrade().map(|lanes| Arc::clone(&lanes.shared.journal));
    let Some(journal) = journal else { return };
    while journal.arrival().await {
        let Some(lanes) = lanes.upgrade() else { return };
        match bring_back_part(&lanes).await {
            Ok(_) => journal.room().await,
            Err(error) => {
                lanes.shared.observers.events.journal_trouble(&error.to_string());
                drop(lanes);
                tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
            }
        }
    }
}

/// Returns `true` if there may be more.
async fn bring_back_part(lanes: &Arc<Lanes>) -> Result<bool> {
    let shared = &lanes.shared;
    let Some(refill) = shared.journal.refill().await? else { return Ok(false) };
    let Refill {
        lanes: refilled,
        calls,
        bytes,
        delayed,
        interrupted,
        batches,
        left,
        ended,
        changed,
        registrations_changed,
        unforwarded,
        commands,
    } = refill;
    shared.pending.begin(calls);
    shared.budget.add(bytes);
    for bytes in left {
        shared.keep_in_journal(bytes);
    }
    for execution in &ended {
        shared.publish_if_finished(execution);
    }
    note_changes(shared, &changed);
    if registrations_changed {
        shared.tasks.runtime.spawn(renew_registrations(Arc::downgrade(lanes)));
    }
    for id in unforwarded {
        shared.forward_stored(id);
    }
    for (number, text) in commands {
        lanes.obey(number, &text);
    }
    for record in interrupted {
        let message = "the process ended while the attempt was under way: its outcome is \
                       unknown (http.onInterrupted is 'fail')";
        let failure = Failure::new(ErrorKind::Interrupted, message);
        shared.settle(&record, shared.unsent(&record, failure));
    }
    for batch in batches {
        lanes.batches.restore(batch);
    }
    lanes.wake(refilled);
    if !delayed.is_empty() {
        let now = Timestamp::steady();
        for Delayed { lane, record, due } in delayed {
            // The clock by which it was postponed may have been wrong.
            let longest = shared.destinations.of(record.kind).longest_wait(&record.payload);
            let until = if due == HELD { due } else { due.by_steady().min(now.after(longest)) };
            shared.journal.delay(lane, record, until);
        }
        lanes.release_held(None);
        lanes.set_timer();
    }
    Ok(true)
}

/// Takes on the pauses, subscriptions and webhooks of other nodes, however long the journal cannot be
/// read.
async fn renew_registrations(lanes: Weak<Lanes>) {
    while let Some(lanes) = lanes.upgrade().filter(|lanes| !lanes.shared.stage.has_ended()) {
        let renewed = match lanes.renew_pauses().await {
            Ok(()) => lanes.renew_webhooks().await,
            Err(error) => Err(error),
        };
        let Err(error) = renewed else {
            lanes.release_held(None);
            return;
        };
        lanes.shared.observers.events.journal_trouble(&error.to_string());
        drop(lanes);
        tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
    }
}

/// Notes what other processes changed in the log, for those who show it.
fn note_changes(shared: &SharedParts, rows: &ChangedRows) {
    let changes = &shared.observers.changes;
    for id in &rows.executions {
        changes.note_execution(id);
    }
    for (id, execution_id, status) in &rows.deliveries {
        changes.note_delivery(*id, execution_id, status.as_str());
    }
    if rows.left_out {
        changes.note_left_out();
    }
}
