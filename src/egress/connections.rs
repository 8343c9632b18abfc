//! HTTP without a proxy, on pooled direct connections: HTTP/1.1 in the clear, HTTP/1.1 and HTTP/2
//! over TLS.
//!
//! A request goes again, on another connection, as long as the protocol says that nothing of it was
//! processed. That is not an attempt: the receiver has not seen it.
//!
//! Start reading at [`Connections::send`]; `pool` decides over connections, `http1` and `http2` are
//! the connections, `opening` opens them.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame};
use http_body_util::Full;
use url::{Position, Url};

use super::failure::local_shortage_in;
use super::handshakes::Handshakes;
use super::head::Names;
use super::http1::{Http1Body, Http1Connection, Http1Failure};
use super::http2::{self, SharedConnection, StreamSlot};
use super::lookup::Lookup;
use super::opening::Opener;
use super::policy::Policy;
use super::pool::{Pool, Protocol, Ticket, Turn};
use super::progress::{self, Progress};
use super::scarcity::Patience;
use super::stream::Stream;
use super::tls::HttpTls;
use super::trust::HeaderCase;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Times that a request goes again at once; after them it waits a little each time.
const AT_ONCE: u32 = 8;
/// Times after which a request is given up.
const MAX_TIMES: u32 = 48;
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A request, which can be sent more than once.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The `http` or `https` URL.
    pub url: &'a Url,
    /// The headers, without what belongs to the connection. `Host` is that of the URL.
    pub headers: &'a HeaderMap,
    /// Names of headers as HTTP/1.1 writes them. Others are in the connections' own case.
    pub names: &'a Names,
    /// A header that is added unless the request brings it.
    pub default_header: &'a (HeaderName, HeaderValue),
    /// The body, if there is one.
    pub body: Option<&'a Bytes>,
}

/// The result of sending a request once.
enum Sent {
    Answered(Response<ResponseBody>),
    /// Nothing of it was processed, and the protocol's reason.
    Unprocessed(Option<BoxError>),
}

/// Connections to all hosts. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    opener: Arc<Opener>,
    pool: Arc<Pool>,
    header_case: HeaderCase,
}

impl Connections {
    pub(super) fn new(
        policy: Arc<Policy>,
        lookup: Arc<dyn Lookup>,
        tls: HttpTls,
        header_case: HeaderCase,
        idle: Duration,
    ) -> Self {
        let opener = Arc::new(Opener { policy, lookup, tls, handshakes: Handshakes::default() });
        Self { opener, pool: Arc::new(Pool::new(idle)), header_case }
    }

    /// Sends one request and returns its response when the headers are there.
    ///
    /// # Errors
    ///
    /// A boxed failure from the policy or the lookup, an I/O error from connecting, or the
    /// protocol's error.
    pub(super) async fn send(
        &self,
        outgoing: RequestParts<'_>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        let origin = &outgoing.url[..Position::AfterPort];
        let mut has_waited = false;
        let mut again = 0;
        let mut patience = Patience::default();
        loop {
            let sent = match self.pool.turn(origin, has_waited) {
                Turn::Reuse(wire) => self.send_again(wire, outgoing).await?,
                Turn::Stream(slot) => {
                    has_waited = false;
                    self.send_on_stream(slot, outgoing).await?
                }
                Turn::Full(shared) => {
                    wait_for_stream(&shared).await;
                    continue;
                }
                Turn::Wait(opening) => {
                    progress::follow(opening.progress.as_ref(), opening.over()).await;
                    has_waited = true;
                    continue;
                }
                Turn::Open(offer, ticket) => match self.opener.open(outgoing.url, offer).await {
                    Ok(stream) => self.send_first(stream, ticket, outgoing).await?,
                    Err(error) => {
                        drop(ticket);
                        self.wait_for_resource(&mut patience, origin, error).await?;
                        continue;
                    }
                },
            };
            again += 1;
            match sent {
                Sent::Answered(response) => return Ok(response),
                Sent::Unprocessed(Some(error)) if again >= MAX_TIMES => return Err(error),
                Sent::Unprocessed(_) => wait_before(again).await,
            }
        }
    }

    /// Waits before the next try if this machine lacks a resource for a connection. Meanwhile
    /// another request may release an idle connection.
    async fn wait_for_resource(
        &self,
        patience: &mut Patience,
        origin: &str,
        error: BoxError,
    ) -> Result<(), BoxError> {
        let Some(reason) = local_shortage_in(error.as_ref()) else { return Err(error) };
        self.pool.close_others(origin);
        if !patience.wait(reason).await {
            return Err(error);
        }
        patience.end();
        Ok(())
    }

    /// Sends a request on a new connection.
    async fn send_first(
        &self,
        stream: Stream,
        ticket: Option<Ticket>,
        outgoing: RequestParts<'_>,
    ) -> Result<Sent, BoxError> {
        let origin: Arc<str> = outgoing.url[..Position::AfterPort].into();
        if stream.is_http2() {
            let shared = SharedConnection::begin(stream, self.pool.idle).await?;
            let slot = SharedConnection::enter(&shared);
            self.pool.share(&origin, shared);
            drop(ticket);
            return match slot {
                Some(slot) => self.send_on_stream(slot, outgoing).await,
                None => Ok(Sent::Unprocessed(None)),
            };
        }
        if outgoing.url.scheme() == "https" {
            self.pool.learn(&origin, Protocol::Http1);
        }
        drop(ticket);
        let wire = Http1Connection::new(stream, origin, self.header_case).await?;
        match self.send_on_wire(wire, outgoing).await {
            Ok(response) => Ok(Sent::Answered(response)),
            Err(Http1Failure { error, .. }) => Err(error),
        }
    }

