//! The recent events of every workflow's streams, and their followers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use uuid::Uuid;

use super::{Event, EventContent, EventId, Follower, Frame, NewEvent, StreamKind};
use crate::time::Timestamp;

/// Events that a stream keeps.
pub const RECENT: usize = 100;
/// Bytes that all kept events may have together; past it the oldest go.
const MAX_BYTES: usize = 64 << 20;
/// The beginning of every stream, so that no proxy waits for a first byte.
const OPENING: &[u8] = b":ok\n\n";
/// The comment that is sent on a quiet connection.
const KEEPALIVE: &[u8] = b":keepalive\n\n";
/// The type of the event that reports possibly missing events. No channel has this name.
pub const GAP: &str = ":gap";
/// Characters of an id that a gap repeats.
const MAX_REPEATED: usize = 64;

/// The result of publishing an event.
#[derive(Debug)]
pub struct Published {
    /// The event.
    pub event: Arc<Event>,
    /// The number of followers at that time.
    pub followers: usize,
}

/// A stream of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStats {
    /// The workflow.
    pub workflow_id: Arc<str>,
    /// The clients that follow it.
    pub followers: usize,
    /// The events that a new client receives first.
    pub kept: usize,
}

/// Callback that persists each kept event, and gets the ids of events that are no longer kept.
pub type PersistEvents = Box<dyn Fn(&Arc<Event>, Vec<EventId>) + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: StreamKind,
    workflow_id: Arc<str>,
}

#[derive(Debug, Default)]
struct WorkflowStream {
    recent: VecDeque<Arc<Event>>,
    /// The last event that is not kept any more.
    forgotten: Option<EventId>,
    followers: Vec<Arc<Follower>>,
}

#[derive(Debug, Default)]
struct HubState {
    last: EventId,
    streams: HashMap<Key, WorkflowStream>,
    /// Every kept event by its number, for the limit over all streams.
    order: BTreeMap<EventId, Key>,
    bytes: usize,
    followers: usize,
    ended: bool,
}

