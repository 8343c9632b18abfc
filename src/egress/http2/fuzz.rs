//! The fuzz target of what a server of HTTP/2 sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::sieve::Sieve;
use super::traffic::Traffic;
use crate::frames::{FrameHead, HEAD};

/// Bytes that arrive in pieces of a size.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = self.size.min(self.rest.len()).min(buf.remaining());
        let (piece, rest) = self.rest.split_at(size);
        buf.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// Takes out frames of DATA without bytes, and nothing else, however the frames arrive.
pub(crate) fn sieve(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let expected = kept(bytes);
    for size in [1, 1 + usize::from(*size), bytes.len().max(1)] {
        let (passed, is_all) = sifted(bytes, size);
        assert!(expected.starts_with(&passed), "pieces of {size}");
        assert!(!is_all || passed == expected, "pieces of {size} end early");
    }
}

/// Returns what passes, and whether the stream was read to its end.
fn sifted(bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
    let (traffic, mut sieve) = (Traffic::default(), Sieve::default());
    let (mut stream, mut all) = (Pieces { rest: bytes, size }, Vec::new());
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        traffic.begin_turn();
        let mut buffer = [0; 1024];
        let mut buf = ReadBuf::new(&mut buffer);
        match sieve.poll_read(&mut stream, &traffic, &mut cx, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return (all, true),
            Poll::Ready(Ok(())) => all.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => return (all, false),
            Poll::Pending => {}
        }
    }
}

/// The slow way: every frame for itself.
fn kept(mut bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while let Some(head) = bytes.first_chunk::<HEAD>() {
        let head = FrameHead::of(head);
        let (frame, rest) = bytes.split_at((HEAD + head.length).min(bytes.len()));
        if !head.is_empty_data() {
            kept.extend_from_slice(frame);
        }
        bytes = rest;
    }
    kept
}
