//! Points in time as the log keeps them.

use std::num::NonZeroU64;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};

/// Milliseconds since 1970-01-01 UTC. Serialised as `2026-11-20T08:15:30.123Z`, the form of
/// JavaScript's `Date.prototype.toISOString`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(
    /// One more than the milliseconds, so that a point in time that may be absent is no larger.
    NonZeroU64,
);

impl Default for Timestamp {
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl Timestamp {
    /// The present, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The present as of the system's last tick, at most 10 ms ago: for where reading the clock
    /// would be a good part of the work. On systems without such a clock it is the present.
    #[must_use]
    pub fn recent() -> Self {
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or_default();
            Self::from_millis(seconds * 1000 + millis)
        }
        #[cfg(not(target_os = "linux"))]
        Self::now()
    }

    /// A point in time by its milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        match NonZeroU64::new(millis.saturating_add(1)) {
            Some(number) => Self(number),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = i64::try_from(self.as_millis()).unwrap_or(i64::MAX);
        match DateTime::from_timestamp_millis(millis) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}", self.as_millis()),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_timestamp_is_the_present_but_for_a_tick() {
        let (before, recent, after) = (Timestamp::now(), Timestamp::recent(), Timestamp::now());
        assert!(recent <= after);
        assert!(recent.as_millis() + 100 > before.as_millis());
    }

    #[test]
    fn a_timestamp_is_spelled_as_javascript_spells_it() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(1_795_000_000_120).to_string(),
            "2026-11-18T11:06:40.120Z"
        );
    }
}
