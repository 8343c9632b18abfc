//! A stream that counts what is read from it and written to it, and what a server may send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::explain::TooManyFrames;
use super::super::stream::Stream;
use super::shared::STREAM_WINDOW;
use super::sieve::Sieve;

/// Bytes that count for a frame or a chunk of a body at least: each costs some work.
pub(super) const LEAST_CHUNK: usize = 256;

/// Frames that a server may send for each request, DATA aside.
const FRAMES_OF_REQUEST: u64 = 256;

/// Bytes that this side sends for which the server may send a frame: of flow control, as a rule.
const SENT_FOR_FRAME: u64 = 64;

/// Bytes of DATA that a server may send beyond what flow control lets it.
const SLACK: u64 = 4 << 20;

/// Bytes that the protocol library reads before other tasks have a turn.
const TURN: usize = 64 << 10;

/// Counts of a connection's reads and writes. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<TrafficCounters>);

#[derive(Debug, Default)]
struct TrafficCounters {
    reads: AtomicU64,
    writes: AtomicU64,
    sent: AtomicU64,
    requests: AtomicU64,
    consumed: AtomicU64,
    turn: AtomicUsize,
    is_flooded: AtomicBool,
}

impl Traffic {
    pub(super) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    pub(super) fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// Notes that a request is sent.
    pub(super) fn request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a chunk of a body was handed on.
    pub(super) fn consume(&self, bytes: usize) {
        self.0.consumed.fetch_add(counted(bytes), Ordering::Relaxed);
    }

    /// Returns the number of frames that the server may have sent, DATA aside.
    pub(super) fn earned_frames(&self) -> u64 {
        let (requests, sent) = (&self.0.requests, &self.0.sent);
        requests.load(Ordering::Relaxed) * FRAMES_OF_REQUEST
            + sent.load(Ordering::Relaxed) / SENT_FOR_FRAME
    }

    /// Returns whether a server may have sent so many bytes of DATA: what the bodies of all requests
    /// have room for. The protocol library drops the DATA of streams that are over, without a limit.
    /// Padding counts as sent, and is never handed on.
    pub(super) fn permits(&self, received: u64) -> bool {
        let requests = self.0.requests.load(Ordering::Relaxed);
        let consumed = self.0.consumed.load(Ordering::Relaxed);
        received <= SLACK + requests * u64::from(STREAM_WINDOW) + 2 * consumed
    }

    /// Begins a turn of the connection's task.
    pub(super) fn begin_turn(&self) {
        self.0.turn.store(0, Ordering::Relaxed);
    }

    /// Returns whether the task should let others have a turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.0.turn.load(Ordering::Relaxed) >= TURN
    }

    /// Notes work of this turn, in bytes.
    pub(super) fn work(&self, bytes: usize) {
        self.0.turn.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that the server sends frames that move nothing, and returns the error of that.
    pub(super) fn flooded(&self) -> io::Error {
        self.0.is_flooded.store(true, Ordering::Release);
        too_many_frames()
    }

    /// Returns whether the connection was ended for such frames.
    pub(super) fn is_flooded(&self) -> bool {
        self.0.is_flooded.load(Ordering::Acquire)
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes @ 1..)) = result {
            self.0.writes.fetch_add(1, Ordering::Relaxed);
            self.0.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

/// Returns the bytes that a chunk counts for.
pub(super) fn counted(bytes: usize) -> u64 {
    bytes.max(LEAST_CHUNK) as u64
}

/// Returns the error of a server that floods its connection.
pub(super) fn too_many_frames() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TooManyFrames)
}

/// A stream that is counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) stream: Stream,
    pub(super) sieve: Sieve,
    pub(super) traffic: Traffic,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, sieve, traffic } = &mut *self;
        let before = buf.filled().len();
        let poll = sieve.poll_read(stream, traffic, cx, buf);
        if buf.filled().len() > before {
            self.traffic.0.reads.fetch_add(1, Ordering::Relaxed);
        }
        poll
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.traffic.wrote(&poll);
        poll
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
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.traffic.wrote(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
