//! The heads of HTTP/1 messages, as bytes: how many of them a server may send before its response
//! begins, which version they claim, and the names in a request's.
//!
//! The protocol library skips interim responses (1xx) for as long as they come, without giving the
//! thread back, and refuses chunked bodies of HTTP/1.0, which servers send and every browser reads.
//! It writes all names of headers in one case. All three are settled on the bytes that it reads and
//! writes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::explain::TooMuchHead;

/// Bytes of names and values that the headers of a response may have.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Header lines that a response may have.
pub(super) const MAX_HEADER_LINES: usize = 1000;

/// Bytes that come before a response's body at most, interim responses included.
const MAX_HEAD_BYTES: usize = 160 << 10;

/// Bytes that one read takes while a head is expected.
const READ_BYTES: usize = 64 << 10;

const OLD_VERSION: &[u8; 8] = b"HTTP/1.0";

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// Returns the error of a response with more headers or interim responses than are read.
pub(super) fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TooMuchHead)
}

/// Returns whether the headers of a response are more or longer than are read.
pub(super) fn is_too_much(headers: &HeaderMap) -> bool {
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    headers.len() > MAX_HEADER_LINES || bytes.sum::<usize>() > MAX_HEADER_BYTES
}

/// Names of headers as they are to be written. Of several in another case, the last one counts.
pub type Names = Arc<[Box<str>]>;

/// Returns the head of a request with these names in place of its own.
fn respelled(head: &[u8], names: &Names) -> Vec<u8> {
    let mut head = head.to_vec();
    for line in head.split_inclusive_mut(|byte| *byte == b'\n').skip(1) {
        let Some(end) = memchr::memchr(b':', line) else { continue };
        let name = &mut line[..end];
        let given = names.iter().map(|given| given.as_bytes());
        if let Some(given) = given.rev().find(|given| given.eq_ignore_ascii_case(name)) {
            name.copy_from_slice(given);
        }
    }
    head
}

/// A handle on what the connection reads and writes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Head(Arc<HeadState>);

#[derive(Debug, Default)]
struct HeadState {
    /// True if a response is expected.
    expected: AtomicBool,
    /// Bytes since it is.
    read: AtomicUsize,
    /// True if it claims to be of HTTP/1.0.
    is_old: AtomicBool,
    /// True if there are names for the request's head, which is not written yet.
    has_names: AtomicBool,
    names: Mutex<Names>,
}

impl Head {
    /// Notes that a request is about to be sent, with these names in its head.
    pub(super) fn expect(&self, names: &Names) {
        if !names.is_empty() {
            *self.0.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(names);
            self.0.has_names.store(true, Ordering::Relaxed);
        }
        self.0.read.store(0, Ordering::Relaxed);
        self.0.is_old.store(false, Ordering::Relaxed);
        self.0.expected.store(true, Ordering::Relaxed);
    }

    /// Notes that the response's head is there; returns whether it is of HTTP/1.0.
    pub(super) fn is_there(&self) -> bool {
        self.0.expected.store(false, Ordering::Relaxed);
        self.0.is_old.load(Ordering::Relaxed)
    }

    /// Takes the names for the request's head.
    fn take_names(&self) -> Option<Names> {
        if !self.0.has_names.load(Ordering::Relaxed) {
            return None;
        }
        self.0.has_names.store(false, Ordering::Relaxed);
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *names))
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
    /// The part of a request's head with other names that is not written yet.
    respelled: Vec<u8>,
    again: Option<Reread>,
}

/// A response that is read a second time, by another parser.
#[derive(Debug)]
struct Reread {
    /// Its bytes that were read before.
    read: Bytes,
    /// True if the parser has written the request, which is answered already.
    is_asked: bool,
}

impl<S> Headed<S> {
    /// Wraps a stream that speaks HTTP/1.
    pub(super) fn new(stream: S, head: Head) -> Self {
        Self { stream, head, respelled: Vec::new(), again: None }
    }

    /// Returns the stream for another parser: it reads these bytes again, once it has written the
    /// request, which goes nowhere.
    pub(super) fn reread(self, read: Bytes) -> Self {
        Self { again: Some(Reread { read, is_asked: false }), ..self }
    }
}

impl Reread {
    /// Takes all of the request.
    fn write(&mut self, cx: &Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        // Reading may wait for it.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(length))
    }

