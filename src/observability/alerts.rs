//! Alerts: which values are too high, once for each episode. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// The share of a limit, in percent, below which a value is calm.
const CALM_PERCENT: u64 = 80;

/// The subject of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Consecutive failures of a host, against its circuit breaker.
    Breaker,
    /// The age of the call that has waited longest.
    OldestWaiting,
    /// Dead letters in a period.
    DeadLetters,
    /// The size of the journal.
    JournalSize,
}

impl AlertKind {
    /// Every subject.
    pub const ALL: [Self; 4] =
        [Self::Breaker, Self::OldestWaiting, Self::DeadLetters, Self::JournalSize];

    /// The spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::OldestWaiting => "oldest-waiting",
            Self::DeadLetters => "dead-letters",
            Self::JournalSize => "journal-size",
        }
    }
}

/// The alerts of one kind since the engine was opened, and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertStats {
    /// The subject.
    pub kind: AlertKind,
    /// Alerts that were raised.
    pub raised: u64,
    /// Episodes that go on.
    pub active: usize,
}

/// A value against a limit. An episode begins when the value reaches the limit, and ends when it has
/// been calm for a while: below 80 % of the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Episode {
    goes_on: bool,
    calm_since: Option<Timestamp>,
}

impl Episode {
    /// Notes a value. Returns `true` if an episode begins, which is when an alert is raised.
    pub fn note(&mut self, value: u64, limit: u64, calm: Duration, now: Timestamp) -> bool {
        self.end_if_calm(calm, now);
        if value >= limit {
            self.calm_since = None;
            return !std::mem::replace(&mut self.goes_on, true);
        }
        if self.goes_on {
            let is_calm = value.saturating_mul(100) < limit.saturating_mul(CALM_PERCENT);
            self.calm_since = is_calm.then(|| self.calm_since.unwrap_or(now));
            self.end_if_calm(calm, now);
        }
        false
    }

    /// Returns `true` between the beginning and the end of an episode.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Ends the episode if it has been calm for long enough.
    pub fn end_if_calm(&mut self, calm: Duration, now: Timestamp) {
        if self.calm_since.is_some_and(|since| since.after(calm) <= now) {
            *self = Self::default();
        }
    }
}

/// The times of the newest events, to count those of a period.
#[derive(Debug, Default)]
pub struct Window {
    times: VecDeque<Timestamp>,
}

impl Window {
    /// Adds an event. At most `limit` are kept.
    pub fn add(&mut self, limit: usize, now: Timestamp) {
        if self.times.len() >= limit {
            self.times.pop_front();
        }
        self.times.push_back(now);
    }

    /// Returns the number of events in the period until now.
    pub fn count(&mut self, period: Duration, now: Timestamp) -> usize {
        while self.times.front().is_some_and(|time| time.after(period) <= now) {
            self.times.pop_front();
        }
        self.times.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CALM: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn an_episode_raises_once_and_ends_after_a_calm_while() {
        let mut episode = Episode::default();
        for (second, value, raised, goes_on) in [
            (0, 9, false, false),
            (1, 10, true, true),
            (2, 12, false, true),
            // Calm, but not for long enough.
            (3, 0, false, true),
            (62, 10, false, true),
            // Below the limit, but not calm.
            (63, 9, false, true),
            (200, 9, false, true),
            (201, 7, false, true),
            (261, 7, false, false),
            (262, 10, true, true),
            // The end shows at the next value.
            (263, 0, false, true),
            (400, 10, true, true),
        ] {
            assert_eq!(episode.note(value, 10, CALM, at(second)), raised, "at {second}");
            assert_eq!(episode.goes_on(), goes_on, "at {second}");
        }
    }

    #[test]
    fn a_window_counts_the_events_of_a_period() {
        let mut window = Window::default();
        for second in [0, 1, 2, 30] {
            window.add(3, at(second));
        }
        assert_eq!(window.count(CALM, at(30)), 3, "no more than the limit are kept");
        assert_eq!(window.count(CALM, at(61)), 2);
        assert_eq!(window.count(CALM, at(90)), 0);
    }

    proptest! {
        /// Between two alerts there is a calm while.
        #[test]
        fn alerts_are_never_closer_than_a_calm_while(
            values in prop::collection::vec((0_u64..30, 0_u64..20), 1..300),
        ) {
            let mut episode = Episode::default();
            let (mut now, mut calm_for, mut was_calm) = (0, 0, true);
            for (seconds, value) in values {
                now += seconds;
                calm_for += seconds;
                was_calm |= calm_for >= 60;
                if episode.note(value, 10, CALM, at(now)) {
                    prop_assert!(value >= 10);
                    prop_assert!(was_calm);
                    was_calm = false;
                }
                if value >= 8 {
                    calm_for = 0;
                }
            }
        }
    }
}
