//! The server of an engine: streams for browsers, and a REST API for events, subscriptions and the log.
//!
//! It reads, and writes what the API promises: registrations and replays. [`start`] opens the socket;
//! it closes with the engine.

mod access;
mod changes;
mod connection;
mod deliveries;
mod events;
mod feed;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod guarded;
mod log;
mod metered;
mod multiplexed;
mod opening;
mod operations;
mod overview;
mod page;
mod parameters;
mod places;
mod queues;
mod replay_runs;
mod replays;
mod response;
mod routes;
mod search;
mod session;
mod sessions;
mod settlements;
mod sql;
mod sse;
mod state;
mod subscriptions;
mod test_calls;
mod webhooks;

use std::future::Future;
use std::io::ErrorKind as IoErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use access::Access;
use response::ApiError;
use state::Shared;

use crate::engine::{Engine, HttpServer};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// The interval of comments on quiet streams.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The grace period of requests in progress when the engine is closed.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// A server that is open.
#[derive(Debug)]
struct RunningServer {
    address: SocketAddr,
    url: String,
    shared: Shared,
    stop: watch::Sender<bool>,
    serving: Mutex<Option<JoinHandle<()>>>,
    tasks: [AbortHandle; 2],
    connections: connection::ConnectionTasks,
}

/// Starts the server if the options of an engine enable it.
///
/// # Errors
/// `AddressInUse`; `InvalidOption`: the address cannot be listened on.
pub fn start(engine: &Arc<Engine>) -> Result<()> {
    let Some(config) = &engine.config().server else { return Ok(()) };
    let wanted = SocketAddr::new(config.host, config.port);
    let failed = |error| cannot_listen(wanted, error);
    let listener = connection::listen(wanted).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let _inside = engine.runtime().enter();
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    if config.access_log {
        log::to_stderr();
    }
    let (stop, stopped) = watch::channel(false);
    let access = Access::new(config, address.port())?;
    let shared = Shared::new(engine, access, config.test_calls, stopped.clone());
    let connections = connection::ConnectionTasks::default();
    let routes = routes::routes(config, &shared);
    let serving = engine.runtime().spawn(connection::serve(
        listener,
        routes,
        config.keep_alive,
        stopped,
        Arc::clone(&connections),
    ));
    let streams = Arc::clone(engine.streams());
    let ticking = engine.runtime().spawn(async move {
        let mut ticks = tokio::time::interval(KEEPALIVE);
        loop {
            ticks.tick().await;
            streams.keep_alive();
        }
    });
    let tasks = [serving.abort_handle(), ticking.abort_handle()];
    let url = config
        .public_url
        .as_deref()
        .map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());
    engine.add_self_address(address);
    engine.announce(&format!("http://{address}"));
    let serving = Mutex::new(Some(serving));
    engine.attach(Box::new(RunningServer {
        address,
        url,
        shared,
        stop,
        serving,
        tasks,
        connections,
    }));
    Ok(())
}

/// Returns the error of an address that cannot be listened on, with advice.
fn cannot_listen(wanted: SocketAddr, error: std::io::Error) -> Error {
    let (kind, reason) = match error.kind() {
        IoErrorKind::AddrInUse => (
            ErrorKind::AddressInUse,
            "another process, or another engine of this one, listens on it. End that, or choose \
             another server.port; 0 takes any that is free"
                .to_owned(),
        ),
        IoErrorKind::PermissionDenied => (
            ErrorKind::InvalidOption,
            "this process may not listen on that port; the system keeps the ports below 1024 for \
             itself. Choose another server.port, and put a reverse proxy in front of it"
                .to_owned(),
        ),
        IoErrorKind::AddrNotAvailable => (
            ErrorKind::InvalidOption,
            "this machine does not have the address. Give one of its own as server.host".to_owned(),
        ),
        _ => (ErrorKind::InvalidOption, error.to_string()),
    };
    let message = format!("Engine.open(): server: cannot listen on {wanted}: {reason}");
    Error::new(kind, message).with_source(error)
}

impl HttpServer for RunningServer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn signed_stream_url(&self, workflow_id: &str, until: Timestamp) -> String {
        let path =
            percent_encoding::utf8_percent_encode(workflow_id, percent_encoding::NON_ALPHANUMERIC);
        let signed = self.shared.access().signed(workflow_id, until);
        format!("{}/pipelines/{path}/sse?{signed}", self.url)
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.stop.send_replace(true);
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            if let Some(serving) = serving {
                // What is under way after that is cut off.
                let _ = tokio::time::timeout(LAST_REQUESTS, serving).await;
            }
            self.abort();
        })
    }
}

impl RunningServer {
    fn abort(&self) {
        for task in &self.tasks {
            task.abort();
        }
        connection::abort(&self.connections);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.abort();
    }
}

/// The most bytes that the id of a workflow has in a path.
const MAX_WORKFLOW_ID: usize = 256;

fn workflow_id(text: &str) -> std::result::Result<&str, ApiError> {
    if text.is_empty() || text.len() > MAX_WORKFLOW_ID {
        let message = format!("workflow_id: must have 1 to {MAX_WORKFLOW_ID} bytes");
        return Err(ApiError::invalid(message));
    }
    Ok(text)
}

/// The most entries that a page has.
const MAX_PAGE: u32 = 100;

fn limit_of(limit: Option<u32>, default: u32) -> std::result::Result<usize, ApiError> {
    let limit = limit.unwrap_or(default);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(format!("limit: must be from 1 to {MAX_PAGE}")));
    }
    Ok(limit as usize)
}
