//! The beginning of a connection: which protocol it speaks, and the head of its first request.
//!
//! A head is read as a whole before the HTTP library has the connection, so that a client that sends
//! it byte by byte, or never, costs a buffer of its size and no more.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use axum::http::Version;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::guarded::HEAD_TIMEOUT;

/// Bytes that the head of a request may have.
pub(super) const MAX_HEAD: usize = 32 << 10;
/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that one read takes at least.
const READ: usize = 2 << 10;
/// A part of a head with fewer bytes is a small one: less than a packet.
const SMALL: usize = 512;

/// Returns the time before which the next part of a head is not read, after a part of `read` bytes;
/// `None`: as soon as it comes.
///
/// A head that comes in small parts takes three times as long, at most, and is read a few times, not
/// once for each part.
pub(super) fn next_read(begun: Instant, read: usize) -> Option<Instant> {
    let now = Instant::now();
    (read < SMALL).then(|| now + 2 * now.duration_since(begun))
}

/// Reads until the protocol is known, and with HTTP/1 the head of the first request. Returns the
/// version, and what was read.
pub(super) async fn beginning(
    stream: &mut (impl AsyncRead + Unpin),
    keep_alive: Duration,
) -> Result<(Version, Bytes)> {
    // While a client is silent there is no buffer.
    let mut first = [0; 1];
    timely(keep_alive, stream.read_exact(&mut first)).await?;
    let begun = Instant::now();
    let deadline = begun + HEAD_TIMEOUT;
    let mut bytes = BytesMut::with_capacity(READ);
    bytes.extend_from_slice(&first);
    loop {
        let before = bytes.len();
        bytes.reserve(READ);
        let left = deadline.saturating_duration_since(Instant::now());
        if timely(left, stream.read_buf(&mut bytes)).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(version) = version_of(&bytes, before) {
            return Ok((version, bytes.freeze()));
        }
        if let Some(next) = next_read(begun, bytes.len() - before) {
            tokio::time::sleep_until(next.min(deadline)).await;
        }
    }
}

/// Returns the version once no more has to be read to begin. The first `seen` bytes were looked at
/// before.
fn version_of(bytes: &[u8], seen: usize) -> Option<Version> {
    let length = bytes.len().min(PREFACE.len());
    if bytes[..length] == PREFACE[..length] {
        return (length == PREFACE.len()).then_some(Version::HTTP_2);
    }
    let begins = bytes[0].is_ascii_alphabetic() || matches!(bytes[0], b'\r' | b'\n');
    let is_done = !begins || bytes.len() >= MAX_HEAD || has_end(&bytes[seen.saturating_sub(3)..]);
    is_done.then_some(Version::HTTP_11)
}

/// Returns whether an empty line is in it: the end of a head.
fn has_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| {
        let rest = &bytes[at + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

async fn timely<T>(limit: Duration, what: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::from(ErrorKind::TimedOut));
    tokio::time::timeout(limit, what).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(75);

    /// Returns the beginning of a connection whose client writes these parts, one each second.
    async fn begun(parts: &[&[u8]]) -> Result<(Version, Bytes)> {
        let (mut client, mut server) = duplex(64 << 10);
        let writing = async {
            for part in parts {
                client.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // It stays open.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            begun = beginning(&mut server, KEEP_ALIVE) => begun,
            () = writing => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_read_as_a_whole() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for parts in [
            vec![&head[..]],
            vec![&head[..1], &head[1..]],
            vec![&head[..20], &head[20..head.len() - 1], &head[head.len() - 1..]],
            vec![b"GET / HTTP/1.1\nHost: a\n", b"\n"],
            vec![b"PRI /x HTTP/1.1\r\n", b"\r\n"],
        ] {
            assert_eq!(begun(&parts).await.unwrap(), (Version::HTTP_11, parts.concat().into()));
        }
        let preface = [&PREFACE[..3], &PREFACE[3..], b"more"];
        let (version, read) = begun(&preface).await.unwrap();
        assert_eq!((version, &read[..]), (Version::HTTP_2, PREFACE));
        // The HTTP library refuses these at once.
        for odd in [&b"\x16\x03\x01\x02\x00"[..], &vec![b'a'; MAX_HEAD]] {
            assert_eq!(begun(&[odd]).await.unwrap().0, Version::HTTP_11);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_beginning_without_an_end_has_a_deadline() {
        let start = Instant::now();
        assert_eq!(begun(&[]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), KEEP_ALIVE);
        for parts in [vec![&b"GET / HT"[..]], vec![b"PRI * HT"], vec![&b"G"[..]; 100]] {
            let start = Instant::now();
            assert_eq!(begun(&parts).await.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(start.elapsed(), HEAD_TIMEOUT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_small_parts_is_read_a_few_times() {
        let begun = Instant::now();
        let mut reads = 0;
        while begun.elapsed() < HEAD_TIMEOUT {
            reads += 1;
            // One more byte comes each second.
            tokio::time::sleep(Duration::from_secs(1)).await;
            tokio::time::sleep_until(next_read(begun, 1).unwrap()).await;
        }
        assert!(reads <= 3, "{reads}");
        assert_eq!(next_read(begun, SMALL), None);
    }
}
