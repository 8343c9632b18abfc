//! Points in time as the log keeps them.

pub mod fleet;
mod limit;
mod plausible;
#[cfg(test)]
pub(crate) mod simulated;

pub use limit::{within, within_own};
pub use plausible::{Look, Plausibility};

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};

/// Milliseconds since 1970-01-01 UTC. Serialised as `2026-11-20T08:15:30.123Z`, the form of
/// JavaScript's `Date.prototype.toISOString`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(
    /// One more than the milliseconds, so that a point in time that may be absent is no larger.
    NonZeroU64,
);

/// Returns milliseconds with two decimals, as the log shows durations.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl Timestamp {
    /// Reads a time as RFC 3339 spells it, or a date, which begins at midnight UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis());
        let date = || {
            let date = text.parse::<chrono::NaiveDate>().ok()?;
            Some(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
        };
        // Nothing was recorded before 1970.
        time.ok().or_else(date).map(|millis| Self::from_millis(u64::try_from(millis).unwrap_or(0)))
    }

    /// A point in time that never comes.
    pub const NEVER: Self = Self::from_millis(253_402_300_799_000);

    /// The present, by the system's clock, or by that of the fleet if the system's is wrong.
    #[must_use]
    pub fn now() -> Self {
        #[cfg(test)]
        if let Some(now) = simulated::now() {
            return now;
        }
        fleet::corrected(Self::system())
    }

    fn system() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the present by a clock that is never set: the system's time at the first call, and the
    /// time since then. Due times are compared with this clock.
    #[must_use]
    pub fn steady() -> Self {
        static START: OnceLock<(Timestamp, Duration)> = OnceLock::new();
        #[cfg(test)]
        if let Some(now) = simulated::now() {
            return now;
        }
        let (start, before) = START.get_or_init(|| (Self::system(), uptime()));
        let passed = uptime().saturating_sub(*before).as_millis();
        Self::from_millis(
            start.as_millis().saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)),
        )
    }

    /// The same point in time by the system's clock, which may have been set since the process
    /// began, or by that of the fleet if the system's is wrong.
    #[must_use]
    pub fn by_system(self) -> Self {
        self.shifted(Self::steady(), Self::now())
    }

    /// The same point in time by the steady clock: that of [`Timestamp::by_system`].
    #[must_use]
    pub fn by_steady(self) -> Self {
        self.shifted(Self::now(), Self::steady())
    }

    fn shifted(self, from: Self, to: Self) -> Self {
        let (from, to) = (from.as_millis(), to.as_millis());
        if self == Self::NEVER || from.abs_diff(to) < SET_MILLIS {
            return self;
        }
        Self::from_millis(self.as_millis().saturating_add(to).saturating_sub(from))
    }

    /// The time since this point by the system's clock, or by the steady one if that is less: a clock
    /// that is set makes nothing older. The steady one of a fleet is that of its database.
    #[must_use]
    pub fn age(self) -> Duration {
        self.age_at(fleet::now().unwrap_or_else(Self::steady), Self::now())
    }

    fn age_at(self, steady: Self, system: Self) -> Duration {
        let now = steady.min(system).as_millis();
        Duration::from_millis(now.saturating_sub(self.as_millis()))
    }

    /// The point in time so much later, a part of a millisecond rounded up: nothing is due early.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        let millis = delay.as_nanos().div_ceil(1_000_000);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Self::from_millis(self.as_millis().saturating_add(millis))
    }

    /// The present as of the system's last tick, at most 10 ms ago: for where reading the clock
    /// would be a good part of the work. On systems without such a clock it is the present.
    #[must_use]
    pub fn recent() -> Self {
        #[cfg(test)]
        if let Some(now) = simulated::now() {
            return now;
        }
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or_default();
            fleet::corrected(Self::from_millis(seconds * 1000 + millis))
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

/// The difference of two clocks from which on one of them was set.
const SET_MILLIS: u64 = 1000;

/// The time since the machine was started, and where the system says so, since before it slept.
#[must_use]
pub fn uptime() -> Duration {
    #[cfg(test)]
    if let Some(passed) = simulated::passed() {
        return passed;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
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
    fn a_part_of_a_millisecond_is_rounded_up() {
        for (delay, later) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(at(5).after(Duration::from_nanos(delay)), at(5 + later), "{delay}");
        }
    }

    const DAY: u64 = 86_400_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_steady_clock_begins_as_the_systems() {
        assert!(Timestamp::steady().as_millis().abs_diff(Timestamp::now().as_millis()) < 1000);
        assert!(Timestamp::steady() <= Timestamp::steady());
    }

    #[test]
    fn a_clock_that_is_set_makes_nothing_older() {
        let recorded = at(100 * DAY);
        for (steady, system, expected) in [
            (100 * DAY + 5, 100 * DAY + 7, 5),
            (100 * DAY + 5, 140 * DAY, 5),
            (100 * DAY + 5, 99 * DAY, 0),
            // Recorded after the clock was set back.
            (101 * DAY + 5, 100 * DAY + 5, 5),
        ] {
            let age = recorded.age_at(at(steady), at(system));
            assert_eq!(age, Duration::from_millis(expected), "{steady} {system}");
        }
    }

    #[test]
    fn a_point_in_time_moves_with_the_systems_clock_when_that_is_set() {
        let due = at(100 * DAY);
        assert_eq!(due.shifted(at(99 * DAY), at(99 * DAY + 400)), due);
        assert_eq!(due.shifted(at(99 * DAY), at(98 * DAY)), at(99 * DAY));
        assert_eq!(due.shifted(at(99 * DAY), at(139 * DAY)), at(140 * DAY));
        assert_eq!(Timestamp::NEVER.shifted(at(99 * DAY), at(98 * DAY)), Timestamp::NEVER);
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
