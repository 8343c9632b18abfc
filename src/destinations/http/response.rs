//! Reading a response: how much of it is read, and how much of that is kept.
//!
//! **Invariant:** nothing that a body does changes the verdict on its status. A body that breaks off
//! or cannot be decoded leaves a warning, and what was read of it.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use tokio::task::coop;

use super::charset;
use super::decode::Decoder;
use super::exchange::Hop;
use super::transport::IncomingBody;
use crate::egress::ResponseOrigin;
use crate::execution::LoggedBody;

/// A response up to where it was read.
#[derive(Debug)]
pub(super) struct Received {
    pub status: StatusCode,
    /// The reason phrase as the server wrote it; HTTP/2 has none.
    pub reason: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub answerer: ResponseOrigin,
    /// Redirects that led here.
    pub hops: Vec<Hop>,
    /// From the beginning of the delivery to the response's headers.
    pub first_byte: Duration,
    pub body: Capture,
}

#[cfg(test)]
impl Received {
    /// Returns a response without a body.
    pub(super) fn of(
        status: StatusCode,
        reason: &str,
        headers: HeaderMap,
        answerer: ResponseOrigin,
    ) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            version: Version::HTTP_11,
            body: Capture::new(&headers, 0, 0),
            headers,
            answerer,
            hops: Vec::new(),
            first_byte: Duration::ZERO,
        }
    }
}

/// Reads a body up to the limit of its capture, and gives the thread back often enough that no body
/// keeps it from others, or from its own deadline.
pub(super) async fn read(body: &mut IncomingBody, capture: &mut Capture) {
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => {
                if capture.push(&chunk) == ReadMore::Stop {
                    return;
                }
            }
            Ok(None) => return capture.end(),
            Err(error) => return capture.broke(error.as_ref()),
        }
        coop::consume_budget().await;
    }
}

/// The beginning of a body, and how long it was.
#[derive(Debug)]
pub(super) struct Capture {
    decoder: Decoder,
    decoded: Decoded,
    /// The beginning of a coded body before any of it was decoded.
    raw: Vec<u8>,
    wire: ReceivedBytes,
    ended: bool,
    /// The reason why the body is not complete.
    trouble: Option<String>,
}

/// The output of the decoder.
#[derive(Debug)]
struct Decoded {
    kept: Vec<u8>,
    keep: usize,
    total: u64,
    limit: u64,
}

/// The bytes from the network.
#[derive(Debug, Default)]
struct ReceivedBytes {
    bytes: u64,
    chunks: u64,
}

/// Coded data may be that much longer than what it decodes to: headers, stored blocks, trailers.
const CODING_OVERHEAD: u64 = 64 << 10;

/// Bytes of a chunk, on average, below which a body is not read to its limit.
const LEAST_CHUNK: u64 = 16;

/// Chunks that any body may consist of.
const FREE_CHUNKS: u64 = 1024;

/// The decision whether to read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadMore {
    Continue,
    Stop,
}

impl Decoded {
    fn push(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let room = self.keep.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.total += bytes.len() as u64;
        if self.total > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Capture {
    /// Reads up to `limit` bytes, before and after decoding, and keeps up to `keep` of the decoded.
    pub(super) fn new(headers: &HeaderMap, keep: usize, limit: usize) -> Self {
        Self {
            decoder: Decoder::of(headers),
            decoded: Decoded { kept: Vec::new(), keep, total: 0, limit: limit as u64 },
            raw: Vec::new(),
            wire: ReceivedBytes::default(),
            ended: false,
            trouble: None,
        }
    }

    /// Takes the next bytes as they came from the network.
    pub(super) fn push(&mut self, chunk: &Bytes) -> ReadMore {
        self.wire.bytes += chunk.len() as u64;
        self.wire.chunks += 1;
        let flow = self.decode(chunk);
        let limit = self.decoded.limit;
        let exhausted = self.wire.bytes > limit + CODING_OVERHEAD
            || self.wire.chunks > FREE_CHUNKS + limit / LEAST_CHUNK;
        if flow.is_break() || exhausted { ReadMore::Stop } else { ReadMore::Continue }
    }

    fn decode(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        let Self { decoder, decoded, raw, .. } = self;
        if decoder.is_identity() {
            return decoded.push(chunk);
        }
        if decoded.total == 0 {
            let room = decoded.keep.saturating_sub(raw.len()).min(chunk.len());
            raw.extend_from_slice(&chunk[..room]);
        }
        match decoder.push(chunk, &mut |bytes| decoded.push(bytes)) {
            Ok(flow) => {
                if decoded.total > 0 {
                    *raw = Vec::new();
                }
                flow
            }
            Err(fault) => {
                self.undecodable(&fault.to_string());
                ControlFlow::Break(())
            }
        }
    }

    /// Notes that the body is over.
    pub(super) fn end(&mut self) {
        self.ended = true;
        if let Err(fault) = self.decoder.finish() {
            self.undecodable(&fault.to_string());
        }
    }

    /// Notes that the connection failed before the body was over.
    pub(super) fn broke(&mut self, error: &(dyn std::error::Error + 'static)) {
        let reason = super::classify::broken_body(error);
        self.trouble = Some(format!("{reason}: the log has what was read before"));
    }

    fn undecodable(&mut self, fault: &str) {
        self.ended = false;
        let has = if self.decoded.total == 0 && !self.raw.is_empty() {
            self.decoded.total = self.wire.bytes;
            self.decoded.kept = std::mem::take(&mut self.raw);
            "the body as it was received"
        } else {
            "what was decoded before"
        };
        let message =
            format!("the response's body could not be decoded: {fault}; the log has {has}");
        self.trouble = Some(message);
    }

    /// Sentences for the log about a body that is not whole or not decoded.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let unknown = self.decoder.unknown().filter(|_| self.wire.bytes > 0).map(|name| {
            format!("the content coding {name:?} is not known: the log has the body as received")
        });
        self.trouble.clone().into_iter().chain(unknown)
    }

    /// Returns the body for the log.
    pub(super) fn into_log(self, headers: &HeaderMap) -> LoggedBody {
        let Decoded { kept, total, .. } = self.decoded;
        let complete = self.ended && total == kept.len() as u64;
        LoggedBody::partial(charset::to_utf8(kept, headers, complete), total, complete)
    }
}

#[cfg(test)]
mod tests;
