//! The connections of every origin: the ones that wait for a request, the ones that are shared, and
//! the ones that are being opened.
//!
//! It decides which connection a request gets; it opens none and sends nothing.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::http1::Http1Connection;
use super::http2::{SharedConnection, StreamSlot};
use super::opening::Offer;
use super::progress::Progress;

/// The interval between sweeps of idle connections. Nothing polls them otherwise.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// Origins that are remembered, those with connections aside.
const MAX_ORIGINS: usize = 4096;

/// Connections to all origins.
pub(super) struct Pool {
    pub(super) idle: Duration,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    origins: HashMap<Arc<str>, OriginState>,
    is_swept: bool,
}

/// Everything about one scheme, host and port.
#[derive(Default)]
struct OriginState {
    /// Connections without an exchange, the one used last at the end.
    http1: Vec<(Box<Http1Connection>, Instant)>,
    http2: Vec<Arc<SharedConnection>>,
    opening: Option<Arc<ConnectionAttempt>>,
    protocol: Option<Protocol>,
}

/// The protocol that an origin has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The last connection negotiated HTTP/1.1.
    Http1,
    /// The server offers HTTP/2, but requires HTTP/1.1 over it.
    Http1Required,
    /// HTTP/2.
    Http2,
}

/// The next step of a request.
pub(super) enum Turn {
    /// Use this connection, which was used before.
    Reuse(Box<Http1Connection>),
    /// Use this stream of a shared connection.
    Stream(StreamSlot),
    /// Wait until a stream of this connection is free.
    Full(Arc<SharedConnection>),
    /// Open a connection; others may wait for it.
    Open(Offer, Option<Ticket>),
    /// Wait until another request has opened a connection.
    Wait(Arc<ConnectionAttempt>),
}

/// A connection that is being opened, of which is not known whether it can be shared.
pub(super) struct ConnectionAttempt {
    is_over: AtomicBool,
    over: Notify,
    /// The request that opens it.
    pub(super) progress: Option<Progress>,
}

impl ConnectionAttempt {
    /// Waits until the connection is open, or is not to be.
    pub(super) async fn over(&self) {
        let over = self.over.notified();
        if !self.is_over.load(Ordering::Acquire) {
            over.await;
        }
    }
}

/// The one place of a request that opens a connection for others, too. It is given up on drop.
pub(super) struct Ticket {
    pool: Arc<Pool>,
    origin: Arc<str>,
    opening: Arc<ConnectionAttempt>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(origin) = self.pool.state().origins.get_mut(&self.origin) {
            origin.opening = None;
        }
        self.opening.is_over.store(true, Ordering::Release);
        self.opening.over.notify_waiters();
    }
}

impl OriginState {
    fn is_forgettable(&self) -> bool {
        self.http1.is_empty() && self.http2.is_empty() && self.opening.is_none()
    }

    /// Takes a stream of a shared connection; the error is a connection whose streams are all taken.
    fn stream(&mut self) -> Option<Result<StreamSlot, Arc<SharedConnection>>> {
        let mut full = None;
        let mut slot = None;
        self.http2.retain(|shared| {
            if slot.is_none() && shared.is_usable() {
                slot = SharedConnection::enter(shared);
            }
            let keep = shared.is_usable();
            if keep && full.is_none() {
                full = Some(Arc::clone(shared));
            }
            keep
        });
        slot.map(Ok).or_else(|| full.map(Err))
    }
}

