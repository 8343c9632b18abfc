//! The socket: accepts connections, serves them, and ends them.
//!
//! A connection of HTTP/1.1 that is to follow a stream is taken from the HTTP library once its head
//! is known, and goes on in a task that only writes: see [`super::feed`]. There may be thousands.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderName, HeaderValue};
use axum::http::{Request, Version};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service as _;

use super::feed::{self, Feed};
use super::guarded::{Guarded, RequestTurns, WRITE_TIMEOUT};
use super::metered::Metered;
use super::multiplexed::{self, StreamTasks};
use super::opening::{MAX_HEAD, PREFACE, beginning};
use super::places::{ConnectionPlace, Places, held};
use crate::streams::Following;

/// The interval of HTTP/2 pings. Proxies end connections after 60 s of silence, the shortest of them.
const PING: Duration = Duration::from_secs(45);
/// The time-out of their replies.
const PONG: Duration = Duration::from_secs(20);
/// The time in which an idle connection ends whose place another has.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// The wait before the next connection is accepted when the system has no more of them.
const BREATH: Duration = Duration::from_millis(20);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// A route's handle on the connection of its request; with HTTP/2, on its stream alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection(Arc<ConnectionHandle>);

#[derive(Debug, Default)]
struct ConnectionHandle {
    cut: Notify,
    taken: Notify,
    following: Mutex<Option<Following>>,
    /// Bytes to write first.
    head: Mutex<Option<Bytes>>,
    /// The number of times that the client took a part of the response.
    progress: AtomicU64,
    /// True if the response may be silent for as long as it likes.
    endless: AtomicBool,
}

impl Connection {
    /// Ends the connection where it is.
    pub(super) fn cut(&self) {
        self.0.cut.notify_one();
    }

    /// Resolves when it is to end.
    pub(super) async fn is_cut(&self) {
        self.0.cut.notified().await;
    }

    /// Hands the connection over to a stream after the head of the response.
    pub(super) fn take_over(&self, following: Following) {
        *self.0.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(following);
    }

    /// Notes that the response has no end, and may be silent.
    pub(super) fn stay_open(&self) {
        self.0.endless.store(true, Ordering::Relaxed);
    }

