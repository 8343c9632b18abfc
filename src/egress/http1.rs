//! One connection of HTTP/1.1, driven by the request that uses it.
//!
//! A connection with a task of its own costs a crossing to it and back for every request, which is
//! more than the request itself costs. So the future that waits for a response also polls its
//! connection, over TLS as in the clear.
//!
//! The library's parser takes room for all header lines that a response may have, at each response:
//! for a thousand lines a seventh of a request's time. So it has room for a hundred, and a response
//! with more is read again by another parser.
//!
//! **Invariant:** a connection that comes back to the pool has nothing of an exchange left in it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, Parts, SendRequest};
use hyper_util::rt::TokioIo;

use super::connections::BoxError;
use super::head::{Head, Headed, MAX_HEADER_LINES, Names, is_too_much, too_much};
use super::pool::Pool;
use super::stream::Stream;
use super::trust::HeaderCase;

/// One connection, and the half of it that has to be polled for anything to happen.
pub(super) struct Http1Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Connection<TokioIo<Headed<Stream>>, Full<Bytes>>,
    head: Head,
    /// The origin that it leads to.
    pub(super) origin: Arc<str>,
    /// No further request is sent on it: the server speaks HTTP/1.0 and does not keep it, or its
    /// response was read again.
    is_last: bool,
    ended: bool,
}

/// A request that got no response, with the request if none of it was sent.
pub(super) struct Http1Failure {
    pub(super) error: BoxError,
    pub(super) request: Option<Request<Full<Bytes>>>,
}

impl Http1Failure {
    /// Returns whether the response's head had more lines than the parser had room for.
    pub(super) fn lacks_room(&self) -> bool {
        let error = self.error.downcast_ref::<hyper::Error>();
        error.is_some_and(hyper::Error::is_parse_too_large)
    }
}

impl From<hyper::Error> for Http1Failure {
    fn from(error: hyper::Error) -> Self {
        Self { error: error.into(), request: None }
    }
}

impl Http1Connection {
    /// Begins to speak HTTP/1.1 on an open connection to `origin`.
    pub(super) async fn new(
        stream: Stream,
        origin: Arc<str>,
        case: HeaderCase,
    ) -> hyper::Result<Box<Self>> {
        let head = Head::default();
        let stream = TokioIo::new(Headed::new(stream, head.clone()));
        let (sender, driver) = Builder::new()
            // The case of those that the step did not write.
            .title_case_headers(case == HeaderCase::AsGiven)
            .handshake(stream)
            .await?;
        Ok(Box::new(Self { sender, driver, head, origin, is_last: false, ended: false }))
    }

    /// Reads a response again whose head has more lines than there was room for. The request is the
    /// same, and goes nowhere.
    pub(super) async fn reread(
        self: Box<Self>,
        request: Request<Full<Bytes>>,
    ) -> Result<(Box<Self>, Response<Incoming>), Http1Failure> {
        let Self { driver, head, origin, .. } = *self;
        let Parts { io, read_buf, .. } = driver.into_parts();
        let stream = TokioIo::new(io.into_inner().reread(read_buf));
        let (sender, driver) =
            Builder::new().max_headers(MAX_HEADER_LINES).handshake(stream).await?;
        let mut wire = Box::new(Self { sender, driver, head, origin, is_last: true, ended: false });
        let response = wire.response(request).await?;
        Ok((wire, response))
    }

    /// Lets the connection read and write. Its own error reaches the future of the response. It is
    /// closed when it is dropped.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = self.driver.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Returns whether the connection is closed.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn is_reusable(&self) -> bool {
        !self.ended && !self.is_last && self.sender.is_ready()
    }

    /// Looks whether the server has closed the connection since it was last used.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.is_reusable())
        })
        .await
    }

    /// Sends a request, with these names in place of its own, and returns its response when the
    /// headers are there.
    pub(super) async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
        names: &Names,
    ) -> Result<Response<Incoming>, Http1Failure> {
        self.head.expect(names);
        self.response(request).await
    }

    async fn response(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Http1Failure> {
        let mut response = pin!(self.sender.try_send_request(request));
        let response = poll_fn(|cx| {
            self.drive(cx);
            response.as_mut().poll(cx)
        });
        let mut response = response.await.map_err(|mut refused| {
            let request = refused.take_message();
            Http1Failure { error: refused.into_error().into(), request }
        })?;
        if self.head.is_there() {
            *response.version_mut() = Version::HTTP_10;
            self.is_last |= !keeps_alive(response.headers());
        }
        if is_too_much(response.headers()) {
            return Err(Http1Failure { error: too_much().into(), request: None });
        }
        Ok(response)
    }
}

/// Returns whether a server of HTTP/1.0 keeps the connection.
fn keeps_alive(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("keep-alive"))
}

/// The body of a response, which drives its connection and gives it back at the end.
pub(super) struct Http1Body {
    incoming: Incoming,
    wire: Option<Box<Http1Connection>>,
    pool: Arc<Pool>,
}

impl Http1Body {
    pub(super) fn new(incoming: Incoming, wire: Box<Http1Connection>, pool: Arc<Pool>) -> Self {
        Self { incoming, wire: Some(wire), pool }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some(wire) = &mut self.wire
        {
            wire.drive(cx);
            frame = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        if matches!(frame, Poll::Ready(None)) {
            self.end(cx);
        }
        frame
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        let Some(mut wire) = self.wire.take() else { return };
        wire.drive(cx);
        if wire.is_reusable() {
            self.pool.put(wire);
        }
    }
}
