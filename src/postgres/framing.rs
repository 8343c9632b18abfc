//! A reader of PostgreSQL's messages that refuses oversized ones.
//!
//! The library reads whole messages of any announced length, and keeps some of them. It reads from
//! this.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The maximum size of all rows of one connection in bytes. The library buffers rows until the
/// result is complete, and the largest row that is queried is the shape of a table.
pub(crate) const MAX_ROWS: usize = 16 << 20;
/// Bytes of one message of any other kind.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of all messages that the library keeps: settings of the session, and what comes before it.
const MAX_KEPT: usize = 1 << 20;

const ROW: u8 = b'D';
const PARAMETER: u8 = b'S';
const READY: u8 = b'Z';
const KEY: u8 = b'K';

/// Bytes of a message's kind and length.
const HEAD: usize = 5;

/// Error of a server whose messages are larger than they can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server sends larger messages than PostgreSQL has for this")
    }
}

impl Error for TooLarge {}

/// The number of the process that serves a session, which the server tells when the session begins. A
/// pooler tells a number of its own.
pub type ServerProcess = Arc<OnceLock<i32>>;

/// Messages as they pass, piece by piece.
#[derive(Debug)]
pub(crate) struct Messages {
    max_rows: usize,
    head: [u8; HEAD],
    /// Bytes of `head` that are known.
    known: usize,
    /// Bytes of the message behind its head that are still to come.
    rest: usize,
    rows: usize,
    kept: usize,
    has_session: bool,
    /// The first bytes of the message that names the process.
    key: Vec<u8>,
    process: ServerProcess,
}

impl Messages {
    pub(super) fn new(max_rows: usize) -> Self {
        Self {
            max_rows,
            head: [0; HEAD],
            known: 0,
            rest: 0,
            rows: 0,
            kept: 0,
            has_session: false,
            key: Vec::new(),
            process: ServerProcess::default(),
        }
    }

    /// Follows the next bytes.
    ///
    /// # Errors
    /// [`TooLarge`], before the message has to be read.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        loop {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            let (body, others) = bytes.split_at(skipped);
            if self.head[0] == KEY && !self.has_session {
                self.read_key(body);
            }
            bytes = others;
            if bytes.is_empty() {
                return Ok(());
            }
            let taken = (HEAD - self.known).min(bytes.len());
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEAD {
                self.known = 0;
                self.admit()?;
            }
        }
    }

    /// Reads the process from a piece of the message that names it.
    fn read_key(&mut self, piece: &[u8]) {
        let missing = size_of::<i32>() - self.key.len();
        self.key.extend(&piece[..missing.min(piece.len())]);
        if let Some(number) = self.key.first_chunk() {
            let _ = self.process.set(i32::from_be_bytes(*number));
        }
    }

    /// Decides over a message whose head is known.
    fn admit(&mut self) -> Result<(), TooLarge> {
        let [kind, length @ ..] = self.head;
        let length = u32::from_be_bytes(length) as usize;
        if kind == ROW {
            self.rows = self.rows.saturating_add(length);
        } else if length > MAX_MESSAGE {
            return Err(TooLarge);
        }
        if kind == PARAMETER || !self.has_session {
            self.kept = self.kept.saturating_add(length);
        }
        if self.rows > self.max_rows || self.kept > MAX_KEPT {
            return Err(TooLarge);
        }
        self.has_session |= kind == READY;
        // The length counts itself.
        self.rest = length.saturating_sub(HEAD - 1);
        Ok(())
    }
}

/// A connection whose messages are followed.
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    messages: Messages,
    /// True if the next byte is the response to the request for encryption, which is not a message.
    before_answer: bool,
    /// True if what passes is encrypted.
    is_encrypted: bool,
}

impl<S> Framed<S> {
    /// Returns a connection that begins with messages, or with the response to a request for
    /// encryption.
    pub(crate) fn new(stream: S, asks_for_encryption: bool) -> Self {
        let messages = Messages::new(MAX_ROWS);
        Self { stream, messages, before_answer: asks_for_encryption, is_encrypted: false }
    }

    /// Returns the connection with another limit on the bytes of all rows.
    pub(crate) const fn with_max_rows(mut self, max_rows: usize) -> Self {
        self.messages.max_rows = max_rows;
        self
    }

    /// Returns the connection that notes the server's process there.
    pub(crate) fn with_process(mut self, process: ServerProcess) -> Self {
        self.messages.process = process;
        self
    }

