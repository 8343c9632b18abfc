//! The timer: wakes records and lanes when they are due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Lanes;
use crate::time::Timestamp;

/// The longest time between two looks at what is due: a machine that slept wakes later than its
/// timers know.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The timer of one engine.
#[derive(Debug, Default)]
pub(super) struct Timer {
    is_running: AtomicBool,
    /// Notified when a record is rescheduled, so that the timer recomputes its deadline.
    rescheduled: Notify,
}

impl Lanes {
    /// Sees to it that the timer knows of a record or a lane that is due later.
    pub(crate) fn set_timer(self: &Arc<Self>) {
        if self.timer.is_running.swap(true, Ordering::AcqRel) {
            self.timer.rescheduled.notify_one();
        } else {
            self.shared.tasks.spawn(Arc::clone(self).run_timer());
        }
    }

    async fn run_timer(self: Arc<Self>) {
        loop {
            if let Some(next) = self.wake_due() {
                let wait = next.as_millis().saturating_sub(Timestamp::steady().as_millis());
                let wait = Duration::from_millis(wait.max(1)).min(LOOK_AGAIN);
                // Whichever comes first, there is something to look at.
                let _ = tokio::time::timeout(wait, self.timer.rescheduled.notified()).await;
                continue;
            }
            self.timer.is_running.store(false, Ordering::Release);
            // A record that was rescheduled since the last look would wait for nothing.
            if self.wake_due().is_none() || self.timer.is_running.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    /// Wakes due records. Returns the next due time.
    fn wake_due(self: &Arc<Self>) -> Option<Timestamp> {
        let now = Timestamp::steady();
        let (mut lanes, due) = self.shared.journal.wake_due(now);
        let (reopened, opening) = self.breakers.reopen(now);
        lanes.extend(reopened);
        self.wake(lanes);
        due.into_iter().chain(opening).min()
    }
}
