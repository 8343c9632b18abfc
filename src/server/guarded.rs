//! A socket with deadlines: for the head of a request once it has begun, and for writes that make
//! no progress. Both cost a timer only while a client is late.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::opening::next_read;

/// The time-out of the head of a request, from its first byte on.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time-out of a client that reads nothing while bytes wait for it.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The current request of an HTTP/1.1 connection, for the deadline of heads.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestTurns(Arc<AtomicU64>);

impl RequestTurns {
    /// Notes that the head of a request is complete.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that its response is known.
    pub(super) fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count, which is odd while a request is handled.
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The deadline of the head that is being read.
#[derive(Debug, Default)]
struct HeadDeadline {
    turns: RequestTurns,
    /// The turn that `begun` belongs to.
    turn: u64,
    begun: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs until the next part is to be read.
    pause: Option<Pin<Box<Sleep>>>,
}

impl HeadDeadline {
    /// Begins anew when the turn has changed. Returns whether a head may come now.
    fn is_awaited(&mut self) -> bool {
        let turn = self.turns.count();
        if turn != self.turn {
            *self = Self { turns: self.turns.clone(), turn, ..Self::default() };
        }
        turn.is_multiple_of(2)
    }

    fn received(&mut self, bytes: usize) {
        if self.is_awaited() {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            let next = next_read(begun, bytes).filter(|next| *next > begun);
            self.pause = next.map(|next| Box::pin(sleep_until(next.min(begun + HEAD_TIMEOUT))));
        }
    }

    /// Returns whether nothing is to be read yet.
    fn is_paused(&mut self, context: &mut Context<'_>) -> bool {
        let is_paused = self.is_awaited()
            && self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(context).is_pending());
        if !is_paused {
            self.pause = None;
        }
        is_paused
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(begun) = self.begun.filter(|_| self.turns.count() == self.turn) else {
            return false;
        };
        let timer = || Box::pin(sleep_until(begun + HEAD_TIMEOUT));
        self.timer.get_or_insert_with(timer).as_mut().poll(context).is_ready()
    }
}

/// The socket, and what was read of it already.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    beginning: Bytes,
    head: Option<HeadDeadline>,
    blocked: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// Returns a socket with a deadline for the heads of requests; `turns` reports when they are
    /// complete.
    pub(super) fn with_heads(stream: S, beginning: Bytes, turns: RequestTurns) -> Self {
        let head = Some(HeadDeadline { turns, ..HeadDeadline::default() });
        Self { stream, beginning, head, blocked: None }
    }

    /// Returns a socket on which only writes have a deadline.
    pub(super) const fn new(stream: S, beginning: Bytes) -> Self {
        Self { stream, beginning, head: None, blocked: None }
    }

    /// Returns the socket itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Ends writes that made no progress for too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        let timer = || Box::pin(sleep(WRITE_TIMEOUT));
        let late = self.blocked.get_or_insert_with(timer).as_mut().poll(context).is_ready();
        if late { Poll::Ready(Err(late_error("reads nothing"))) } else { Poll::Pending }
    }
}

fn late_error(what: &str) -> Error {
    Error::new(ErrorKind::TimedOut, format!("the client {what}"))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.head.as_mut().is_some_and(|head| head.is_paused(context)) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = if this.beginning.is_empty() {
            Pin::new(&mut this.stream).poll_read(context, buffer)
        } else {
            let length = this.beginning.len().min(buffer.remaining());
            buffer.put_slice(&this.beginning.split_to(length));
            Poll::Ready(Ok(()))
        };
        let Some(head) = &mut this.head else { return read };
        if read.is_ready() {
            if buffer.filled().len() > before {
                head.received(buffer.filled().len() - before);
            }
            return read;
        }
        if head.is_awaited() && head.is_late(context) {
            return Poll::Ready(Err(late_error("did not send the head of its request")));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_head_that_begins_has_to_end() {
        let (mut client, server) = duplex(64);
        let turns = RequestTurns::default();
        let mut guarded = Guarded::with_heads(server, Bytes::from_static(b"GE"), turns.clone());
        let mut buffer = [0; 64];
        let begun = Instant::now();
        assert_eq!(guarded.read(&mut buffer).await.unwrap(), 2);
        let error = guarded.read(&mut buffer).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::TimedOut, HEAD_TIMEOUT));

        // The end of a request gives the next one its own time; while it is handled or idle there
        // is no deadline.
        turns.begin();
        let idle = tokio::time::timeout(10 * HEAD_TIMEOUT, guarded.read(&mut buffer)).await;
        assert!(idle.is_err());
        turns.end();
        let idle = tokio::time::timeout(10 * HEAD_TIMEOUT, guarded.read(&mut buffer)).await;
        assert!(idle.is_err());
        client.write_all(b"G").await.unwrap();
        assert_eq!(guarded.read(&mut buffer).await.unwrap(), 1);
        let begun = Instant::now();
        let error = guarded.read(&mut buffer).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::TimedOut, HEAD_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_small_parts_is_read_a_few_times() {
        let (mut client, server) = duplex(1024);
        let mut guarded = Guarded::with_heads(server, Bytes::new(), RequestTurns::default());
        let dripping = async {
            loop {
                client.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reading = async {
            let (mut reads, mut buffer) = (0, vec![0; 64 << 10]);
            while guarded.read(&mut buffer).await.is_ok() {
                reads += 1;
            }
            reads
        };
        let begun = Instant::now();
        tokio::select! {
            () = dripping => unreachable!(),
            reads = reading => assert!(reads <= 10, "{reads}"),
        }
        assert_eq!(begun.elapsed(), HEAD_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_progress_ends() {
        let (mut client, server) = duplex(4);
        let mut guarded = Guarded::new(server, Bytes::new());
        let begun = Instant::now();
        let slow = async {
            for _ in 0..3 {
                tokio::time::sleep(WRITE_TIMEOUT / 2).await;
                client.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(guarded.write_all(&[0; 20]), slow);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), WRITE_TIMEOUT / 2 * 3 + WRITE_TIMEOUT);
    }
}
