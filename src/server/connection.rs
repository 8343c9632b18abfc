//! The socket: accepts connections, serves them, and ends them.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

/// Connections at once.
const MAX_CONNECTIONS: usize = 20_000;
/// How long a client may take for the head of a request, the first one included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that the head of a request may have.
const MAX_HEAD: u32 = 32 << 10;
/// How often the other side of an HTTP/2 connection is asked whether it is there, and how long it
/// may take to say so.
const PING: Duration = Duration::from_secs(20);
/// The wait before the next connection is accepted when the system has no more of them.
const BREATH: Duration = Duration::from_millis(50);

/// What a route may do with the connection that a request came over.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Notify>);

impl Connection {
    /// Ends the connection where it is.
    pub(super) fn cut(&self) {
        self.0.notify_one();
    }
}

/// Accepts connections until `stop` says so, then lets those that are open end their requests.
pub(super) async fn serve(listener: TcpListener, routes: Router, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
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
        let (routes, stop) = (routes.clone(), stop.clone());
        connections.spawn(async move {
            serve_one(stream, peer, routes, stop).await;
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    // An event is small, and is to arrive at once.
    let _ = stream.set_nodelay(true);
    let cut = Arc::new(Notify::new());
    let spoken = Arc::new(AtomicBool::new(false));
    let (connection, heard) = (Connection(Arc::clone(&cut)), Arc::clone(&spoken));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        heard.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let mut routes = routes.clone();
        async move {
            let response: Result<Response, Infallible> = routes.call(request).await;
            response
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD as usize)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(MAX_HEAD)
        .max_concurrent_streams(256);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let silence = tokio::time::sleep(HEAD_TIMEOUT);
    tokio::pin!(silence);
    let mut stopping = false;
    loop {
        tokio::select! {
            // A connection that broke concerns nobody but its client.
            _ = served.as_mut() => return,
            () = cut.notified() => return,
            () = silence.as_mut(), if !spoken.load(Ordering::Relaxed) => {
                if !spoken.load(Ordering::Relaxed) {
                    return;
                }
            }
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Opens the socket.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<StdListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
