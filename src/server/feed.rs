//! A connection of HTTP/1.1 that follows a stream: what is published is written, and nothing else.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;

use axum::http::Version;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::Connection;
use crate::streams::Following;
use crate::time::Timestamp;

/// The end of a chunked body.
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
        // After any error the client notices the end of the connection, and reconnects.
        let _ = feed(&mut stream, &following, head, chunked, &connection).await;
    }
}

async fn feed(
    stream: &mut TcpStream,
    following: &Following,
    head: Bytes,
    chunked: bool,
    connection: &Connection,
) -> std::io::Result<()> {
    write(stream, &head, connection).await?;
    drop(head);
    while let Some(first) = next(stream, following).await? {
        match following.next_now() {
            None => write(stream, &first, connection).await?,
            Some(second) => {
                let mut some = BytesMut::with_capacity(AT_ONCE);
                some.put_slice(&first);
                some.put_slice(&second);
                while some.len() < AT_ONCE
                    && let Some(more) = following.next_now()
                {
                    some.put_slice(&more);
                }
                write(stream, &some, connection).await?;
            }
        }
    }
    if chunked {
        write(stream, LAST_CHUNK, connection).await?;
    }
    stream.shutdown().await
}

/// Writes all of it: as a rule at once, and else until the client is cut.
async fn write(
    stream: &mut TcpStream,
    bytes: &[u8],
    connection: &Connection,
) -> std::io::Result<()> {
    let written = match stream.try_write(bytes) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    if written == bytes.len() {
        return Ok(());
    }
    tokio::select! {
        () = connection.is_cut() => Err(ErrorKind::TimedOut.into()),
        written = stream.write_all(&bytes[written..]) => written,
    }
}

/// Returns the next frame; `None`: there are no more. `Err`: the client is gone. There may be
/// thousands that wait here, and all wake at once, so this is one function and no more.
async fn next(stream: &TcpStream, following: &Following) -> std::io::Result<Option<Bytes>> {
    poll_fn(|context| {
        if let Poll::Ready(next) = following.poll_next(context) {
            return Poll::Ready(Ok(next));
        }
        // Bytes that the client sends meanwhile are ignored: this connection serves no further
        // request.
        let mut ignored = [0; 64];
        while stream.poll_read_ready(context)?.is_ready() {
            match stream.try_read(&mut ignored) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns the head of a response as it goes over the wire.
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

/// Returns a time as HTTP spells it (RFC 9110, section 5.6.7).
fn date(at: Timestamp) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.as_millis());
    httpdate::fmt_http_date(at)
}
