//! The heads of HTTP/2 frames, and how many frames a peer may send that move nothing.
//!
//! The protocol library answers or drops PING, SETTINGS, `WINDOW_UPDATE`, PRIORITY and unknown frames
//! as fast as they come, without an end. The client and the server count them here, each with
//! allowances of its own.

use std::time::Instant;

/// Bytes of a frame before its payload (RFC 9113, section 4.1).
pub const HEAD: usize = 9;

/// Kinds of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
/// Begins a request or a response, or ends it with trailers.
pub const HEADERS: u8 = 1;
/// Ends a stream without its response.
pub const RST_STREAM: u8 = 3;

/// The flag of DATA that ends a stream.
const END_STREAM: u8 = 1;

/// Bytes of a frame other than DATA that count as another frame.
const BYTES_OF_ONE: usize = 512;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of the payload.
    pub length: usize,
    /// The kind.
    pub kind: u8,
    flags: u8,
}

impl FrameHead {
    /// Reads a head from its first bytes.
    #[must_use]
    pub const fn of(head: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, ..] = *head;
        Self { length: u32::from_be_bytes([0, a, b, c]) as usize, kind, flags }
    }

    /// Returns whether it is DATA that neither holds a byte nor ends its stream.
    #[must_use]
    pub const fn is_empty_data(self) -> bool {
        self.kind == DATA && self.length == 0 && self.flags & END_STREAM == 0
    }

    /// Returns the number of frames that it counts as. DATA with bytes is limited by its bytes.
    #[must_use]
    pub fn cost(self) -> u32 {
        if self.kind == DATA && self.length > 0 {
            return 0;
        }
        u32::try_from(1 + self.length / BYTES_OF_ONE).unwrap_or(u32::MAX)
    }
}

/// Finds the heads of frames in what is read, in parts of any size.
#[derive(Debug, Default)]
pub struct FrameScanner {
    head: [u8; HEAD],
    /// Bytes of the next head that were read.
    held: usize,
    /// Bytes of the current payload that were not read.
    rest: usize,
}

impl FrameScanner {
    /// Reads on, and calls `each` with every head that is complete, until that returns an error.
    ///
    /// # Errors
    ///
    /// The error of `each`.
    pub fn scan<E>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(FrameHead) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEAD - self.held);
            self.head[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
            self.held += taken;
            bytes = &bytes[taken..];
            if self.held == HEAD {
                let head = FrameHead::of(&self.head);
                (self.held, self.rest) = (0, head.length);
                each(head)?;
            }
        }
        Ok(())
    }
}

/// A number of frames that may come at once, that grows by the second, and with work that was done.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    most: u32,
    per_second: u32,
    filled: Instant,
}

impl Allowance {
    /// Returns one with `most` frames, to which so many are added each second, never beyond `most`.
    #[must_use]
    pub const fn new(most: u32, per_second: u32, now: Instant) -> Self {
        Self { left: most, most, per_second, filled: now }
    }

    /// Adds frames.
    pub fn earn(&mut self, frames: u64) {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(frames).min(self.most);
    }

    /// Takes frames from it. Returns whether it had so many. The time is read only when it has not.
    pub fn spend(&mut self, frames: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.left < frames {
            let now = now();
            let seconds = now.duration_since(self.filled).as_secs_f64();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a product of numbers that are not negative; the cast saturates"
            )]
            let more = (seconds * f64::from(self.per_second)) as u64;
            // A part of a frame is kept for later.
            if more > 0 {
                self.filled = now;
                self.earn(more);
            }
        }
        let left = self.left.checked_sub(frames);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        [&size[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; length]].concat()
    }

    #[test]
    fn every_head_is_found_in_parts_of_any_size() {
        let lengths = [0, 8, 0, 0, 40_000, 3];
        let sent: Vec<u8> = (0..).zip(lengths).flat_map(|(kind, n)| frame(kind, 0, n)).collect();
        for size in [1, 2, 9, 10, 17, 1000, sent.len()] {
            let (mut scanner, mut found) = (FrameScanner::default(), Vec::new());
            for part in sent.chunks(size) {
                let each = |head: FrameHead| {
                    found.push((head.kind, head.length));
                    Ok::<_, ()>(())
                };
                scanner.scan(part, each).unwrap();
            }
            assert_eq!(found, (0..).zip(lengths).collect::<Vec<_>>(), "{size}");
        }
        let mut scanner = FrameScanner::default();
        assert_eq!(scanner.scan(&sent, |head| Err::<(), _>(head.kind)), Err(0));
    }

    #[test]
    fn frames_count_by_their_kind_and_size() {
        let head = |kind, flags, length: usize| {
            FrameHead::of(frame(kind, flags, length).first_chunk().unwrap())
        };
        assert_eq!(head(DATA, 0, 16_384).cost(), 0);
        assert_eq!(head(DATA, END_STREAM, 0).cost(), 1);
        assert_eq!(head(HEADERS, 4, 100).cost(), 1);
        assert_eq!(head(HEADERS, 4, 16_384).cost(), 33);
        assert_eq!(head(6, 0, 8).cost(), 1);
        assert!(head(DATA, 0, 0).is_empty_data());
        assert!(!head(DATA, END_STREAM, 0).is_empty_data());
        assert!(!head(4, 0, 0).is_empty_data());
    }

    #[test]
    fn an_allowance_grows_with_time_and_with_work() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut allowance = Allowance::new(3, 10, begun);
        assert!(allowance.spend(3, || unreachable!()));
        assert!(!allowance.spend(1, || at(50)));
        assert!(allowance.spend(1, || at(100)));
        assert!(!allowance.spend(1, || at(199)));
        allowance.earn(1);
        assert!(allowance.spend(1, || unreachable!()));
        assert!(!allowance.spend(4, || at(10_000)));
        assert!(allowance.spend(3, || unreachable!()));
    }
}