    /// Notes that the client took something of the response.
    pub(super) fn advance(&self) {
        self.0.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when the client took nothing of a response for too long.
    pub(super) async fn is_stalled(&self) {
        loop {
            let before = self.0.progress.load(Ordering::Relaxed);
            tokio::time::sleep(WRITE_TIMEOUT).await;
            if self.0.endless.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            // Before there is a response, it has a deadline of its own.
            if before > 0 && before == self.0.progress.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn following(&self) -> Option<Following> {
        self.0.following.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_taken_over(&self) -> bool {
        self.0.following.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Accepts connections until `stop` is signalled, then lets open ones finish their requests.
/// `connections` holds their tasks.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    keep_alive: Duration,
    mut stop: watch::Receiver<bool>,
    connections: ConnectionTasks,
) {
    let places = Places::of_this_process();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // All connections have requests: this one is closed.
        let Some(place) = places.take() else { continue };
        let served = Served {
            peer,
            routes: routes.clone(),
            keep_alive,
            stop: stop.clone(),
            connections: Arc::clone(&connections),
        };
        spawn(&connections, served.run(stream, place));
    }
    drop(listener);
    loop {
        let mut open = std::mem::take(&mut *lock(&connections));
        if open.is_empty() {
            return;
        }
        while open.join_next().await.is_some() {}
    }
}

/// The tasks of connections.
pub(super) type ConnectionTasks = Arc<Mutex<JoinSet<()>>>;

/// Ends every connection where it is.
pub(super) fn abort(tasks: &ConnectionTasks) {
    lock(tasks).abort_all();
}

fn lock(tasks: &ConnectionTasks) -> std::sync::MutexGuard<'_, JoinSet<()>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(tasks: &ConnectionTasks, task: impl Future<Output = ()> + Send + 'static) {
    let mut tasks = lock(tasks);
    while tasks.try_join_next().is_some() {}
    tasks.spawn(task);
}

/// Resolves when the server is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The shared parts that serve a connection.
struct Served {
    peer: SocketAddr,
    routes: Router,
    keep_alive: Duration,
    stop: watch::Receiver<bool>,
    connections: ConnectionTasks,
}

impl Served {
    async fn run(mut self, mut stream: TcpStream, place: ConnectionPlace) {
        // An event is small, and is to arrive at once.
        let _ = stream.set_nodelay(true);
        let begun = tokio::select! {
            begun = beginning(&mut stream, self.keep_alive) => begun,
            () = place.is_reclaimed() => return,
            _ = self.stop.wait_for(|stop| *stop) => return,
        };
        match begun {
            Ok((Version::HTTP_2, bytes)) => self.http2(Guarded::new(stream, bytes), place).await,
            Ok((_, bytes)) => self.http1(stream, bytes, place).await,
            // The client was silent for too long, or disconnected.
            Err(_) => {}
        }
    }

    async fn answer(
        mut routes: Router,
        peer: SocketAddr,
        connection: Connection,
        request: Request<Incoming>,
    ) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection);
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let answered: Result<Response, Infallible> = routes.call(request).await;
        answered.unwrap_or_default()
    }

    async fn http1(self, stream: TcpStream, beginning: Bytes, place: ConnectionPlace) {
        let Self { peer, routes, keep_alive, mut stop, connections } = self;
        let connection = Connection::default();
        let handle = connection.clone();
        let turns = RequestTurns::default();
        let stream = Guarded::with_heads(stream, beginning, turns.clone());
        let kept = HeaderValue::try_from(format!("timeout={}", keep_alive.as_secs())).ok();
        let requests = place.requests();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            turns.begin();
            let guard = requests.begin();
            let (routes, handle, version) = (routes.clone(), handle.clone(), request.version());
            let (turns, kept) = (turns.clone(), kept.clone());
            Box::pin(async move {
                let mut response = Self::answer(routes, peer, handle.clone(), request).await;
                turns.end();
                if handle.is_taken_over() {
                    let head = feed::head(&response, version);
                    *handle.0.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
                    handle.0.taken.notify_one();
                    // The connection goes on without this.
                    std::future::pending::<()>().await;
                }
                if let (Some(kept), false) = (kept, response.headers().contains_key(CONNECTION)) {
                    response.headers_mut().insert(KEEP_ALIVE, kept);
                }
                Ok::<_, Infallible>(held(response, guard))
            })
        });
        let mut served = http1::Builder::new()
            .timer(TokioTimer::new())
            // Of the silence before a request; a head that has begun has less, see `Guarded`.
            .header_read_timeout(keep_alive)
            .max_buf_size(MAX_HEAD)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut stopping = false;
        loop {
            let ended = poll_fn(|context| Pin::new(&mut served).poll(context).map(drop));
            tokio::select! {
                () = ended => return,
                () = connection.is_cut() => return,
                () = connection.0.taken.notified() => break,
                () = place.is_reclaimed() => {
                    Pin::new(&mut served).graceful_shutdown();
                    let ended = poll_fn(|context| Pin::new(&mut served).poll(context).map(drop));
                    let _ = timeout(LAST_BYTES, ended).await;
                    return;
                }
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    Pin::new(&mut served).graceful_shutdown();
                }
            }
        }
        let stream = served.into_parts().io.into_inner().into_inner();
        follow(&connections, connection, stream, place);
    }

    async fn http2(self, stream: Guarded<TcpStream>, place: ConnectionPlace) {
        let Self { peer, routes, mut stop, .. } = self;
        let requests = place.requests();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (routes, guard) = (routes.clone(), requests.begin());
            async move {
                let stream = multiplexed::current();
                let response = Self::answer(routes, peer, stream.clone(), request).await;
                Ok::<_, Infallible>(held(multiplexed::watched(response, stream), guard))
            }
        });
        let served = http2::Builder::new(StreamTasks)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .max_concurrent_streams(256)
            .serve_connection(TokioIo::new(Metered::new(stream, PREFACE.len())), service);
        tokio::pin!(served);
        let mut stopping = false;
        loop {
            tokio::select! {
                // A broken connection affects only its client.
                _ = served.as_mut() => return,
                () = place.is_reclaimed() => {
                    served.as_mut().graceful_shutdown();
                    let _ = timeout(LAST_BYTES, served.as_mut()).await;
                    return;
                }
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Hands a connection over to the stream that it is to follow.
fn follow(
    tasks: &ConnectionTasks,
    connection: Connection,
    stream: TcpStream,
    place: ConnectionPlace,
) {
    let head = connection.0.head.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(following), Some(head)) = (connection.following(), head) else { return };
    let feed = Feed { stream, following, head };
    let request = place.requests().begin();
    // A task of its own: that of an HTTP connection is large.
    spawn(tasks, async move {
        feed.run(connection).await;
        drop((request, place));
    });
}

/// Opens the socket.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<StdListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