impl Pool {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, state: Mutex::default() }
    }

    /// Decides the next step of a request to `origin`. A request that `has_waited` in vain for a
    /// connection of another opens its own.
    pub(super) fn turn(self: &Arc<Self>, origin: &str, has_waited: bool) -> Turn {
        let is_secure = origin.starts_with("https:");
        let mut state = self.state();
        let Some(place) = state.origins.get_mut(origin) else {
            return self.first(&mut state, origin, is_secure);
        };
        match place.stream() {
            Some(Ok(slot)) => return Turn::Stream(slot),
            Some(Err(full)) => return Turn::Full(full),
            None => {}
        }
        while let Some((wire, since)) = place.http1.pop() {
            if since.elapsed() < self.idle {
                return Turn::Reuse(wire);
            }
        }
        match (place.protocol, &place.opening) {
            (Some(Protocol::Http1Required), _) => Turn::Open(Offer::Http1, None),
            (Some(Protocol::Http1), _) => Turn::Open(Offer::Both, None),
            _ if !is_secure => Turn::Open(Offer::Http1, None),
            (_, Some(opening)) if !has_waited => Turn::Wait(Arc::clone(opening)),
            (_, Some(_)) => Turn::Open(Offer::Both, None),
            (_, None) => {
                let ticket = self.ticket(origin.into());
                place.opening = Some(Arc::clone(&ticket.opening));
                Turn::Open(Offer::Both, Some(ticket))
            }
        }
    }

    fn first(self: &Arc<Self>, state: &mut PoolState, origin: &str, is_secure: bool) -> Turn {
        if !is_secure {
            return Turn::Open(Offer::Http1, None);
        }
        if state.origins.len() >= MAX_ORIGINS {
            state.origins.retain(|_, origin| !origin.is_forgettable());
        }
        let ticket = self.ticket(origin.into());
        let place = state.origins.entry(Arc::clone(&ticket.origin)).or_default();
        place.opening = Some(Arc::clone(&ticket.opening));
        Turn::Open(Offer::Both, Some(ticket))
    }

    fn ticket(self: &Arc<Self>, origin: Arc<str>) -> Ticket {
        let opening = Arc::new(ConnectionAttempt {
            is_over: AtomicBool::new(false),
            over: Notify::new(),
            progress: Progress::current(),
        });
        Ticket { pool: Arc::clone(self), origin, opening }
    }

    /// Remembers what an origin has chosen.
    pub(super) fn learn(&self, origin: &Arc<str>, protocol: Protocol) {
        let mut state = self.state();
        let place = state.origins.entry(Arc::clone(origin)).or_default();
        let is_final = place.protocol == Some(Protocol::Http1Required);
        if !is_final {
            place.protocol = Some(protocol);
        }
    }

    /// Adds a connection that requests share.
    pub(super) fn share(&self, origin: &Arc<str>, shared: Arc<SharedConnection>) {
        self.learn(origin, Protocol::Http2);
        self.state().origins.entry(Arc::clone(origin)).or_default().http2.push(shared);
    }

    /// Takes a connection back after an exchange.
    pub(super) fn put(self: &Arc<Self>, wire: Box<Http1Connection>) {
        let mut state = self.state();
        let used = (wire, Instant::now());
        if let Some(place) = state.origins.get_mut(&used.0.origin) {
            place.http1.push(used);
        } else {
            let origin = Arc::clone(&used.0.origin);
            state.origins.entry(origin).or_default().http1.push(used);
        }
        let first = !std::mem::replace(&mut state.is_swept, true);
        drop(state);
        if first {
            Handle::current().spawn(Arc::clone(self).sweep());
        }
    }

    /// Closes the idle connections to other origins: this machine lacks what they take.
    pub(super) fn close_others(&self, origin: &str) {
        let mut state = self.state();
        let others = state.origins.iter_mut().filter(|(other, _)| other.as_ref() != origin);
        others.for_each(|(_, place)| place.http1.clear());
    }

    /// Closes connections that their server has closed, or that were idle for too long, until
    /// there are none.
    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            if poll_fn(|cx| Poll::Ready(self.close_unusable(cx))).await {
                return;
            }
        }
    }

    /// Returns whether no idle connection is left.
    fn close_unusable(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.state();
        let mut is_empty = true;
        state.origins.retain(|_, origin| {
            origin.http1.retain_mut(|(wire, since)| {
                wire.drive(cx);
                !wire.has_ended() && since.elapsed() < self.idle
            });
            origin.http2.retain(|shared| shared.is_usable());
            is_empty &= origin.http1.is_empty();
            origin.protocol.is_some() || !origin.is_forgettable()
        });
        state.is_swept = !is_empty;
        is_empty
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