    /// Returns the place of the server's process.
    pub(crate) fn process(&self) -> ServerProcess {
        Arc::clone(&self.messages.process)
    }

    /// Returns the limit on the bytes of all rows.
    pub(crate) const fn max_rows(&self) -> usize {
        self.messages.max_rows
    }

    /// Returns the connection below, to look at.
    pub(crate) const fn as_inner(&self) -> &S {
        &self.stream
    }

    /// Returns the connection below.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        if self.before_answer
            && let Some((answer, rest)) = bytes.split_first()
        {
            self.before_answer = false;
            self.is_encrypted = *answer == b'S';
            bytes = rest;
        }
        if self.is_encrypted { Ok(()) } else { self.messages.pass(bytes) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match self.pass(&buf.filled()[before..]) {
            Ok(()) => read,
            Err(error) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(length + 4).unwrap().to_be_bytes());
        bytes.resize(HEAD + length, b'x');
        bytes
    }

    fn passed(messages: &[Vec<u8>], piece: usize) -> Result<(), TooLarge> {
        let mut passing = Messages::new(MAX_ROWS);
        messages.concat().chunks(piece).try_for_each(|bytes| passing.pass(bytes))
    }

    #[test]
    fn messages_of_a_session_pass_in_pieces_of_any_size() {
        let session = [
            message(b'R', 4),
            message(PARAMETER, 30),
            message(READY, 1),
            message(b'T', 0),
            message(ROW, 2 << 20),
            message(b'E', 1000),
        ];
        for piece in [1, 3, 5, 7, 4096] {
            assert_eq!(passed(&session, piece), Ok(()), "{piece}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_at_its_head() {
        for (kind, length) in
            [(b'E', MAX_MESSAGE), (b'R', 1 << 31), (ROW, MAX_ROWS), (b'?', 2 << 20)]
        {
            let mut head = vec![kind];
            head.extend(u32::try_from(length + 4).unwrap().to_be_bytes());
            assert_eq!(Messages::new(MAX_ROWS).pass(&head), Err(TooLarge), "{kind}");
        }
    }

    #[test]
    fn what_the_library_keeps_is_bounded_in_all() {
        let notice = || message(b'N', 100 << 10);
        assert_eq!(passed(&vec![notice(); 20], 4096), Err(TooLarge));
        let notices = [vec![message(READY, 1)], vec![notice(); 20]].concat();
        assert_eq!(passed(&notices, 4096), Ok(()));
        let settings = [vec![message(READY, 1)], vec![message(PARAMETER, 9000); 200]].concat();
        assert_eq!(passed(&settings, 4096), Err(TooLarge));
        let rows = vec![message(ROW, 1 << 20); 17];
        assert_eq!(passed(&rows, 4096), Err(TooLarge));
    }

    #[test]
    fn the_process_of_the_server_is_read_from_pieces_of_any_size() {
        let key = [&message(KEY, 0)[..1], &12_u32.to_be_bytes(), &7711_i32.to_be_bytes(), b"cret"];
        let session = [message(b'R', 4), key.concat(), message(READY, 1)].concat();
        for piece in [1, 2, 3, 6, 7, 4096] {
            let mut passing = Messages::new(MAX_ROWS);
            session.chunks(piece).try_for_each(|bytes| passing.pass(bytes)).unwrap();
            assert_eq!(passing.process.get(), Some(&7711), "{piece}");
        }
        for cut in [message(KEY, 3), [message(READY, 1), message(KEY, 8)].concat()] {
            let mut passing = Messages::new(MAX_ROWS);
            passing.pass(&cut).unwrap();
            assert_eq!(passing.process.get(), None);
        }
    }

    #[test]
    fn only_what_is_not_encrypted_is_followed() {
        let mut plain = Framed::new((), true);
        assert_eq!(plain.pass(b"N"), Ok(()));
        assert_eq!(plain.pass(b"E\xff\xff\xff\xff"), Err(TooLarge));
        let mut encrypted = Framed::new((), true);
        assert_eq!(encrypted.pass(b"S"), Ok(()));
        assert_eq!(encrypted.pass(b"E\xff\xff\xff\xff"), Ok(()));
        let mut never = Framed::new((), false);
        assert_eq!(never.pass(b"E\xff\xff\xff\xff"), Err(TooLarge));
    }
}
