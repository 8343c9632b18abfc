//! Reading a response: how much of it is read, and how much of that is kept.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};

use super::exchange::Hop;
use crate::observability::log::LoggedBody;

/// A response up to where it was read.
#[derive(Debug)]
pub(super) struct Received {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    /// Redirects that led here.
    pub hops: Vec<Hop>,
    /// From the beginning of the delivery to the response's headers.
    pub first_byte: Duration,
    pub body: Capture,
}

/// The beginning of a body, and how long it was.
#[derive(Debug)]
pub(super) struct Capture {
    kept: Vec<u8>,
    keep: usize,
    total: u64,
    limit: u64,
    ended: bool,
}

/// Whether to read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    More,
    Enough,
}

impl Capture {
    /// Reads up to `limit` bytes and keeps up to `keep`.
    pub(super) fn new(keep: usize, limit: usize) -> Self {
        Self { kept: Vec::new(), keep, total: 0, limit: limit as u64, ended: false }
    }

    /// Takes the next bytes, after decompression.
    pub(super) fn push(&mut self, chunk: &Bytes) -> Appetite {
        let room = self.keep.saturating_sub(self.kept.len()).min(chunk.len());
        self.kept.extend_from_slice(&chunk[..room]);
        self.total += chunk.len() as u64;
        if self.total > self.limit { Appetite::Enough } else { Appetite::More }
    }

    /// Notes that the body is over.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    /// What the log keeps.
    pub(super) fn into_log(self) -> LoggedBody {
        let complete = self.ended && self.total == self.kept.len() as u64;
        LoggedBody::partial(self.kept.into_boxed_slice().into(), self.total, complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_past_the_limit_and_keeping_before_it() {
        let mut capture = Capture::new(4, 10);
        assert_eq!(capture.push(&Bytes::from_static(b"abcdef")), Appetite::More);
        assert_eq!(capture.push(&Bytes::from_static(b"ghij")), Appetite::More);
        assert_eq!(capture.push(&Bytes::from_static(b"k")), Appetite::Enough);
        assert_eq!(capture.kept, b"abcd");
        assert_eq!(capture.total, 11);
        assert_eq!(capture.into_log().kept(), 4);
    }
}
