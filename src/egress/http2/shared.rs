//! A connection as requests see it: who may open a stream, and whether it is still good.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::super::connections::BoxError;
use super::super::stream::Stream;
use super::exchange::boxed;
use super::sieve::Sieve;
use super::task;
use super::traffic::{Counted, Traffic};

/// Bytes of a response's body that a server may send ahead.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;

/// The same, of all streams of a connection.
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Bytes of headers past which the protocol library ends a stream. Its count has 32 more a line.
const MAX_HEADER_LIST: u32 = 1 << 20;

/// A connection that requests share.
pub(in crate::egress) struct SharedConnection {
    state: Mutex<ConnectionState>,
    freed: Notify,
    pub(super) traffic: Traffic,
}

struct ConnectionState {
    /// None once the connection takes no further requests.
    sender: Option<SendRequest<Bytes>>,
    active: usize,
    /// `Some(true)` if only one stream was open when the connection violated the protocol.
    is_culprit_known: Option<bool>,
}

/// The right to open one stream. It is given back on drop.
pub(in crate::egress) struct StreamSlot {
    pub(super) shared: Arc<SharedConnection>,
    pub(super) sender: Option<SendRequest<Bytes>>,
}

impl SharedConnection {
    /// Begins to speak HTTP/2 on an open connection, and spawns the task that drives it. Without a
    /// stream for as long as `idle`, it is closed.
    pub(in crate::egress) async fn begin(
        stream: Stream,
        idle: Duration,
    ) -> Result<Arc<Self>, BoxError> {
        let traffic = Traffic::default();
        let stream = Counted { stream, sieve: Sieve::default(), traffic: traffic.clone() };
        let (sender, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            // A connection is not worse for the responses that were not valid.
            .max_local_error_reset_streams(None)
            .handshake(stream)
            .await
            .map_err(boxed)?;
        let state =
            Mutex::new(ConnectionState { sender: Some(sender), active: 0, is_culprit_known: None });
        let shared = Arc::new(Self { state, freed: Notify::new(), traffic });
        Handle::current().spawn(task::drive(connection, Arc::clone(&shared), idle));
        Ok(shared)
    }

    /// Takes a slot, unless all streams are taken or the connection takes no further requests.
    pub(in crate::egress) fn enter(this: &Arc<Self>) -> Option<StreamSlot> {
        let mut state = this.state();
        if !state.has_room() {
            return None;
        }
        let sender = state.sender.clone();
        state.active += 1;
        drop(state);
        Some(StreamSlot { shared: Arc::clone(this), sender })
    }

    /// Returns whether the connection takes further requests, now or when a stream is free.
    pub(in crate::egress) fn is_usable(&self) -> bool {
        let mut state = self.state();
        let is_usable = state.is_usable();
        drop(state);
        if !is_usable {
            self.retire();
        }
        is_usable
    }

    /// Returns whether a request has to wait for a stream.
    pub(in crate::egress) fn is_full(&self) -> bool {
        let mut state = self.state();
        state.is_usable() && !state.has_room()
    }

    /// Returns whether any request has a stream.
    pub(in crate::egress) fn is_busy(&self) -> bool {
        self.state().active > 0
    }

    /// Returns a future that ends when a stream is free, or when none will be.
    pub(in crate::egress) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Wakes the next request that waits, if there is room for it.
    pub(in crate::egress) fn pass_on(&self) {
        if self.state().has_room() {
            self.freed.notify_one();
        }
    }

    /// Wakes all requests that wait.
    pub(super) fn wake_all(&self) {
        self.freed.notify_waiters();
    }

    /// Takes no further requests; the streams that are open go on.
    pub(super) fn retire(&self) {
        let sender = self.state().sender.take();
        if sender.is_some() {
            // Outside of the lock: its drop may end the connection.
            drop(sender);
            self.wake_all();
        }
    }

    /// Retires the connection if no stream is open.
    pub(super) fn retire_if_idle(&self) {
        let mut state = self.state();
        let sender = if state.active == 0 { state.sender.take() } else { None };
        drop(state);
        drop(sender);
    }

    /// Returns whether this stream is the one whose response was invalid, after the protocol
    /// library has ended the connection for it. The library reports the same error to all streams.
    pub(super) fn is_culprit(&self) -> bool {
        let mut state = self.state();
        let is_alone = state.active == 1;
        *state.is_culprit_known.get_or_insert(is_alone)
    }

    pub(super) fn is_retired(&self) -> bool {
        self.state().sender.is_none()
    }

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionState {
    fn has_room(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| self.active < sender.current_max_send_streams())
    }

    /// Returns whether the protocol library accepts requests: it sees GOAWAY at once. The check
    /// never waits: no stream of this handle is pending.
    fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.sender.as_mut().is_some_and(|sender| {
            !matches!(sender.poll_ready(&mut cx), std::task::Poll::Ready(Err(_)))
        })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.shared.state().active -= 1;
        self.shared.freed.notify_one();
    }
}
