//! A socket that speaks HTTP/2, and ends when its client sends frames that move nothing, or resets
//! most of its requests.
//!
//! Each request permits some frames, and so do the bytes that the client receives: its flow control is
//! never a flood.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::frames::{Allowance, DATA, FrameHead, FrameScanner, HEADERS, RST_STREAM};

/// Frames that may come at once, those that may come each second, and those for each request.
const FRAMES: u32 = 4096;
const FRAMES_PER_SECOND: u32 = 100;
const FRAMES_OF_REQUEST: u64 = 8;
/// Bytes that the client receives for which it may send a frame.
const SENT_FOR_FRAME: u64 = 64;

/// Requests that may be reset at once, and each second. Of others, the half may be.
const RESETS: u32 = 1000;
const RESETS_PER_SECOND: u32 = 100;
const REQUESTS_OF_RESET: u64 = 2;

/// The frames of a client.
#[derive(Debug)]
struct FrameMeter {
    frames: Allowance,
    resets: Allowance,
    requests: u64,
    /// Bytes that were sent since frames were earned with them.
    sent: u64,
}

impl FrameMeter {
    fn new(now: Instant) -> Self {
        Self {
            frames: Allowance::new(FRAMES, FRAMES_PER_SECOND, now),
            resets: Allowance::new(RESETS, RESETS_PER_SECOND, now),
            requests: 0,
            sent: 0,
        }
    }

    fn permits(&mut self, head: FrameHead) -> bool {
        match head.kind {
            HEADERS => {
                self.requests += 1;
                self.frames.earn(FRAMES_OF_REQUEST);
                if self.requests.is_multiple_of(REQUESTS_OF_RESET) {
                    self.resets.earn(1);
                }
                true
            }
            // Flow control bounds its bytes, and the protocol library its frames.
            DATA if head.length > 0 => true,
            RST_STREAM => self.resets.spend(1, Instant::now),
            _ => {
                self.frames.earn(self.sent / SENT_FOR_FRAME);
                self.sent %= SENT_FOR_FRAME;
                self.frames.spend(head.cost(), Instant::now)
            }
        }
    }
}

/// The socket of a connection, after its preface.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    scanner: FrameScanner,
    meter: FrameMeter,
    /// Bytes of the preface that are to be read.
    preface: usize,
}

impl<S> Metered<S> {
    /// Returns a socket whose first bytes are a preface of this length.
    pub(super) fn new(stream: S, preface: usize) -> Self {
        let meter = FrameMeter::new(Instant::now());
        Self { stream, scanner: FrameScanner::default(), meter, preface }
    }

    fn check(&mut self, read: &[u8]) -> Result<()> {
        let Self { scanner, meter, preface, .. } = self;
        let skipped = read.len().min(*preface);
        *preface -= skipped;
        scanner.scan(&read[skipped..], |head| {
            let flood = || Error::new(ErrorKind::InvalidData, "the client floods its connection");
            meter.permits(head).then_some(()).ok_or_else(flood)
        })
    }

    fn sent(&mut self, written: &Poll<Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.meter.sent += *bytes as u64;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(())))
            && let Err(flood) = self.check(&buffer.filled()[before..])
        {
            // An error comes without bytes.
            buffer.set_filled(before);
            return Poll::Ready(Err(flood));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.sent(&written);
        written
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
    use super::*;

    fn head(kind: u8, length: u8) -> FrameHead {
        FrameHead::of(&[0, 0, length, kind, 0, 0, 0, 0, 1])
    }

    /// Returns the number of frames that a client may send, up to a hundred thousand.
    fn permitted(mut meter: FrameMeter, frames: &[FrameHead]) -> usize {
        let all = frames.iter().cycle().take(100_000);
        all.take_while(|head| meter.permits(**head)).count()
    }

    #[test]
    fn frames_that_move_nothing_and_resets_are_read_to_a_limit() {
        let meter = || FrameMeter::new(Instant::now());
        for kind in [0, 2, 4, 6, 7, 8, 9, 0x99] {
            let permitted = permitted(meter(), &[head(kind, 0)]);
            assert!((4096..5000).contains(&permitted), "{kind}: {permitted}");
        }
        let rapid = [head(HEADERS, 9), head(RST_STREAM, 4)];
        let permitted = permitted(meter(), &rapid);
        assert!((2000..5000).contains(&permitted), "{permitted}");
    }

    #[test]
    fn a_client_that_uses_its_connection_is_not_limited() {
        let meter = || FrameMeter::new(Instant::now());
        let [request, reset, update] = [head(HEADERS, 9), head(RST_STREAM, 4), head(8, 4)];
        for used in [
            vec![request],
            vec![request, request, reset],
            vec![request, update, update, head(2, 5), head(6, 8)],
            vec![head(DATA, 100)],
        ] {
            assert_eq!(permitted(meter(), &used), 100_000, "{used:?}");
        }
        let mut reader = meter();
        let mut updates = 0;
        while updates < 100_000 && reader.permits(update) {
            reader.sent += 64;
            updates += 1;
        }
        assert_eq!(updates, 100_000);
    }

    #[tokio::test]
    async fn a_flood_is_an_error_of_the_socket() {
        use tokio::io::AsyncReadExt;

        let flood = [&b"preface"[..], &[0, 0, 0, 6, 0, 0, 0, 0, 0].repeat(10_000)].concat();
        let mut read = Vec::new();
        let mut socket = Metered::new(&flood[..], 7);
        let error = socket.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
