//! The heads of HTTP/1 responses, as bytes: how many of them a server may send before its response
//! begins, and which version they claim.
//!
//! The protocol library skips interim responses (1xx) for as long as they come, without giving the
//! thread back, and refuses chunked bodies of HTTP/1.0, which servers send and every browser reads.
//! Both are settled on the bytes that it reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::explain::TooMuchHead;

/// Bytes that come before a response's body at most, interim responses included.
pub(super) const MAX_HEAD_BYTES: usize = 160 << 10;

/// Header lines that a response may have.
pub(super) const MAX_HEADER_LINES: usize = 1000;

/// Bytes that one read takes while a head is expected.
const READ_BYTES: usize = 64 << 10;

const OLD_VERSION: &[u8; 8] = b"HTTP/1.0";

/// The error of a response with more headers or interim responses than are read.
pub(super) fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TooMuchHead)
}

/// A handle on what the connection reads. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Head(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether a response is expected.
    expected: AtomicBool,
    /// Bytes since it is.
    read: AtomicUsize,
    /// Whether it claims to be of HTTP/1.0.
    is_old: AtomicBool,
}

impl Head {
    /// Notes that a request is about to be sent.
    pub(super) fn expect(&self) {
        self.0.read.store(0, Ordering::Relaxed);
        self.0.is_old.store(false, Ordering::Relaxed);
        self.0.expected.store(true, Ordering::Relaxed);
    }

    /// Notes that the response's head is there; returns whether it is of HTTP/1.0.
    pub(super) fn is_there(&self) -> bool {
        self.0.expected.store(false, Ordering::Relaxed);
        self.0.is_old.load(Ordering::Relaxed)
    }

    /// Looks at the next bytes of a head. The version at its beginning becomes 1.1.
    fn look(&self, bytes: &mut [u8]) {
        let before = self.0.read.fetch_add(bytes.len(), Ordering::Relaxed);
        let Some(rest) = OLD_VERSION.get(before..) else { return };
        for (byte, expected) in bytes.iter_mut().zip(rest) {
            if byte != expected {
                // Nothing of what follows is a version.
                self.0.read.fetch_max(OLD_VERSION.len(), Ordering::Relaxed);
                return;
            }
            if *byte == b'0' {
                *byte = b'1';
                self.0.is_old.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// A stream whose heads are looked at.
#[derive(Debug)]
pub(super) struct Headed<S> {
    stream: S,
    head: Head,
}

impl<S> Headed<S> {
    /// Wraps a stream that speaks HTTP/1.
    pub(super) fn new(stream: S, head: Head) -> Self {
        Self { stream, head }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Headed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.head.0.expected.load(Ordering::Relaxed) {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let room = MAX_HEAD_BYTES.saturating_sub(this.head.0.read.load(Ordering::Relaxed));
        if room == 0 {
            return Poll::Ready(Err(too_much()));
        }
        let room = room.min(READ_BYTES).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let poll = Pin::new(&mut this.stream).poll_read(cx, &mut part);
        this.head.look(part.filled_mut());
        let read = part.filled().len();
        buf.advance(read);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Headed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read(pieces: &[&[u8]]) -> (io::Result<Vec<u8>>, bool) {
        let head = Head::default();
        head.expect();
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let mut client = Headed::new(client, head.clone());
        let mut all = Vec::new();
        for piece in pieces {
            tokio::io::AsyncWriteExt::write_all(&mut server, piece).await.unwrap();
            let end = all.len() + piece.len();
            let mut buffer = vec![0; 1 << 20];
            while all.len() < end {
                match client.read(&mut buffer).await {
                    Ok(length) => all.extend_from_slice(&buffer[..length]),
                    Err(error) => return (Err(error), head.is_there()),
                }
            }
        }
        (Ok(all), head.is_there())
    }

    #[tokio::test]
    async fn an_old_version_is_read_as_a_new_one_and_remembered() {
        for (pieces, expected, old) in [
            (&[&b"HTTP/1.0 200 OK"[..]][..], &b"HTTP/1.1 200 OK"[..], true),
            (&[b"H", b"TTP/1.", b"0 200"], b"HTTP/1.1 200", true),
            (&[b"HTTP/1.1 200 HTTP/1.0"], b"HTTP/1.1 200 HTTP/1.0", false),
            (&[b"HTTX", b"/1.0"], b"HTTX/1.0", false),
            (&[b"X", b"TTP/1.0"], b"XTTP/1.0", false),
        ] {
            let (bytes, is_old) = read(pieces).await;
            assert_eq!((bytes.unwrap().as_slice(), is_old), (expected, old));
        }
    }

    #[tokio::test]
    async fn heads_are_limited_and_bodies_are_not() {
        let piece = vec![b'x'; 64 << 10];
        let pieces = [&piece[..]; 9];
        let (result, _) = read(&pieces).await;
        assert!(
            result.unwrap_err().get_ref().is_some_and(<dyn Error + Send + Sync>::is::<TooMuchHead>)
        );
        let head = Head::default();
        head.expect();
        assert!(!head.is_there());
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let mut client = Headed::new(client, head);
        for _ in 0..20 {
            tokio::io::AsyncWriteExt::write_all(&mut server, &piece).await.unwrap();
            client.read_exact(&mut vec![0; 64 << 10]).await.unwrap();
        }
    }
}