/// Every stream of an engine.
#[derive(Default)]
pub struct Streams {
    state: Mutex<HubState>,
    persist: OnceLock<PersistEvents>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl Streams {
    /// Sets the callback that persists events. Only the first call has an effect.
    pub fn persist_with(&self, persist: PersistEvents) {
        // Only an engine that opens does this, once.
        let _ = self.persist.set(persist);
    }

    /// Restores persisted events, in the order of their numbers. Returns the ids of those that are not
    /// kept.
    pub fn restore(&self, events: impl IntoIterator<Item = Event>) -> Vec<EventId> {
        let mut state = self.state();
        let mut forgotten = Vec::new();
        for event in events {
            state.last = state.last.max(event.id);
            forgotten.extend(state.keep(Arc::new(event)));
        }
        forgotten
    }

    /// Publishes an event: assigns its number, keeps it and queues it for the followers.
    pub fn publish(&self, new_event: NewEvent) -> Published {
        let mut state = self.state();
        let key = Key { kind: new_event.kind, workflow_id: Arc::clone(&new_event.workflow_id) };
        if let Some(event) = state.published(&key, new_event.delivery) {
            return Published { event, followers: 0 };
        }
        let id = EventId::after(state.last, Timestamp::now());
        let event = Arc::new(new_event.numbered(id));
        state.last = id;
        let followers = state.tell(&key, &event);
        let forgotten = state.keep(Arc::clone(&event));
        // Under the lock, so that the file has events in their order.
        if let Some(persist) = self.persist.get() {
            persist(&event, forgotten);
        }
        Published { event, followers }
    }

    /// Takes an event that has its number: keeps it and queues it for the followers. Returns the ids of
    /// events that are no longer kept for it; `None`: it is here already, or it comes too late.
    pub fn receive(&self, event: &Arc<Event>) -> Option<Vec<EventId>> {
        let mut state = self.state();
        if event.id <= state.last {
            return None;
        }
        state.last = event.id;
        let key = Key { kind: event.kind, workflow_id: Arc::clone(&event.workflow_id) };
        state.tell(&key, event);
        Some(state.keep(Arc::clone(event)))
    }

    /// Disconnects all followers and forgets every event: some are missing. Clients that come back
    /// find out which.
    pub fn start_anew(&self) {
        let mut state = self.state();
        state.streams.retain(|_, stream| {
            stream.recent.clear();
            stream.forgotten = None;
            !stream.followers.is_empty()
        });
        state.order.clear();
        state.bytes = 0;
        for follower in state.streams.values().flat_map(|stream| &stream.followers) {
            follower.disconnect();
        }
    }

    /// Returns the number of the last event.
    #[must_use]
    pub fn last(&self) -> EventId {
        self.state().last
    }

    /// Returns the number of followers that an event is for.
    #[must_use]
    pub fn count_followers(&self, event: &NewEvent) -> usize {
        let key = Key { kind: event.kind, workflow_id: Arc::clone(&event.workflow_id) };
        let state = self.state();
        let followers = state.streams.get(&key).map_or(&[][..], |stream| &stream.followers);
        followers.iter().filter(|follower| follower.wants(&event.name)).count()
    }

    /// Returns the kept events of a stream, oldest first.
    #[must_use]
    pub fn recent(&self, kind: StreamKind, workflow_id: &str) -> Vec<Arc<Event>> {
        let key = Key { kind, workflow_id: workflow_id.into() };
        let state = self.state();
        state
            .streams
            .get(&key)
            .map_or_else(Vec::new, |found| found.recent.iter().cloned().collect())
    }

    /// Follows the SSE stream of a workflow: returns first the kept events, or those after the
    /// event with the id `last`, then new ones as they are published. A gap comes first if events
    /// after `last` may be missing.
    pub fn follow(
        self: &Arc<Self>,
        workflow_id: &str,
        last: Option<&str>,
        follower: &Arc<Follower>,
    ) -> Following {
        let key = Key { kind: StreamKind::Sse, workflow_id: workflow_id.into() };
        let mut state = self.state();
        let (ended, newest) = (state.ended, state.last);
        let since = last.and_then(|id| id.parse().ok()).filter(|id| *id <= newest);
        let gap = last.and_then(|id| state.gap(&key, id, since));
        let stream = state.streams.entry(key.clone()).or_default();
        let missed = stream
            .recent
            .iter()
            .filter(|event| since.is_none_or(|since| event.id > since))
            .filter(|event| follower.wants(&event.name))
            .filter_map(|event| match &event.content {
                EventContent::Frame(frame) => Some(frame),
                EventContent::Json(_) => None,
            });
        let opening = Frame::new(OPENING);
        follower.prime(std::iter::once(&opening).chain(&gap).chain(missed));
        stream.followers.push(Arc::clone(follower));
        state.followers += 1;
        if ended {
            follower.end();
        }
        Following { streams: Arc::clone(self), key, follower: Arc::clone(follower) }
    }

    /// Sends a comment to all followers, so that no proxy considers a quiet connection dead.
    pub fn keep_alive(&self) {
        let keepalive = Frame::new(KEEPALIVE);
        let state = self.state();
        for stream in state.streams.values() {
            for follower in &stream.followers {
                follower.keep_alive(&keepalive);
            }
        }
    }

    /// Ends every connection after what it has not taken yet, and those that come later at once.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        for follower in state.streams.values().flat_map(|stream| &stream.followers) {
            follower.end();
        }
    }

    /// Returns the number of followers of all streams.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.state().followers
    }

    /// Returns the streams for browsers, those with most followers first, at most `most`.
    #[must_use]
    pub fn list(&self, most: usize) -> Vec<StreamStats> {
        let state = self.state();
        let of_browsers = state.streams.iter().filter(|(key, _)| key.kind == StreamKind::Sse);
        let mut found: Vec<_> = of_browsers
            .map(|(key, stream)| StreamStats {
                workflow_id: Arc::clone(&key.workflow_id),
                followers: stream.followers.len(),
                kept: stream.recent.len(),
            })
            .collect();
        drop(state);
        let order = |stats: &StreamStats| {
            (std::cmp::Reverse(stats.followers), Arc::clone(&stats.workflow_id))
        };
        found.sort_unstable_by_key(order);
        found.truncate(most);
        found
    }

    fn leave(&self, key: &Key, follower: &Arc<Follower>) {
        let mut state = self.state();
        let Some(stream) = state.streams.get_mut(key) else { return };
        let place = stream.followers.iter().position(|other| Arc::ptr_eq(other, follower));
        let Some(place) = place else { return };
        stream.followers.swap_remove(place);
        if stream.followers.is_empty() {
            stream.followers = Vec::new();
        }
        if stream.followers.is_empty() && stream.recent.is_empty() {
            state.streams.remove(key);
        }
        state.followers -= 1;
    }

    fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HubState {
    fn published(&self, key: &Key, delivery: Uuid) -> Option<Arc<Event>> {
        let recent = &self.streams.get(key)?.recent;
        recent.iter().rev().find(|event| event.delivery == delivery).cloned()
    }

    /// Returns the gap after the event `last`, if there may be one; `since` is its number, unless no
    /// event has had it.
    fn gap(&self, key: &Key, last: &str, since: Option<EventId>) -> Option<Frame> {
        let stream = self.streams.get(key);
        let oldest = stream.and_then(|stream| stream.recent.front()).map(|event| event.id);
        let forgotten = stream.and_then(|stream| stream.forgotten);
        let reason = match since {
            None => "unknown",
            Some(since) if forgotten.is_some_and(|id| id <= since) => return None,
            Some(since) if oldest.is_some_and(|oldest| oldest <= since) => return None,
            Some(_) => "forgotten",
        };
        let data = serde_json::json!({
            "reason": reason,
            "lastEventId": last.chars().take(MAX_REPEATED).collect::<String>(),
            "oldestId": oldest.map(|id| id.to_string()),
        });
        // Without an id: the client's last event is still the one before the gap.
        Some(Frame::new(format!("event: {GAP}\ndata: {data}\n\n").as_bytes()))
    }

    fn tell(&self, key: &Key, event: &Event) -> usize {
        let EventContent::Frame(frame) = &event.content else { return 0 };
        let followers = self.streams.get(key).map_or(&[][..], |stream| &stream.followers);
        let wanting = followers.iter().filter(|follower| follower.wants(&event.name));
        wanting.filter(|follower| follower.push(frame)).count()
    }

    /// Keeps an event. Returns the ids of the events that are dropped for it.
    fn keep(&mut self, event: Arc<Event>) -> Vec<EventId> {
        let key = Key { kind: event.kind, workflow_id: Arc::clone(&event.workflow_id) };
        self.bytes += event.size();
        self.order.insert(event.id, key.clone());
        let stream = self.streams.entry(key).or_default();
        stream.recent.push_back(event);
        let mut forgotten = Vec::new();
        if stream.recent.len() > RECENT
            && let Some(oldest) = stream.recent.pop_front()
        {
            self.bytes -= oldest.size();
            self.order.remove(&oldest.id);
            stream.forgotten = Some(oldest.id);
            forgotten.push(oldest.id);
        }
        while self.bytes > MAX_BYTES && self.order.len() > 1 {
            let Some((id, key)) = self.order.pop_first() else { break };
            forgotten.push(id);
            self.forget_oldest_of(&key);
        }
        forgotten
    }

    fn forget_oldest_of(&mut self, key: &Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if let Some(oldest) = stream.recent.pop_front() {
            self.bytes -= oldest.size();
            stream.forgotten = Some(oldest.id);
        }
        if stream.recent.is_empty() && stream.followers.is_empty() {
            self.streams.remove(key);
        }
    }
}

/// A place among the followers of a stream; it is left when this is dropped.
#[derive(Debug)]
pub struct Following {
    streams: Arc<Streams>,
    key: Key,
    follower: Arc<Follower>,
}

impl Following {
    /// Returns the next frame; `None`: there are no more.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.follower.poll_next(context)
    }

    /// Returns the next frame, if it waits already.
    #[must_use]
    pub fn next_now(&self) -> Option<Bytes> {
        self.follower.next_now()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.streams.leave(&self.key, &self.follower);
    }
}

#[cfg(test)]
mod tests;
