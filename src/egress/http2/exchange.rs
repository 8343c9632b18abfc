//! One stream: a request goes out, a response comes back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};

use super::super::connections::BoxError;
use super::super::head::{is_too_much, too_much};
use super::shared::StreamSlot;
use super::traffic::too_many_frames;

/// Interim responses (1xx) that a server may send before its response.
const MAX_INTERIM: usize = 100;

/// Bytes of a body that are handed over at once, whatever the server's window is.
const SMALL_BODY: usize = 16 << 10;

/// The reason why a request got no response.
pub(in crate::egress) enum Ended {
    /// The server confirmed that it has not processed the request, or nothing of it was sent.
    Unprocessed(Option<BoxError>),
    /// The server requires HTTP/1.1.
    Http1Required,
    /// Anything else.
    Failed(BoxError),
}

/// Returns the error as other modules read it: the system's where it is the system's.
pub(in crate::egress) fn boxed(error: h2::Error) -> BoxError {
    if !error.is_io() {
        return error.into();
    }
    error.into_io().map_or_else(|| "the connection broke".into(), Into::into)
}

impl StreamSlot {
    /// Sends a request and returns its response when the headers are there.
    pub(in crate::egress) async fn send(
        mut self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Response<Http2Body>, Ended> {
        let Some(sender) = self.sender.take() else { return Err(Ended::Unprocessed(None)) };
        let mut listening = Listening::new(self);
        listening.slot.shared.traffic.request();
        let (response, upload) = match open(sender, request, body).await {
            Ok(opened) => opened,
            Err(_) if listening.slot.shared.traffic.is_flooded() => {
                return Err(listening.fail(too_many_frames().into()));
            }
            Err(error) if error.is_remote() || error.is_io() || error.is_go_away() => {
                listening.has_ended = true;
                listening.slot.shared.retire();
                return Err(Ended::Unprocessed(Some(boxed(error))));
            }
            Err(error) => {
                listening.has_ended = true;
                return Err(Ended::Failed(error.into()));
            }
        };
        let mut answer = PendingResponse { response, upload, interim: 0 };
        let response = match poll_fn(|cx| answer.poll(cx)).await {
            Ok(response) => response,
            Err(Failed::TooMuch) => return Err(listening.fail(too_much().into())),
            Err(Failed::Protocol(error)) => return Err(listening.ended(error)),
        };
        if is_too_much(response.headers()) {
            return Err(listening.fail(too_much().into()));
        }
        listening.note();
        let upload = answer.upload;
        Ok(response.map(|received| Http2Body { received, upload, listening }))
    }
}

type Opened = (ResponseFuture, Option<Upload>);

async fn open(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> Result<Opened, h2::Error> {
    let mut sender = sender.ready().await?;
    let (response, mut stream) = sender.send_request(request, body.is_empty())?;
    if body.is_empty() {
        return Ok((response, None));
    }
    if body.len() <= SMALL_BODY {
        // An error reaches the response, too.
        let _ = stream.send_data(body, true);
        return Ok((response, None));
    }
    Ok((response, Some(Upload { stream, rest: body })))
}

/// A request whose response is not there.
struct PendingResponse {
    response: ResponseFuture,
    upload: Option<Upload>,
    interim: usize,
}

enum Failed {
    Protocol(h2::Error),
    TooMuch,
}

impl PendingResponse {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, Failed>> {
        while let Poll::Ready(Some(Ok(_))) = self.response.poll_informational(cx) {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Poll::Ready(Err(Failed::TooMuch));
            }
        }
        if let Poll::Ready(response) = Pin::new(&mut self.response).poll(cx) {
            return Poll::Ready(response.map_err(Failed::Protocol));
        }
        Upload::drive(&mut self.upload, cx);
        Poll::Pending
    }
}

/// The part of a request's body that is not handed over.
struct Upload {
    stream: SendStream<Bytes>,
    rest: Bytes,
}

impl Upload {
    /// Sends as much as the server accepts. A stream that accepts no more reports it in its
    /// response.
    fn drive(this: &mut Option<Self>, cx: &mut Context<'_>) {
        if let Some(upload) = this
            && upload.poll(cx).is_ready()
        {
            *this = None;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            self.stream.reserve_capacity(self.rest.len());
            while self.stream.capacity() == 0 {
                if !matches!(ready!(self.stream.poll_capacity(cx)), Some(Ok(_))) {
                    return Poll::Ready(());
                }
            }
            let chunk = self.rest.split_to(self.stream.capacity().min(self.rest.len()));
            if self.stream.send_data(chunk, self.rest.is_empty()).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}

/// The body of a response.
pub(in crate::egress) struct Http2Body {
    received: RecvStream,
    upload: Option<Upload>,
    // Dropped last: the stream is over before its slot is free.
    listening: Listening,
}

impl Http2Body {
    /// Returns the next bytes; `None` at the end.
    pub(in crate::egress) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, h2::Error>>> {
        Upload::drive(&mut self.upload, cx);
        let poll = self.received.poll_data(cx);
        self.listening.is_pending = poll.is_pending();
        let data = ready!(poll);
        self.listening.note();
        if let Some(Ok(bytes)) = &data {
            self.listening.slot.shared.traffic.consume(bytes.len());
            // It fails only where the stream is over.
            let _ = self.received.flow_control().release_capacity(bytes.len());
        } else {
            self.listening.has_ended = true;
        }
        Poll::Ready(data)
    }
}

/// A stream that waits for the server. If it is dropped meanwhile, it reports whether the
/// connection was silent all the time: then no other request should use it.
struct Listening {
    /// Reads of the connection when something came for this stream.
    reads: u64,
    writes: u64,
    is_pending: bool,
    has_ended: bool,
    slot: StreamSlot,
}

impl Listening {
    fn new(slot: StreamSlot) -> Self {
        let traffic = &slot.shared.traffic;
        let (reads, writes) = (traffic.reads(), traffic.writes());
        Self { reads, writes, is_pending: true, has_ended: false, slot }
    }

    fn note(&mut self) {
        self.is_pending = false;
        self.reads = self.slot.shared.traffic.reads();
    }

    fn fail(mut self, error: BoxError) -> Ended {
        self.has_ended = true;
        Ended::Failed(error)
    }

    fn ended(mut self, error: h2::Error) -> Ended {
        self.has_ended = true;
        let shared = &self.slot.shared;
        let is_from_server = error.is_remote();
        // A stream that the server reset before has that end.
        if shared.traffic.is_flooded() && !(is_from_server && error.is_reset()) {
            return Ended::Failed(too_many_frames().into());
        }
        match error.reason() {
            Some(Reason::HTTP_1_1_REQUIRED) if is_from_server => {
                shared.retire();
                Ended::Http1Required
            }
            Some(Reason::REFUSED_STREAM) if is_from_server && error.is_reset() => {
                Ended::Unprocessed(Some(boxed(error)))
            }
            // The protocol library ends only streams above the last one that the server names.
            Some(_) if is_from_server && error.is_go_away() => {
                shared.retire();
                Ended::Unprocessed(Some(boxed(error)))
            }
            // Upper-case names and the like end the connection, with no word of whose they were.
            Some(_) if error.is_library() && error.is_go_away() => {
                let is_invalid = shared.is_culprit();
                let kind =
                    if is_invalid { io::ErrorKind::InvalidData } else { io::ErrorKind::Other };
                Ended::Failed(io::Error::new(kind, error).into())
            }
            None if shared.traffic.writes() == self.writes => {
                shared.retire();
                Ended::Unprocessed(Some(boxed(error)))
            }
            _ => Ended::Failed(boxed(error)),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let shared = &self.slot.shared;
        if self.is_pending && !self.has_ended && shared.traffic.reads() == self.reads {
            shared.retire();
        }
    }
}
