//! A connected client of a stream: a bounded queue of frames on which the publisher never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Frame;

/// The maximum number of queued frames of a follower: the burst of one step does not disconnect a
/// client that reads.
const MAX_FRAMES: usize = 4096;
/// The maximum size of a follower's queue in bytes; a single frame may be larger. The frames
/// themselves are shared by all followers.
const MAX_BYTES: usize = 4 << 20;

/// Keepalives that a follower may leave untaken, together with all that waits: after two of them, 30 s
/// and more have passed.
const MAX_IGNORED: u8 = 2;

/// The transfer coding of a follower's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferCoding {
    /// Plain bytes.
    Plain,
    /// Chunks of HTTP/1.1.
    Chunked,
}

/// A connected client, as seen by the publisher.
pub struct Follower {
    coding: TransferCoding,
    /// The channels that it is limited to; empty: all channels.
    channels: Vec<Box<str>>,
    queue: Mutex<FrameQueue>,
    /// Disconnects it when it cannot keep up.
    cut: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct FrameQueue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
    /// Keepalives since it last took a frame, while some waited.
    ignored: u8,
    waker: Option<Waker>,
}

impl FrameQueue {
    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        self.ignored = 0;
        if self.frames.is_empty() && self.frames.capacity() > 16 {
            self.frames = VecDeque::new();
        }
        Some(frame)
    }
}

impl Follower {
    /// Returns a follower of some channels, or of all if there are none. `cut` is called once if it
    /// cannot keep up; it must not block.
    #[must_use]
    pub fn new(
        coding: TransferCoding,
        channels: Vec<Box<str>>,
        cut: Box<dyn Fn() + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self { coding, channels, queue: Mutex::default(), cut })
    }

    fn coded(&self, frame: &Frame) -> Bytes {
        match self.coding {
            TransferCoding::Plain => frame.plain(),
            TransferCoding::Chunked => frame.chunk(),
        }
    }

    /// Returns whether it gets events of this channel.
    #[must_use]
    pub fn wants(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|wanted| **wanted == *channel)
    }

    /// Queues a frame. Returns whether it still follows.
    pub(super) fn push(&self, frame: &Frame) -> bool {
        self.admit(frame, |_| true)
    }

    /// Queues a keepalive. A follower that took nothing since the previous ones is disconnected.
    pub(super) fn keep_alive(&self, frame: &Frame) -> bool {
        self.admit(frame, |queue| {
            queue.ignored = if queue.frames.is_empty() { 0 } else { queue.ignored + 1 };
            queue.ignored <= MAX_IGNORED
        })
    }

    fn admit(&self, frame: &Frame, is_fine: fn(&mut FrameQueue) -> bool) -> bool {
        let frame = self.coded(frame);
        let mut queue = self.queue();
        if queue.ended {
            return false;
        }
        let fits = queue.frames.is_empty()
            || (queue.frames.len() < MAX_FRAMES && queue.bytes + frame.len() <= MAX_BYTES);
        let fits = is_fine(&mut queue) && fits;
        if fits {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            wake(queue);
        } else {
            self.cut_off(queue);
        }
        fits
    }

    /// Queues the frames that it missed, which may exceed the limits.
    pub(super) fn prime<'a>(&self, frames: impl IntoIterator<Item = &'a Frame>) {
        let mut queue = self.queue();
        queue.frames.extend(frames.into_iter().map(|frame| self.coded(frame)));
        queue.bytes = queue.frames.iter().map(Bytes::len).sum();
    }

    /// Ends the queue and disconnects the client; frames that are queued already are dropped.
    pub fn disconnect(&self) {
        self.cut_off(self.queue());
    }

    fn cut_off(&self, mut queue: MutexGuard<'_, FrameQueue>) {
        queue.frames = VecDeque::new();
        queue.ended = true;
        wake(queue);
        (self.cut)();
    }

    /// Ends the queue; frames that are queued already are still delivered.
    pub(super) fn end(&self) {
        let mut queue = self.queue();
        queue.ended = true;
        wake(queue);
    }

    /// Returns the next frame, if it waits already.
    #[must_use]
    pub fn next_now(&self) -> Option<Bytes> {
        self.queue().pop()
    }

    /// Returns the next frame; `None`: there are no more.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut queue = self.queue();
        if let Some(frame) = queue.pop() {
            return Poll::Ready(Some(frame));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn queue(&self) -> MutexGuard<'_, FrameQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the connection once the queue is free.
fn wake(mut queue: MutexGuard<'_, FrameQueue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn follower() -> (Arc<Follower>, Arc<AtomicUsize>) {
        let cuts = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&cuts);
        let cut = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        (Follower::new(TransferCoding::Plain, Vec::new(), cut), cuts)
    }

    fn next(follower: &Follower) -> Poll<Option<Bytes>> {
        follower.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn frames_come_in_order_and_end_after_the_last() {
        let (follower, cuts) = follower();
        assert_eq!(next(&follower), Poll::Pending);
        follower.prime(&[Frame::new(b"1"), Frame::new(b"2")]);
        assert!(follower.push(&Frame::new(b"3")));
        follower.end();
        for expected in ["1", "2", "3"] {
            assert_eq!(next(&follower), Poll::Ready(Some(Bytes::from_static(expected.as_bytes()))));
        }
        assert_eq!(next(&follower), Poll::Ready(None));
        assert!(!follower.push(&Frame::new(b"4")));
        assert_eq!(cuts.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_does_not_take_is_cut_once() {
        let (follower, cuts) = follower();
        let frame = Frame::new(b"frame");
        let taken = (0..MAX_FRAMES + 10).filter(|_| follower.push(&frame)).count();
        assert_eq!((taken, cuts.load(Ordering::Relaxed)), (MAX_FRAMES, 1));
        assert_eq!(next(&follower), Poll::Ready(None));
    }

    #[test]
    fn a_follower_that_ignores_keepalives_is_cut() {
        let keepalive = Frame::new(b":");
        let (idle, cuts) = follower();
        for _ in 0..10 {
            assert!(idle.keep_alive(&keepalive));
            assert!(next(&idle).is_ready());
        }
        let (lazy, lazy_cuts) = follower();
        let taken = (0..10).filter(|_| lazy.keep_alive(&keepalive)).count();
        assert_eq!((taken, lazy_cuts.load(Ordering::Relaxed)), (1 + usize::from(MAX_IGNORED), 1));
        let (slow, slow_cuts) = follower();
        for _ in 0..10 {
            assert!(slow.push(&keepalive) && slow.keep_alive(&keepalive));
            assert!(next(&slow).is_ready());
        }
        assert_eq!(cuts.load(Ordering::Relaxed) + slow_cuts.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_huge_frame_fits_and_a_second_does_not() {
        let (follower, cuts) = follower();
        let huge = Frame::new(&vec![b'x'; 2 * MAX_BYTES]);
        assert!(follower.push(&huge));
        assert!(!follower.push(&huge));
        assert_eq!(cuts.load(Ordering::Relaxed), 1);
    }
}
