//! Streams of a journal that many processes share: it numbers their events, and hands those of every
//! process over.
//!
//! **Invariant:** an event is told to the webhooks that were registered, at any node, before it was
//! published.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::closed;
use super::lanes::{is_pause, is_service};
use super::shared::SharedParts;
use crate::destinations::{Publisher, StoreEvents};
use crate::error::Result;
use crate::journal::{ReceiveEvents, ReceivedEvents};
use crate::streams::{Event, EventId, NewEvent, StoredEvent, StreamKind, Streams, Subscriptions};

/// The longest wait for an event that a client has from another node.
const MAX_BEHIND: Duration = Duration::from_secs(2);
/// The interval at which that event is looked for.
const BEHIND_INTERVAL: Duration = Duration::from_millis(5);

/// The numbers of the events of a fleet.
struct FleetEvents {
    /// The destinations have this, and they belong to the engine.
    shared: Weak<SharedParts>,
    subscriptions: Arc<Subscriptions>,
}

impl StoreEvents for FleetEvents {
    fn store(&self, event: NewEvent) -> BoxFuture<'static, Result<StoredEvent>> {
        let (shared, subscriptions) = (self.shared.upgrade(), Arc::clone(&self.subscriptions));
        Box::pin(async move {
            let shared = shared.ok_or_else(closed)?;
            let fleet = shared.journal.fleet().ok_or_else(closed)?;
            let (stored, registrations) = fleet.publish(event).await?;
            if *shared.registrations.lock().await < registrations {
                renew_subscriptions(&shared, &subscriptions, registrations).await?;
            }
            Ok(stored)
        })
    }
}

/// Brings back the events that were published before, and keeps those that come from now on. Blocks.
///
/// # Errors
/// `Journal`.
pub(super) fn open_streams(
    shared: &Arc<SharedParts>,
    publisher: &Publisher,
    streams: &Streams,
    subscriptions: &Arc<Subscriptions>,
) -> Result<()> {
    let forgotten = streams.restore(shared.journal.kept_events()?);
    let weak = Arc::downgrade(shared);
    if let Some(fleet) = shared.journal.fleet() {
        let subscriptions = Arc::clone(subscriptions);
        publisher.share(Box::new(FleetEvents { shared: weak, subscriptions }));
        fleet.follow_events(streams.last(), forgotten);
        return Ok(());
    }
    streams.persist_with(Box::new(move |event, forgotten| {
        if let Some(shared) = weak.upgrade() {
            shared.journal.keep_event(event, forgotten);
        }
    }));
    Ok(())
}

/// Returns the function that takes the events of every node of a fleet.
pub(super) fn receive(streams: Arc<Streams>, subscriptions: Arc<Subscriptions>) -> ReceiveEvents {
    let publish = move |event: &Event| {
        if event.kind != StreamKind::Sse {
            subscriptions.publish(event);
        }
    };
    Arc::new(move |received| match received {
        ReceivedEvents::Next(events) => {
            let mut forgotten = Vec::new();
            for event in events.into_iter().map(Arc::new) {
                if let Some(ids) = streams.receive(&event) {
                    forgotten.extend(ids);
                    publish(&event);
                }
            }
            forgotten
        }
        ReceivedEvents::Anew(events) => {
            let last = streams.last();
            streams.start_anew();
            events.iter().filter(|event| event.id > last).for_each(&publish);
            streams.restore(events)
        }
    })
}

/// Takes on the registrations that other nodes made, which have at least this version.
///
/// # Errors
/// `Journal`, `Closed`.
pub(super) async fn renew_subscriptions(
    shared: &SharedParts,
    subscriptions: &Subscriptions,
    version: u64,
) -> Result<()> {
    let mut known = shared.registrations.lock().await;
    let journal = Arc::clone(&shared.journal);
    let read = shared.tasks.runtime.spawn_blocking(move || journal.registrations()).await;
    let registrations = read.unwrap_or_else(|_| Err(closed()))?;
    let is_other = |text: &&str| is_service(text) || is_pause(text);
    let texts = registrations.iter().map(String::as_str);
    subscriptions.restore(texts.filter(|text| !is_other(text)))?;
    *known = version.max(*known);
    Ok(())
}

/// Waits until this node has the event that a client had from another one, but not for long: there may be
/// none.
pub(super) async fn catch_up(shared: &SharedParts, streams: &Streams, last: Option<&str>) {
    let Some(fleet) = shared.journal.fleet() else { return };
    let Some(id) = last.and_then(|id| id.parse::<EventId>().ok()) else { return };
    if id <= streams.last() {
        return;
    }
    fleet.look();
    let reached = async {
        while streams.last() < id {
            tokio::time::sleep(BEHIND_INTERVAL).await;
        }
    };
    let _ = tokio::time::timeout(MAX_BEHIND, reached).await;
}
