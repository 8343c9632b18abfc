//! Cleartext HTTP/1.1 without a proxy: pooled connections, each driven by whoever uses it.
//!
//! A client that serves all protocols gives a connection a task of its own, and every request
//! crosses to it and back. Most traffic inside a network is cleartext HTTP/1.1 to few hosts, and
//! there that crossing costs more than the request. So here the future that waits for a response
//! also polls its connection; everything else (TLS, HTTP/2, proxies) is the general client's.
//!
//! **Invariant:** a connection that comes back to the pool has nothing of an exchange left in it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use url::{Host, Position, Url};

use super::head::{Head, Headed};
use super::lookup::Lookup;
use super::policy::Policy;
use super::progress::{self, Progress};
use super::resolver::permitted;
use super::tcp;
use crate::destinations::{Failure, Phase};
use crate::error::ErrorKind;

type BoxError = Box<dyn StdError + Send + Sync>;

/// How often idle connections are looked after. Nobody polls them otherwise.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// Connections to all hosts. Clones share them.
#[derive(Clone)]
pub struct Cleartext {
    policy: Arc<Policy>,
    lookup: Arc<dyn Lookup>,
    pool: Arc<Pool>,
}

impl Cleartext {
    pub(super) fn new(policy: Arc<Policy>, lookup: Arc<dyn Lookup>, idle: Duration) -> Self {
        Self { policy, lookup, pool: Arc::new(Pool { idle, connections: Mutex::default() }) }
    }

    /// Sends one request to the host of `url` and answers when its response's headers are there.
    /// A connection that turns out to be closed before anything was written is replaced.
    ///
    /// # Errors
    ///
    /// A boxed [`Failure`] from the policy or the lookup, an I/O error from connecting, or the
    /// protocol's error.
    pub async fn send(
        &self,
        url: &Url,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Exchange>, BoxError> {
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
        *request.uri_mut() = Uri::try_from(&url[Position::BeforePath..Position::AfterQuery])?;
        loop {
            let (mut wire, reused): (Box<Wire>, bool) = match self.pool.take(authority) {
                Some(wire) => (wire, true),
                None => (self.connect(url).await?, false),
            };
            if reused && !wire.is_usable().await {
                continue;
            }
            match wire.request(request).await {
                Ok(response) => return Ok(self.exchange(authority, wire, response)),
                Err(Refused { request: Some(unsent), .. }) if reused => request = unsent,
                Err(Refused { error, .. }) => return Err(error.into()),
            }
        }
    }

    fn exchange(
        &self,
        at: &str,
        wire: Box<Wire>,
        response: Response<Incoming>,
    ) -> Response<Exchange> {
        let pool = Arc::clone(&self.pool);
        let home = Home { pool, authority: at.into() };
        response.map(|incoming| Exchange { incoming, wire: Some((wire, home)) })
    }

    async fn connect(&self, url: &Url) -> Result<Box<Wire>, BoxError> {
        progress::enter(Phase::Connect);
        let stream = self.open(url).await?;
        let head = Head::default();
        let stream = TokioIo::new(Headed::new(stream, head.clone()));
        let (sender, driver) = hyper::client::conn::http1::handshake(stream).await?;
        if let Some(progress) = Progress::current() {
            progress.connected();
        }
        Ok(Box::new(Wire { sender, driver, head, is_old: false, ended: false }))
    }

    async fn open(&self, url: &Url) -> Result<TcpStream, BoxError> {
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses = self.addresses(url).await?;
        addresses.iter().try_for_each(|ip| self.policy.check_socket(*ip, port))?;
        Ok(tcp::connect(&addresses, port, self.policy.local_address()).await?)
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>, Failure> {
        let ip = match url.host() {
            Some(Host::Domain(name)) => {
                return permitted(&self.policy, self.lookup.as_ref(), name).await;
            }
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            None => return Err(no_host()),
        };
        self.policy.check_address(url.host_str().unwrap_or_default(), ip)?;
        Ok(vec![ip])
    }
}

impl std::fmt::Debug for Cleartext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cleartext").field("policy", &self.policy).finish_non_exhaustive()
    }
}

fn no_host() -> Failure {
    Failure::new(ErrorKind::InvalidUrl, "the URL has no host")
}

/// One connection, and the half of it that has to be polled for anything to happen.
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    driver: Connection<TokioIo<Headed<TcpStream>>, Full<Bytes>>,
    head: Head,
    /// The server speaks HTTP/1.0 and does not keep the connection.
    is_old: bool,
    ended: bool,
}

/// A request that got no response, with the request if none of it was sent.
struct Refused {
    error: hyper::Error,
    request: Option<Request<Full<Bytes>>>,
}

impl Wire {
    /// Lets the connection read and write. Its own error reaches whoever waits for the response.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }

    fn is_reusable(&self) -> bool {
        !self.ended && !self.is_old && self.sender.is_ready()
    }

    /// Looks whether the server has closed the connection since it was last used.
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.is_reusable())
        })
        .await
    }

    async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Refused> {
        self.head.expect();
        let mut response = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            self.drive(cx);
            response.as_mut().poll(cx)
        });
        let mut response = answer.await.map_err(|mut refused| {
            let request = refused.take_message();
            Refused { error: refused.into_error(), request }
        })?;
        if self.head.is_there() {
            *response.version_mut() = Version::HTTP_10;
            self.is_old = !keeps_alive(response.headers());
        }
        Ok(response)
    }
}

/// Whether a server of HTTP/1.0 keeps the connection.
fn keeps_alive(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("keep-alive"))
}

/// The body of a response, which drives its connection and gives it back at the end.
pub struct Exchange {
    incoming: Incoming,
    wire: Option<(Box<Wire>, Home)>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

impl Exchange {
    fn end(&mut self, cx: &mut Context<'_>) {
        let Some((mut wire, home)) = self.wire.take() else { return };
        wire.drive(cx);
        if wire.is_reusable() {
            home.pool.put(home.authority, wire);
        }
    }
}

impl Body for Exchange {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some((wire, _)) = &mut this.wire
        {
            wire.drive(cx);
            frame = Pin::new(&mut this.incoming).poll_frame(cx);
        }
        if matches!(frame, Poll::Ready(None)) {
            this.end(cx);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        // Said only after the end was polled, so that the connection comes back.
        self.wire.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Where a connection belongs when its exchange is over.
struct Home {
    pool: Arc<Pool>,
    authority: Box<str>,
}

/// A connection that waits for the next request, and since when.
type Idle = (Box<Wire>, Instant);

/// Connections without an exchange, by host and port, the one used last at the end.
struct Pool {
    idle: Duration,
    connections: Mutex<HashMap<Box<str>, Vec<Idle>>>,
}

impl Pool {
    fn take(&self, authority: &str) -> Option<Box<Wire>> {
        let (wire, since) = self.connections().get_mut(authority)?.pop()?;
        (since.elapsed() < self.idle).then_some(wire)
    }

    fn put(self: &Arc<Self>, authority: Box<str>, wire: Box<Wire>) {
        let mut connections = self.connections();
        let first = connections.is_empty();
        connections.entry(authority).or_default().push((wire, Instant::now()));
        drop(connections);
        if first {
            Handle::current().spawn(Arc::clone(self).sweep());
        }
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

    /// The answer is whether no connection is left.
    fn close_unusable(&self, cx: &mut Context<'_>) -> bool {
        let mut connections = self.connections();
        connections.retain(|_, idle| {
            idle.retain_mut(|(wire, since)| {
                wire.drive(cx);
                !wire.ended && since.elapsed() < self.idle
            });
            !idle.is_empty()
        });
        connections.is_empty()
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Idle>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
