//! Sealed batches that could not be stored and wait for their next attempt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::observability::metrics::DelayedBatch;

/// The delayed batches of one engine, by their numbers.
#[derive(Debug, Default)]
pub(super) struct DelayedBatches(Mutex<BTreeMap<u64, Delay>>);

#[derive(Debug)]
struct Delay {
    batch: DelayedBatch,
    now: Arc<Notify>,
}

/// One delayed batch. It is listed until this is dropped.
struct Listed<'a>(&'a DelayedBatches, u64);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.delays().remove(&self.1);
    }
}

impl DelayedBatches {
    /// Lists a batch until its delay is over, or [`Self::store_now`] ends it.
    pub(super) async fn wait(&self, id: u64, batch: DelayedBatch, delay: Duration) {
        let now = Arc::<Notify>::default();
        self.delays().insert(id, Delay { batch, now: Arc::clone(&now) });
        let _listed = Listed(self, id);
        // Whichever comes first, it is time for another attempt.
        let _ = tokio::time::timeout(delay, now.notified()).await;
    }

    /// Ends the delays of a destination's batches, or of all. Returns the number of their records.
    pub(super) fn store_now(&self, destination: Option<&str>) -> usize {
        let delays = self.delays();
        let wanted = delays
            .values()
            .filter(|delay| destination.is_none_or(|name| name == delay.batch.destination));
        wanted.inspect(|delay| delay.now.notify_one()).map(|delay| delay.batch.records).sum()
    }

    /// Returns the delayed batches, oldest first.
    pub(super) fn list(&self) -> Vec<DelayedBatch> {
        self.delays().values().map(|delay| delay.batch.clone()).collect()
    }

    fn delays(&self) -> MutexGuard<'_, BTreeMap<u64, Delay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[tokio::test]
    async fn a_batch_is_listed_while_it_waits() {
        let delayed = DelayedBatches::default();
        let batch = DelayedBatch {
            destination: "s3",
            name: "b/1".into(),
            records: 7,
            attempts: 1,
            next_attempt_at: Timestamp::from_millis(1),
            error: "no".into(),
        };
        let waiting = delayed.wait(1, batch.clone(), Duration::MAX);
        tokio::pin!(waiting);
        let first = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())
        });
        assert!(first.await);
        assert_eq!(delayed.list(), [batch]);
        assert_eq!(delayed.store_now(Some("sql")), 0);
        assert_eq!(delayed.store_now(None), 7);
        waiting.await;
        assert!(delayed.list().is_empty());
    }
}
