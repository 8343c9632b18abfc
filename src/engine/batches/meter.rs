//! The limits at which a batch is closed. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::destinations::BatchLimits;

/// The reason why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It had as many bytes as it may have.
    MaxBytes,
    /// It had as many records as it may have.
    MaxCount,
    /// Its first record was as old as it may be.
    Interval,
    /// There was no record for as long as there may be none.
    Idle,
    /// Undelivered calls had half of the memory that they may have.
    MaxPendingBytes,
    /// The engine is flushed.
    Flush,
    /// The engine closes.
    Close,
}

impl Reason {
    /// The spelling in the log: that of the option, where there is one.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::MaxBytes => "maxBytes",
            Self::MaxCount => "maxCount",
            Self::Interval => "interval",
            Self::Idle => "idle",
            Self::MaxPendingBytes => "maxPendingBytes",
            Self::Flush => "flush",
            Self::Close => "close",
        }
    }
}

/// How far an open batch is from its limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchMeter {
    limits: BatchLimits,
    count: usize,
    bytes: usize,
    /// Bytes of its calls in memory.
    held: usize,
    opened: Instant,
    last: Instant,
}

impl BatchMeter {
    /// An empty batch.
    pub(super) const fn new(limits: BatchLimits, now: Instant) -> Self {
        Self { limits, count: 0, bytes: 0, held: 0, opened: now, last: now }
    }

    /// Takes note of another record of `held` bytes, after which the batch has so many encoded.
    pub(super) const fn add(&mut self, held: usize, bytes: usize, now: Instant) {
        self.count += 1;
        self.held += held;
        self.bytes = bytes;
        self.last = now;
    }

    /// Returns the reason why no other record fits.
    pub(super) const fn full(&self) -> Option<Reason> {
        if self.bytes >= self.limits.max_bytes {
            return Some(Reason::MaxBytes);
        }
        if self.count >= self.limits.max_count { Some(Reason::MaxCount) } else { None }
    }

    /// Returns the reason to make room: undelivered calls hold `pending` bytes of `most`, and a good part
    /// of that is here. Long before calls are refused.
    pub(super) const fn memory_pressure(&self, pending: usize, most: usize) -> Option<Reason> {
        if pending > most / 2 && self.held > most / 64 {
            return Some(Reason::MaxPendingBytes);
        }
        None
    }

    /// Returns the reason to close it now.
    pub(super) fn due(&self, now: Instant) -> Option<Reason> {
        let idle = self.limits.idle.is_some_and(|idle| now >= self.last + idle);
        match self.full() {
            None if now >= self.opened + self.limits.interval => Some(Reason::Interval),
            None if idle => Some(Reason::Idle),
            full => full,
        }
    }

    /// Returns the time from its opening to its deadline.
    pub(super) fn lifetime(&self) -> Duration {
        self.deadline() - self.opened
    }

    /// Returns the time at which it is closed if nothing else comes.
    pub(super) fn deadline(&self) -> Instant {
        let interval = self.opened + self.limits.interval;
        self.limits.idle.map_or(interval, |idle| interval.min(self.last + idle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        interval: Duration::from_millis(100),
        idle: Some(Duration::from_millis(30)),
        max_bytes: 1000,
        max_count: 5,
    };

    #[test]
    fn a_batch_is_closed_by_the_limit_that_it_reaches_first() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let meter = |records: &[(usize, u64)]| {
            let mut meter = BatchMeter::new(LIMITS, start);
            for (bytes, time) in records {
                meter.add(1, *bytes, at(*time));
            }
            meter
        };
        for (records, now, expected) in [
            (&[(10, 0)][..], 29, None),
            (&[(10, 0)], 30, Some(Reason::Idle)),
            (&[(10, 0), (20, 25), (30, 50), (40, 75)], 99, None),
            (&[(10, 0), (20, 25), (30, 50), (40, 75)], 100, Some(Reason::Interval)),
            (&[(1000, 0)], 0, Some(Reason::MaxBytes)),
            (&[(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)], 0, Some(Reason::MaxCount)),
        ] {
            assert_eq!(meter(records).due(at(now)), expected, "{records:?} at {now}");
        }
    }

    #[test]
    fn a_batch_makes_room_when_memory_gets_scarce_because_of_it() {
        let mut meter = BatchMeter::new(LIMITS, Instant::now());
        meter.add(100, 10, Instant::now());
        assert_eq!(meter.memory_pressure(400, 1000), None);
        assert_eq!(meter.memory_pressure(501, 1000), Some(Reason::MaxPendingBytes));
        assert_eq!(meter.memory_pressure(5001, 10_000), None, "others hold it");
    }

    proptest! {
        #[test]
        fn a_batch_is_due_at_its_deadline_and_not_before(
            times in prop::collection::vec(0_u64..200, 1..4),
            idle in prop::option::of(1_u64..100),
            interval in 1_u64..100,
        ) {
            let start = Instant::now();
            let millis = Duration::from_millis;
            let limits = BatchLimits { interval: millis(interval), idle: idle.map(millis), ..LIMITS };
            let mut meter = BatchMeter::new(limits, start);
            let mut sorted = times;
            sorted.sort_unstable();
            for time in sorted {
                meter.add(1, 1, start + millis(time));
            }
            let deadline = meter.deadline();
            prop_assert!(meter.due(deadline).is_some());
            let before = deadline.checked_sub(Duration::from_nanos(1)).unwrap();
            prop_assert!(meter.due(before).is_none());
        }
    }
}
