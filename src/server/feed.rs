//! A connection of HTTP/1.1 that follows a stream: what is published is written, and nothing else.

use std::future::poll_fn;

use axum::http::Version;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::Connection;
use crate::observability::time::Timestamp;
use crate::streams::Following;

/// What ends a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Bytes that are written at once when more than one frame waits.
const AT_ONCE: usize = 64 << 10;

/// The connection, what it follows, and what goes first.
pub(super) struct Feed {
    pub(super) stream: TcpStream,
    pub(super) following: Following,
    pub(super) head: Bytes,
}

impl Feed {
    /// Writes until the stream ends, the client goes away, or it is cut because it cannot keep up.
    pub(super) async fn run(self, connection: Connection) {
        let Self { mut stream, following, head } = self;
        let chunked = head.starts_with(b"HTTP/1.1");
        tokio::select! {
            () = connection.is_cut() => {}
            // Whatever went wrong, the client knows, and comes back.
            _ = write(&mut stream, &following, head, chunked) => {}
        }
    }
}

async fn write(
    stream: &mut TcpStream,
    following: &Following,
    head: Bytes,
    chunked: bool,
) -> std::io::Result<()> {
    stream.write_all(&head).await?;
    drop(head);
    loop {
        let next = tokio::select! {
            next = poll_fn(|context| following.poll_next(context)) => next,
            gone = is_gone(stream) => return gone,
        };
        let Some(first) = next else { break };
        match following.next_now() {
            None => stream.write_all(&first).await?,
            Some(second) => {
                let mut some = BytesMut::with_capacity(AT_ONCE);
                some.put_slice(&first);
                some.put_slice(&second);
                while some.len() < AT_ONCE
                    && let Some(more) = following.next_now()
                {
                    some.put_slice(&more);
                }
                stream.write_all(&some).await?;
            }
        }
    }
    if chunked {
        stream.write_all(LAST_CHUNK).await?;
    }
    stream.shutdown().await
}

/// Resolves when the client is. What it sends meanwhile is no request: this connection has its answer.
async fn is_gone(stream: &TcpStream) -> std::io::Result<()> {
    let mut ignored = [0; 64];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The head of a response as it goes over the wire.
pub(super) fn head(response: &Response, version: Version) -> Bytes {
    let (line, coding) = if version == Version::HTTP_11 {
        ("HTTP/1.1", "transfer-encoding: chunked\r\n")
    } else {
        ("HTTP/1.0", "connection: close\r\n")
    };
    let status = response.status();
    let mut head = BytesMut::with_capacity(512);
    let reason = status.canonical_reason().unwrap_or_default();
    head.put_slice(format!("{line} {} {reason}\r\n", status.as_u16()).as_bytes());
    for (name, value) in response.headers() {
        if name == axum::http::header::CONTENT_LENGTH {
            continue;
        }
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(format!("date: {}\r\n{coding}\r\n", date(Timestamp::now())).as_bytes());
    head.freeze()
}

/// A time as HTTP spells it (RFC 9110, section 5.6.7).
fn date(at: Timestamp) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.as_millis());
    httpdate::fmt_http_date(at)
}
