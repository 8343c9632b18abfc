//! What a server sends, before the protocol library reads it: DATA frames without bytes are taken out,
//! and a server that sends more than its requests have room for has its connection ended.
//!
//! The library ends a connection, with all of its streams, after a hundred DATA frames without bytes,
//! however long the connection has lived. They are not malformed, and some servers send them. It reads
//! other frames that move nothing as fast as they come, for as long as they come.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};

use super::traffic::{LEAST_CHUNK, Traffic, counted};
use crate::frames::{Allowance, DATA, FrameHead, HEAD, HEADERS};

/// Frames that move nothing and may come at once.
const FRAMES: u32 = 4096;

/// Those that may come each second.
const FRAMES_PER_SECOND: u32 = 50;

/// Frames that HEADERS count as: they are decoded, and those of an interim response are kept.
const FRAMES_OF_HEADERS: u32 = 8;

/// DATA frames without bytes that may come at once, and each second: to take one out costs little.
const EMPTY_DATA: u32 = 1 << 16;
const EMPTY_DATA_PER_SECOND: u32 = 1000;

/// Bytes that one read takes: of the smallest frames, as many as are read before others have a turn.
const BUFFER: usize = 4 << 10;

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
    allowance: Allowance,
    empty_data: Allowance,
    /// Frames that the allowance had from requests.
    earned: u64,
    /// Bytes of DATA.
    received: u64,
}

impl Default for Sieve {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            buffer: vec![0; BUFFER].into(),
            passed: 0..0,
            held: 0..0,
            rest: 0,
            allowance: Allowance::new(FRAMES, FRAMES_PER_SECOND, now),
            empty_data: Allowance::new(EMPTY_DATA, EMPTY_DATA_PER_SECOND, now),
            earned: 0,
            received: 0,
        }
    }
}

impl Sieve {
    /// Reads what is not taken out. Ready without bytes at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        traffic: &Traffic,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.passed.is_empty() {
            if traffic.is_turn_over() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let begin = self.held.len();
            self.buffer.copy_within(self.held.clone(), 0);
            self.held = 0..begin;
            let mut part = ReadBuf::new(&mut self.buffer[begin..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            traffic.work(read);
            if !self.sift(begin + read, traffic) {
                return Poll::Ready(Err(traffic.flooded()));
            }
        }
        let end = self.passed.end.min(self.passed.start + buf.remaining());
        buf.put_slice(&self.buffer[self.passed.start..end]);
        self.passed.start = end;
        Poll::Ready(Ok(()))
    }

    /// Decides over the first bytes of the buffer, and closes the gaps of those that are taken out.
    /// Returns whether the server may have sent all of it.
    fn sift(&mut self, length: usize, traffic: &Traffic) -> bool {
        let (mut at, mut end) = (0, 0);
        loop {
            let whole = self.rest.min(length - at);
            if at != end {
                self.buffer.copy_within(at..at + whole, end);
            }
            (at, end, self.rest) = (at + whole, end + whole, self.rest - whole);
            let Some(head) = self.buffer[at..length].first_chunk::<HEAD>() else { break };
            let head = FrameHead::of(head);
            traffic.work(LEAST_CHUNK);
            if !self.permits(head, traffic) {
                return false;
            }
            if head.is_empty_data() {
                at += HEAD;
            } else {
                self.rest = HEAD + head.length;
            }
        }
        self.passed = 0..end;
        self.held = at..length;
        true
    }

