//! The places of connections: how many may be open, and which one ends for another.
//!
//! A client that connects and says nothing costs a place, not a request. When all are taken, one
//! whose connection has no request ends for the next that comes, so that silent clients keep nobody
//! out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

/// Connections at once.
const MAX_CONNECTIONS: usize = 20_000;
/// Idle connections among which the one that was idle for the longest time is looked for.
const LOOKED_AT: usize = 64;

/// All places. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<PlacesState>);

#[derive(Debug)]
struct PlacesState {
    most: usize,
    begun: Instant,
    open: Mutex<OpenPlaces>,
}

#[derive(Debug, Default)]
struct OpenPlaces {
    next: u64,
    /// The place that was looked at last when all were taken.
    cursor: u64,
    seats: BTreeMap<u64, Arc<Seat>>,
}

#[derive(Debug, Default)]
struct Seat {
    requests: AtomicUsize,
    /// Milliseconds since `begun` at which the last request ended.
    idle_since: AtomicU64,
    reclaimed: Notify,
}

impl Places {
    /// Returns as many places as the process may have connections, and half of its files at most:
    /// the other half is for deliveries and the data directory.
    pub(super) fn of_this_process() -> Self {
        Self::new(max_files().map_or(MAX_CONNECTIONS, |files| MAX_CONNECTIONS.min(files / 2)))
    }

    fn new(most: usize) -> Self {
        Self(Arc::new(PlacesState { most, begun: Instant::now(), open: Mutex::default() }))
    }

    /// Takes a place, if need be that of an idle connection, which is to end. `None`: all
    /// connections have requests.
    pub(super) fn take(&self) -> Option<ConnectionPlace> {
        let mut open = self.0.open();
        if open.seats.len() >= self.0.most {
            let number = open.idle()?;
            open.cursor = number;
            open.seats.remove(&number)?.reclaimed.notify_one();
        }
        let number = open.next;
        open.next += 1;
        let seat = Arc::new(Seat::default());
        seat.idle_since.store(self.0.now(), Ordering::Relaxed);
        open.seats.insert(number, Arc::clone(&seat));
        drop(open);
        Some(ConnectionPlace { number, seat, places: Arc::clone(&self.0) })
    }
}

impl PlacesState {
    fn open(&self) -> MutexGuard<'_, OpenPlaces> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl OpenPlaces {
    /// Returns the place of the connection that was idle for the longest time, among those that
    /// come next.
    fn idle(&self) -> Option<u64> {
        let after = self.seats.range(self.cursor..).chain(self.seats.range(..self.cursor));
        let idle = after.filter(|(_, seat)| seat.requests.load(Ordering::Relaxed) == 0);
        let since = |seat: &Seat| seat.idle_since.load(Ordering::Relaxed);
        idle.take(LOOKED_AT).min_by_key(|(_, seat)| since(seat)).map(|(number, _)| *number)
    }
}

/// The place of one connection. It is given back on drop.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    number: u64,
    seat: Arc<Seat>,
    places: Arc<PlacesState>,
}

impl ConnectionPlace {
    /// Resolves when the connection is to end, because another has its place.
    pub(super) async fn is_reclaimed(&self) {
        self.seat.reclaimed.notified().await;
    }

    /// Returns a handle that notes the requests of the connection.
    pub(super) fn requests(&self) -> Requests {
        Requests { seat: Arc::clone(&self.seat), places: Arc::clone(&self.places) }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.places.open().seats.remove(&self.number);
    }
}

/// The requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    seat: Arc<Seat>,
    places: Arc<PlacesState>,
}

impl Requests {
    /// Notes that a request has begun. It has ended when the guard is dropped.
    pub(super) fn begin(&self) -> RequestGuard {
        self.seat.requests.fetch_add(1, Ordering::Relaxed);
        RequestGuard(self.clone())
    }
}

/// A request and its response.
#[derive(Debug)]
pub(super) struct RequestGuard(Requests);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let Requests { seat, places } = &self.0;
        seat.idle_since.store(places.now(), Ordering::Relaxed);
        seat.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the response, whose request ends when its body was sent or given up.
pub(super) fn held(response: Response, request: RequestGuard) -> Response {
    response.map(|body| Body::new(HeldBody { body, _request: request }))
}

struct HeldBody {
    body: Body,
    _request: RequestGuard,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the number of files that this process may have open.
#[cfg(unix)]
fn max_files() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    usize::try_from(limit.current?).ok()
}

#[cfg(not(unix))]
const fn max_files() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reclaimed(place: &ConnectionPlace) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(place.is_reclaimed()).poll(&mut context).is_ready()
    }

    #[test]
    fn a_place_is_taken_from_the_connection_that_is_idle_for_the_longest_time() {
        let places = Places::new(3);
        let open: Vec<_> = (0..3).map(|_| places.take().unwrap()).collect();
        let busy = open[0].requests().begin();
        let since =
            |place: &ConnectionPlace, at| place.seat.idle_since.store(at, Ordering::Relaxed);
        since(&open[1], 5);
        since(&open[2], 4);
        let newcomer = places.take().unwrap();
        assert_eq!(open.iter().map(is_reclaimed).collect::<Vec<_>>(), [false, false, true]);
        let own = newcomer.requests().begin();
        assert!(places.take().is_some());
        assert!(is_reclaimed(&open[1]));
        drop((busy, own));
    }

    #[test]
    fn connections_with_requests_keep_their_places() {
        let places = Places::new(2);
        let open = [places.take().unwrap(), places.take().unwrap()];
        let [first, _second] = open.each_ref().map(|place| place.requests().begin());
        assert!(places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        assert!(is_reclaimed(&open[0]));
    }

    #[test]
    fn a_place_is_given_back() {
        let places = Places::new(1);
        let place = places.take().unwrap();
        let request = place.requests().begin();
        assert!(places.take().is_none());
        drop(place);
        assert!(places.take().is_some());
        drop(request);
    }
}