    /// Sends a request on a connection that was used before, unless it is closed.
    async fn send_again(
        &self,
        mut wire: Box<Http1Connection>,
        outgoing: RequestParts<'_>,
    ) -> Result<Sent, BoxError> {
        if !wire.is_usable().await {
            return Ok(Sent::Unprocessed(None));
        }
        match self.send_on_wire(wire, outgoing).await {
            Ok(response) => Ok(Sent::Answered(response)),
            Err(Http1Failure { request: Some(_), .. }) => Ok(Sent::Unprocessed(None)),
            Err(Http1Failure { error, .. }) => Err(error),
        }
    }

    async fn send_on_wire(
        &self,
        mut wire: Box<Http1Connection>,
        outgoing: RequestParts<'_>,
    ) -> Result<Response<ResponseBody>, Http1Failure> {
        let mut sent = wire.request(outgoing.http1(), outgoing.names).await;
        if sent.as_ref().is_err_and(Http1Failure::lacks_room) {
            let (again, response) = wire.reread(outgoing.http1()).await?;
            (wire, sent) = (again, Ok(response));
        }
        let response = sent?;
        let pool = Arc::clone(&self.pool);
        Ok(response
            .map(|incoming| ResponseBody(BodyKind::Http1(Http1Body::new(incoming, wire, pool)))))
    }

    /// Sends a request on a stream.
    async fn send_on_stream(
        &self,
        slot: StreamSlot,
        outgoing: RequestParts<'_>,
    ) -> Result<Sent, BoxError> {
        let request = outgoing.http2()?;
        match slot.send(request, outgoing.body.cloned().unwrap_or_default()).await {
            Ok(response) => {
                let exchange = |answer| ResponseBody(BodyKind::Http2(Box::new(answer)));
                Ok(Sent::Answered(response.map(exchange)))
            }
            Err(http2::Ended::Unprocessed(error)) => Ok(Sent::Unprocessed(error)),
            Err(http2::Ended::Http1Required) => {
                let origin = outgoing.url[..Position::AfterPort].into();
                self.pool.learn(&origin, Protocol::Http1Required);
                Ok(Sent::Unprocessed(None))
            }
            Err(http2::Ended::Failed(error)) => Err(error),
        }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("policy", &self.opener.policy).finish_non_exhaustive()
    }
}

/// Waits until a stream of a connection is free. As long as others use it, that is a wait in line,
/// and not part of the request.
async fn wait_for_stream(shared: &SharedConnection) {
    let freed = shared.freed();
    if !shared.is_full() {
        return;
    }
    let waiting = shared.is_busy().then(Progress::current).flatten().map(Progress::wait);
    freed.await;
    drop(waiting);
    shared.pass_on();
}

/// Waits before a request goes again, where that did not help many times.
async fn wait_before(again: u32) {
    if let Some(times) = again.checked_sub(AT_ONCE) {
        let wait = FIRST_WAIT.saturating_mul(1 << times.min(10)).min(LONGEST_WAIT);
        tokio::time::sleep(wait).await;
    }
}

impl RequestParts<'_> {
    pub(super) fn all_headers(self) -> HeaderMap {
        let (name, value) = self.default_header;
        let mut headers = self.headers.clone();
        headers.entry(name).or_insert_with(|| value.clone());
        if let Some(body) = self.body {
            headers.entry(CONTENT_LENGTH).or_insert_with(|| body.len().into());
        }
        headers
    }

    fn http1(self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.cloned().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.all_headers();
        // A URL's parts are valid in a header and in a request line.
        let authority = &self.url[Position::BeforeHost..Position::AfterPort];
        if let Ok(host) = HeaderValue::from_str(authority) {
            request.headers_mut().insert(HOST, host);
        }
        if let Ok(uri) = Uri::try_from(&self.url[Position::BeforePath..Position::AfterQuery]) {
            *request.uri_mut() = uri;
        }
        request
    }

    fn http2(self) -> Result<Request<()>, BoxError> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.all_headers();
        // It is in the URI.
        request.headers_mut().remove(HOST);
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::try_from(&self.url[..Position::AfterQuery])?;
        Ok(request)
    }
}

/// The body of a response. Dropped before its end, it ends its exchange.
pub struct ResponseBody(BodyKind);

enum BodyKind {
    Http1(Http1Body),
    Http2(Box<http2::Http2Body>),
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            BodyKind::Http1(_) => "Exchange(HTTP/1.1)",
            BodyKind::Http2(_) => "Exchange(HTTP/2)",
        })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            BodyKind::Http1(answer) => answer.poll_frame(cx).map_err(Into::into),
            BodyKind::Http2(answer) => answer
                .poll_data(cx)
                .map(|data| data.map(|data| data.map(Frame::data).map_err(http2::boxed))),
        }
    }
}
