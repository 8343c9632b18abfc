//! The circuit breaker of one lane: a host that keeps failing is left alone for a while, then
//! probed. Pure: time is an argument.

use crate::destinations::BreakerPolicy;
use crate::observability::time::Timestamp;

use super::retry::later;

/// Whether a lane is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Breaker {
    /// It is; so many attempts in a row failed.
    #[default]
    Closed,
    /// It is; the last attempts failed.
    Failing(u32),
    /// It is not, until then.
    Open(Timestamp),
    /// One attempt is under way to see whether it can be.
    HalfOpen,
}

impl Breaker {
    /// The spelling in `engine.stats()`.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed | Self::Failing(_) => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen => "half-open",
        }
    }

    /// How many workers the lane may have now, of `limit`.
    #[must_use]
    pub(super) const fn admits(self, limit: usize) -> usize {
        match self {
            Self::Closed | Self::Failing(_) => limit,
            Self::Open(_) => 0,
            Self::HalfOpen => 1,
        }
    }

    /// After an attempt that another one may mend.
    #[must_use]
    pub(super) fn after_failure(self, policy: BreakerPolicy, now: Timestamp) -> Self {
        let failures = match self {
            Self::Closed => 1,
            Self::Failing(failures) => failures + 1,
            Self::HalfOpen => policy.failures,
            // An attempt from before it opened.
            Self::Open(_) => return self,
        };
        if failures >= policy.failures {
            Self::Open(later(now, policy.cooldown))
        } else {
            Self::Failing(failures)
        }
    }

    /// As time passes: an open breaker lets a probe through after its cooldown.
    #[must_use]
    pub(super) fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Open(until) if until <= now => Self::HalfOpen,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const POLICY: BreakerPolicy = BreakerPolicy { failures: 3, cooldown: Duration::from_secs(10) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_decides() {
        let mut breaker = Breaker::default();
        for expected in [Breaker::Failing(1), Breaker::Failing(2), Breaker::Open(at(11))] {
            breaker = breaker.after_failure(POLICY, at(1));
            assert_eq!(breaker, expected);
        }
        assert_eq!((breaker.admits(64), breaker.as_str()), (0, "open"));
        assert_eq!(breaker.after_failure(POLICY, at(5)), breaker);
        assert_eq!(breaker.at(at(10)), breaker);
        let probing = breaker.at(at(11));
        assert_eq!((probing.admits(64), probing.as_str()), (1, "half-open"));
        assert_eq!(probing.after_failure(POLICY, at(12)), Breaker::Open(at(22)));
    }
}
