//! The socket: accepts connections, serves them, and ends them.
//!
//! A connection of HTTP/1.1 that is to follow a stream is taken from the HTTP library once its head
//! is known, and goes on in a task that only writes: see [`super::feed`]. There may be thousands.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::ErrorKind;
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
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::feed::{self, Feed};
use super::guarded::{Guarded, HEAD_TIMEOUT, RequestTurns, WRITE_TIMEOUT};
use super::multiplexed::{self, StreamTasks};
use crate::streams::Following;

/// Connections at once.
const MAX_CONNECTIONS: usize = 20_000;
/// Bytes that the head of a request may have.
const MAX_HEAD: u32 = 32 << 10;
/// The interval of HTTP/2 pings, and the time-out of their replies.
const PING: Duration = Duration::from_secs(20);
/// The wait before the next connection is accepted when the system has no more of them.
const BREATH: Duration = Duration::from_millis(20);
/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // Who comes when the house is full is sent away.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
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

/// The shared parts that serve a connection.
struct Served {
    peer: SocketAddr,
    routes: Router,
    keep_alive: Duration,
    stop: watch::Receiver<bool>,
    connections: ConnectionTasks,
}

impl Served {
    async fn run(mut self, mut stream: TcpStream, place: OwnedSemaphorePermit) {
        // An event is small, and is to arrive at once.
        let _ = stream.set_nodelay(true);
        let begun = tokio::select! {
            begun = beginning(&mut stream, self.keep_alive) => begun,
            _ = self.stop.wait_for(|stop| *stop) => return,
        };
        match begun {
            Ok((Version::HTTP_2, bytes)) => self.http2(Guarded::new(stream, bytes)).await,
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

    async fn http1(self, stream: TcpStream, beginning: Bytes, place: OwnedSemaphorePermit) {
        let Self { peer, routes, keep_alive, mut stop, connections } = self;
        let connection = Connection::default();
        let handle = connection.clone();
        let turns = RequestTurns::default();
        let stream = Guarded::with_heads(stream, beginning, turns.clone());
        let kept = HeaderValue::try_from(format!("timeout={}", keep_alive.as_secs())).ok();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            turns.begin();
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
                Ok::<_, Infallible>(response)
            })
        });
        let mut served = http1::Builder::new()
            .timer(TokioTimer::new())
            // Of the silence before a request; a head that has begun has less, see `Guarded`.
            .header_read_timeout(keep_alive)
            .max_buf_size(MAX_HEAD as usize)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut stopping = false;
        loop {
            let ended = poll_fn(|context| Pin::new(&mut served).poll(context).map(drop));
            tokio::select! {
                () = ended => return,
                () = connection.is_cut() => return,
                () = connection.0.taken.notified() => break,
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    Pin::new(&mut served).graceful_shutdown();
                }
            }
        }
        let head = connection.0.head.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(following), Some(head)) = (connection.following(), head) else { return };
        let stream = served.into_parts().io.into_inner().into_inner();
        // A task of its own: this one is as large as an HTTP connection.
        let feed = Feed { stream, following, head };
        spawn(&connections, async move {
            feed.run(connection).await;
            drop(place);
        });
    }

    async fn http2(self, stream: Guarded<TcpStream>) {
        let Self { peer, routes, mut stop, .. } = self;
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let routes = routes.clone();
            async move {
                let stream = multiplexed::current();
                let response = Self::answer(routes, peer, stream.clone(), request).await;
                Ok::<_, Infallible>(multiplexed::watched(response, stream))
            }
        });
        let served = http2::Builder::new(StreamTasks)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_streams(256)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(served);
        let mut stopping = false;
        loop {
            tokio::select! {
                // A broken connection affects only its client.
                _ = served.as_mut() => return,
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Reads until it is clear what a connection speaks. Returns that, and what was read.
async fn beginning(
    stream: &mut TcpStream,
    keep_alive: Duration,
) -> std::io::Result<(Version, Bytes)> {
    let mut bytes = [0; PREFACE.len()];
    let mut length = timely(keep_alive, stream.read(&mut bytes)).await?;
    let begun = tokio::time::Instant::now();
    loop {
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let read = || Bytes::copy_from_slice(&bytes[..length]);
        if !PREFACE.starts_with(&bytes[..length]) {
            return Ok((Version::HTTP_11, read()));
        }
        if length == PREFACE.len() {
            return Ok((Version::HTTP_2, read()));
        }
        let left = HEAD_TIMEOUT.saturating_sub(begun.elapsed());
        length += match timely(left, stream.read(&mut bytes[length..])).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => more,
        };
    }
}

async fn timely<T>(
    limit: Duration,
    what: impl Future<Output = std::io::Result<T>>,
) -> std::io::Result<T> {
    tokio::time::timeout(limit, what).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Opens the socket.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<StdListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
