//! The streams of a connection of HTTP/2: each is a task of its own, which can be ended without its
//! neighbours.
//!
//! A stream that is dropped before its end is reset (RFC 9113, section 5.4.2). That is the only way to
//! end one whose client takes nothing: its window is closed, so that not even an end can be sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::rt::Executor;

use super::connection::Connection;

tokio::task_local! {
    static STREAM: Connection;
}

/// Runs the streams of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamTasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamTasks {
    fn execute(&self, stream: F) {
        let handle = Connection::default();
        let watched = handle.clone();
        let task = async move {
            tokio::select! {
                biased;
                () = watched.is_cut() => {}
                () = stream => {}
                () = watched.is_stalled() => {}
            }
        };
        #[expect(clippy::disallowed_methods, reason = "a stream ends with its connection")]
        tokio::spawn(STREAM.scope(handle, task));
    }
}

/// Returns the stream whose task this is.
pub(super) fn current() -> Connection {
    STREAM.try_with(Connection::clone).unwrap_or_default()
}

/// Returns the response, whose progress is noted.
pub(super) fn watched(response: Response, stream: Connection) -> Response {
    stream.advance();
    response.map(|body| Body::new(Watched { body, stream }))
}

struct Watched {
    body: Body,
    stream: Connection,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next frame is polled once the client has room for the one before.
        self.stream.advance();
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The frames of one follower as the body of a response.
pub(super) struct Frames(pub(super) crate::streams::Following);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_next(context).map(|frame| frame.map(|frame| Ok(Frame::data(frame))))
    }
}
