//! Brings back what an earlier process left, a part at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Engine;
use super::execution::Work;
use crate::destinations::Failure;
use crate::error::{ErrorKind, Result};
use crate::journal::{Journal, Refill};
use crate::observability::events::{Topic, Warning};

/// The wait before a journal that could not be read is read again.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(1);

impl Engine {
    /// Begins to bring back what an earlier process left. Until all of it is in the lanes, it
    /// counts as work.
    pub(super) fn recover(self: &Arc<Self>) {
        if self.journal.backlog() > 0 {
            let work = Work::begin(self);
            self.spawn(Arc::clone(self).bring_back(work));
        }
    }

    async fn bring_back(self: Arc<Self>, work: Work) {
        loop {
            match self.bring_back_part().await {
                Ok(true) => self.journal.room().await,
                Ok(false) => break,
                Err(error) => {
                    let message = error.to_string();
                    self.events.emit(Topic::Warning, || Warning {
                        code: "JOURNAL_TROUBLE",
                        message: &message,
                        execution_id: None,
                    });
                    tokio::time::sleep(PAUSE_AFTER_TROUBLE).await;
                }
            }
        }
        drop(work);
    }

    /// The answer is whether there may be more.
    async fn bring_back_part(self: &Arc<Self>) -> Result<bool> {
        let Some(refill) = self.journal.refill().await? else { return Ok(false) };
        let Refill { lanes, calls, bytes, delayed, interrupted, batches } = refill;
        self.begin(calls);
        self.counters.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        for record in interrupted {
            let message = "the process ended while the attempt was under way: its outcome is \
                           unknown (http.onInterrupted is 'fail')";
            let failure = Failure::new(ErrorKind::Interrupted, message);
            self.settle(&record, self.unsent(&record, failure));
        }
        for batch in batches {
            self.restore_batch(batch);
        }
        self.wake(lanes);
        if delayed {
            self.set_alarm();
        }
        Ok(true)
    }
}
