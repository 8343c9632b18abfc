//! The way of new events into the streams of workflows: directly, or by way of a journal that many
//! processes share.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Outcome;
use crate::delivery::Verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::streams::{NewEvent, Published, StoredEvent, Streams};

/// The wait before an event is published again that could not be stored.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The place where the events of many processes get their numbers.
pub trait StoreEvents: Send + Sync {
    /// Numbers and stores an event, once for each delivery. It comes to the streams of every process
    /// afterwards.
    fn store(&self, event: NewEvent) -> BoxFuture<'static, Result<StoredEvent>>;
}

/// Publishes events.
#[derive(Clone, Default)]
pub struct Publisher {
    streams: Arc<Streams>,
    store: Arc<OnceLock<Box<dyn StoreEvents>>>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("is_shared", &self.is_shared()).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Returns a publisher to the streams of this process.
    #[must_use]
    pub fn new(streams: Arc<Streams>) -> Self {
        Self { streams, store: Arc::default() }
    }

    /// Has many processes publish into the same streams. Only the first call has an effect.
    pub fn share(&self, store: Box<dyn StoreEvents>) {
        // Only an engine that opens does this, once.
        let _ = self.store.set(store);
    }

    /// Returns `true` if many processes publish into the same streams.
    pub(super) fn is_shared(&self) -> bool {
        self.store.get().is_some()
    }

    /// Publishes an event. Its followers are those of this process.
    ///
    /// # Errors
    /// `Journal`, `Closed`: it could not be stored.
    pub(super) async fn publish(&self, event: NewEvent) -> Result<Published> {
        let Some(store) = self.store.get() else { return Ok(self.streams.publish(event)) };
        let StoredEvent { id, is_repeated } = store.store(event.clone()).await?;
        let followers = if is_repeated { 0 } else { self.streams.count_followers(&event) };
        Ok(Published { event: Arc::new(event.numbered(id)), followers })
    }
}

/// Returns the outcome of an attempt whose event could not be stored: nothing was published, or another
/// attempt finds it.
pub(super) fn not_stored(error: &Error) -> Outcome {
    let what = if error.kind() == ErrorKind::Closed { "the engine's end" } else { "the journal" };
    let reason = format!("{what}, which did not store the event: {error}");
    Outcome::of(Verdict::Later { after: RETRY_DELAY, reason }, super::Exchange::default())
}
