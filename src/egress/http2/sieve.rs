//! DATA frames without bytes are taken out of what a server sends.
//!
//! The protocol library ends a connection, with all of its streams, after a hundred of them, however
//! long the connection has lived. They are not malformed, and some servers send them.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a frame before its payload (RFC 9113, 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const END_STREAM: u8 = 1;

/// Bytes that one read takes.
const BUFFER: usize = 16 << 10;

/// The bytes read, and the position of the next frame boundary in them.
#[derive(Debug)]
pub(super) struct Sieve {
    buffer: Box<[u8]>,
    /// Bytes that are handed on.
    passed: Range<usize>,
    /// The beginning of a head whose rest was not read.
    held: Range<usize>,
    /// Bytes of the current frame that were not read.
    rest: usize,
}

impl Default for Sieve {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER].into(), passed: 0..0, held: 0..0, rest: 0 }
    }
}

impl Sieve {
    /// Reads what is not taken out. Ready without bytes at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.passed.is_empty() {
            let begin = self.held.len();
            self.buffer.copy_within(self.held.clone(), 0);
            self.held = 0..begin;
            let mut part = ReadBuf::new(&mut self.buffer[begin..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            self.sift(begin + read);
        }
        let end = self.passed.end.min(self.passed.start + buf.remaining());
        buf.put_slice(&self.buffer[self.passed.start..end]);
        self.passed.start = end;
        Poll::Ready(Ok(()))
    }

    /// Decides over the first bytes of the buffer, and closes the gaps of those that are taken out.
    fn sift(&mut self, length: usize) {
        let (mut at, mut end) = (0, 0);
        loop {
            let whole = self.rest.min(length - at);
            if at != end {
                self.buffer.copy_within(at..at + whole, end);
            }
            (at, end, self.rest) = (at + whole, end + whole, self.rest - whole);
            let Some(&[a, b, c, kind, flags, ..]) = self.buffer[at..length].first_chunk::<HEAD>()
            else {
                break;
            };
            let payload = u32::from_be_bytes([0, a, b, c]) as usize;
            if payload == 0 && kind == DATA && flags & END_STREAM == 0 {
                at += HEAD;
            } else {
                self.rest = HEAD + payload;
            }
        }
        self.passed = 0..end;
        self.held = at..length;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        [&head, payload].concat()
    }

    /// Returns the filtered form of `sent`, written and read in pieces of these sizes.
    async fn sifted(sent: &[u8], write: usize, read: usize) -> Vec<u8> {
        let (mut server, mut client) = tokio::io::duplex(write);
        let writing = async move { server.write_all(sent).await.unwrap() };
        let (mut sieve, mut all) = (Sieve::default(), Vec::new());
        let reading = async {
            loop {
                let mut bytes = vec![0; read];
                let mut buf = ReadBuf::new(&mut bytes);
                poll_fn(|cx| sieve.poll_read(&mut client, cx, &mut buf)).await.unwrap();
                if buf.filled().is_empty() {
                    break;
                }
                all.extend_from_slice(buf.filled());
            }
        };
        tokio::join!(writing, reading);
        all
    }

    #[tokio::test]
    async fn only_data_without_bytes_that_ends_nothing_is_taken_out() {
        let nothing = frame(DATA, 0, b"");
        let kept = [
            frame(4, 0, b""),
            frame(1, 4, &[0x88]),
            frame(DATA, 0, &nothing),
            frame(DATA, END_STREAM, b""),
            frame(DATA, 0, &vec![7; 40_000]),
        ];
        let sent = kept.iter().flat_map(|kept| [&nothing, &nothing, kept, &nothing]);
        let sent: Vec<u8> = sent.flatten().copied().collect();
        for (write, read) in [(1, 1), (4, 100), (9, 7), (1000, 1000), (100_000, 100_000)] {
            assert_eq!(sifted(&sent, write, read).await, kept.concat(), "{write}, {read}");
        }
    }
}