    /// Reads what was read before. `None`: there is no more of it.
    fn poll_read(&mut self, buf: &mut ReadBuf<'_>) -> Option<Poll<io::Result<()>>> {
        if !self.is_asked {
            return Some(Poll::Pending);
        }
        let length = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(length));
        (length > 0).then_some(Poll::Ready(Ok(())))
    }
}

impl<S: AsyncWrite + Unpin> Headed<S> {
    /// Writes the head of a request whose names are given, which `buf` begins with. `None`: it is
    /// written, or none are given.
    fn poll_respelled(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.respelled.is_empty() {
            let names = self.head.take_names()?;
            let end = memchr::memmem::find(buf, END).map_or(buf.len(), |at| at + END.len());
            self.respelled = respelled(&buf[..end], &names);
        }
        let poll = Pin::new(&mut self.stream).poll_write(cx, &self.respelled);
        if let Poll::Ready(Ok(written)) = poll {
            self.respelled.drain(..written);
        }
        Some(poll)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Headed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(poll) = this.again.as_mut().and_then(|again| again.poll_read(buf)) {
            return poll;
        }
        if !this.head.0.expected.load(Ordering::Relaxed) {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let room = MAX_HEAD_BYTES.saturating_sub(this.head.0.read.load(Ordering::Relaxed));
        if room == 0 {
            return Poll::Ready(Err(too_much()));
        }
        let room = room.min(READ_BYTES);
        if buf.remaining() <= room {
            let before = buf.filled().len();
            let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
            this.head.look(&mut buf.filled_mut()[before..]);
            return poll;
        }
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
        if let Some(again) = &mut self.again {
            return again.write(cx, buf.len());
        }
        if let Some(poll) = self.poll_respelled(cx, buf) {
            return poll;
        }
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
        if let Some(again) = &mut self.again {
            return again.write(cx, bufs.iter().map(|buf| buf.len()).sum());
        }
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        if let Some(poll) = self.poll_respelled(cx, first) {
            return poll;
        }
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
        head.expect(&Names::default());
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
    async fn names_are_written_as_given_however_the_head_is_cut() {
        const SENT: &[u8] =
            b"POST /x-a: HTTP/1.1\r\nX-A: x-b: 1\r\nx-b: 2\r\nX-C: 3\r\n\r\nx-a: x-b:";
        let expected = String::from_utf8_lossy(SENT).replacen("X-A: x-b", "x-A: x-b", 1);
        let expected = expected.replacen("x-b: 2", "X-b: 2", 1);
        let names: Names = Arc::new(["x-a", "X-b", "x-A", "X-Longer"].map(Box::from));
        for capacity in [1, 7, 1000] {
            let head = Head::default();
            head.expect(&names);
            let (client, mut server) = tokio::io::duplex(capacity);
            let mut client = Headed::new(client, head);
            let writing = async move {
                let (head, body) = SENT.split_at(SENT.len() - 9);
                tokio::io::AsyncWriteExt::write_all(&mut client, head).await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut client, body).await.unwrap();
            };
            let mut received = String::new();
            let ((), read) = tokio::join!(writing, server.read_to_string(&mut received));
            read.unwrap();
            assert_eq!(received, expected, "{capacity}");
        }
    }

    #[test]
    fn a_response_has_up_to_64_kib_in_1000_lines_of_headers() {
        let headers = |lines: usize, bytes: usize| {
            let value = http::HeaderValue::from_str(&"v".repeat(bytes)).unwrap();
            (0..lines).map(|_| (http::header::VIA, value.clone())).collect::<HeaderMap>()
        };
        for (lines, bytes, expected) in [
            (0, 0, false),
            (1000, 62, false),
            (1001, 1, true),
            (1000, 63, true),
            (1, (64 << 10) - 3, false),
            (1, (64 << 10) - 2, true),
        ] {
            assert_eq!(is_too_much(&headers(lines, bytes)), expected, "{lines} of {bytes}");
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
        head.expect(&Names::default());
        assert!(!head.is_there());
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let mut client = Headed::new(client, head);
        for _ in 0..20 {
            tokio::io::AsyncWriteExt::write_all(&mut server, &piece).await.unwrap();
            client.read_exact(&mut vec![0; 64 << 10]).await.unwrap();
        }
    }
}