    fn permits(&mut self, head: FrameHead, traffic: &Traffic) -> bool {
        if head.kind == DATA && head.length > 0 {
            self.received += counted(head.length);
            return traffic.permits(self.received);
        }
        if head.is_empty_data() {
            return self.empty_data.spend(1, Instant::now);
        }
        let cost = head.cost() + if head.kind == HEADERS { FRAMES_OF_HEADERS - 1 } else { 0 };
        if self.allowance.spend(cost, Instant::now) {
            return true;
        }
        let earned = traffic.earned_frames();
        self.allowance.earn(earned - std::mem::replace(&mut self.earned, earned));
        self.allowance.spend(cost, Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const END_STREAM: u8 = 1;
    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        [&head, payload].concat()
    }

    /// Returns the filtered form of `sent`, written and read in pieces of these sizes.
    async fn sifted(sent: &[u8], write: usize, read: usize) -> Vec<u8> {
        let (mut server, mut client) = tokio::io::duplex(write);
        let writing = async move { server.write_all(sent).await.unwrap() };
        let (mut sieve, mut all, traffic) = (Sieve::default(), Vec::new(), Traffic::default());
        let reading = async {
            loop {
                let mut bytes = vec![0; read];
                let mut buf = ReadBuf::new(&mut bytes);
                let read = poll_fn(|cx| {
                    traffic.begin_turn();
                    sieve.poll_read(&mut client, &traffic, cx, &mut buf)
                });
                read.await.unwrap();
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

    /// Returns the number of bytes that are read of `sent`, and whether all of it is.
    async fn read(sent: &[u8], traffic: &Traffic) -> (usize, bool) {
        let (mut sieve, mut from) = (Sieve::default(), sent);
        let mut bytes = vec![0; BUFFER];
        let mut length = 0;
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            let read = poll_fn(|cx| {
                traffic.begin_turn();
                sieve.poll_read(&mut from, traffic, cx, &mut buf)
            });
            let read = read.await;
            match (read, buf.filled().len()) {
                (Err(error), _) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
                    assert!(traffic.is_flooded());
                    return (length, false);
                }
                (Ok(()), 0) => return (length, true),
                (Ok(()), read) => length += read,
            }
        }
    }

    #[tokio::test]
    async fn frames_that_move_nothing_are_read_to_a_limit() {
        let ping = frame(PING, 0, &[0; 8]);
        for (one, most) in [
            (ping.clone(), FRAMES),
            (frame(DATA, 0, b""), EMPTY_DATA),
            (frame(DATA, END_STREAM, b""), FRAMES),
            (frame(0x99, 0, b""), FRAMES),
            (frame(4, 1, b""), FRAMES),
            (frame(HEADERS, 4, &[0x88]), FRAMES / FRAMES_OF_HEADERS),
        ] {
            let traffic = Traffic::default();
            let some = one.repeat(most as usize);
            assert!(read(&some, &traffic).await.1);
            let (length, is_all) = read(&some.repeat(10), &traffic).await;
            assert!(!is_all && length <= some.len() + BUFFER, "{length}");
        }
        // Each request permits some more.
        let traffic = Traffic::default();
        (0..1000).for_each(|_| traffic.request());
        assert!(read(&ping.repeat(2 * FRAMES as usize), &traffic).await.1);
    }

    #[tokio::test]
    async fn data_is_read_as_far_as_requests_have_room_for_it() {
        let one = frame(DATA, 0, &vec![7; 16_384]);
        let window = one.repeat(64);
        let traffic = Traffic::default();
        assert!(read(&window.repeat(4), &traffic).await.1);
        assert!(!read(&window.repeat(5), &traffic).await.1);
        let traffic = Traffic::default();
        (0..4).for_each(|_| traffic.request());
        assert!(read(&window.repeat(8), &traffic).await.1);
        traffic.consume(1 << 20);
        assert!(read(&window.repeat(9), &traffic).await.1);
        // Bytes in small frames cost more.
        let traffic = Traffic::default();
        assert!(!read(&frame(DATA, 0, b"x").repeat(100_000), &traffic).await.1);
    }

    #[tokio::test]
    async fn others_have_a_turn_while_a_server_sends() {
        for (one, expected) in
            [(frame(DATA, 0, &vec![7; 16_384]), 16), (frame(PING, 0, &[0; 8]), 1)]
        {
            let traffic = Traffic::default();
            let sent = one.repeat((1 << 20) / one.len());
            let (mut sieve, mut from) = (Sieve::default(), &sent[..]);
            let mut bytes = vec![0; BUFFER];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let mut turn = || {
                traffic.begin_turn();
                let mut reads = 0;
                let mut buf = ReadBuf::new(&mut bytes);
                while sieve.poll_read(&mut from, &traffic, &mut cx, &mut buf).is_ready() {
                    reads += 1;
                    buf.clear();
                }
                reads
            };
            assert_eq!([turn(), turn()], [expected; 2]);
        }
    }
}
