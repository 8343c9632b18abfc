//! The circuit breakers of lanes: a host that keeps failing is left alone for a while, then
//! probed. Time is an argument.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::delivery::BreakerPolicy;
use crate::journal::Lane;
use crate::time::Timestamp;

/// The state of a lane's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Breaker {
    /// Closed.
    #[default]
    Closed,
    /// Closed; so many attempts in a row failed.
    Failing(u32),
    /// Open until this time; no attempts are made.
    Open(Timestamp),
    /// One attempt probes the host.
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

    /// Returns the number of workers that the lane may have now, of `limit`.
    #[must_use]
    pub(super) const fn worker_limit(self, limit: usize) -> usize {
        match self {
            Self::Closed | Self::Failing(_) => limit,
            Self::Open(_) => 0,
            Self::HalfOpen => 1,
        }
    }

    /// Returns `true` if attempts are not restricted.
    #[must_use]
    const fn is_closed(self) -> bool {
        match self {
            Self::Closed | Self::Failing(_) => true,
            Self::Open(_) | Self::HalfOpen => false,
        }
    }

    /// Returns the breaker after a transient failure.
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
            Self::Open(now.after(policy.cooldown))
        } else {
            Self::Failing(failures)
        }
    }

    /// Returns the consecutive failures, up to those that open it.
    #[must_use]
    const fn failures(self, policy: BreakerPolicy) -> u32 {
        match self {
            Self::Closed => 0,
            Self::Failing(failures) => failures,
            Self::Open(_) | Self::HalfOpen => policy.failures,
        }
    }

    /// Returns the breaker after a host asked to be left alone until then.
    #[must_use]
    pub(super) fn left_alone(self, until: Timestamp) -> Self {
        match self {
            Self::Open(before) => Self::Open(before.max(until)),
            Self::Closed | Self::Failing(_) | Self::HalfOpen => Self::Open(until),
        }
    }

    /// Returns the breaker at this time: an open one lets a probe through after its cooldown.
    #[must_use]
    pub(super) fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Open(until) if until <= now => Self::HalfOpen,
            other => other,
        }
    }
}

/// The lanes whose last attempts failed, where retries are wanted.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    lanes: Mutex<HashMap<Lane, Breaker>>,
    /// The number of them: the only look of most attempts.
    troubled: AtomicUsize,
}

impl Breakers {
    pub(super) fn of(&self, lane: &Lane) -> Breaker {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Breaker::default();
        }
        self.lanes().get(lane).copied().unwrap_or_default()
    }

    /// Notes that an attempt reached the host. Returns `true` if that closes the breaker.
    pub(super) fn succeeded(&self, lane: &Lane) -> bool {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut lanes = self.lanes();
        let before = lanes.remove(lane).unwrap_or_default();
        self.troubled.store(lanes.len(), Ordering::Release);
        !before.is_closed()
    }

    /// Notes an attempt that failed as others may not. Returns the number of such attempts in a row, as
    /// far as the breaker counts them.
    pub(super) fn failed(&self, lane: &Lane, policy: BreakerPolicy, now: Timestamp) -> u32 {
        self.change(lane, |breaker| breaker.after_failure(policy, now)).failures(policy)
    }

    /// Leaves a host alone until then, as it asked for.
    pub(super) fn leave_alone(&self, lane: &Lane, until: Timestamp) {
        self.change(lane, |breaker| breaker.left_alone(until));
    }

    /// Lets probes through where it is time for one. Returns those lanes, and the time of the next.
    pub(super) fn reopen(&self, now: Timestamp) -> (Vec<Lane>, Option<Timestamp>) {
        let (mut reopened, mut next) = (Vec::new(), None);
        for (lane, breaker) in &mut *self.lanes() {
            let before = *breaker;
            *breaker = breaker.at(now);
            match *breaker {
                Breaker::Open(until) => next = next.min(Some(until)).or(Some(until)),
                Breaker::HalfOpen if before != Breaker::HalfOpen => reopened.push(lane.clone()),
                Breaker::HalfOpen | Breaker::Closed | Breaker::Failing(_) => {}
            }
        }
        #[cfg(test)]
        reopened.sort_by(|a: &Lane, b| a.key.cmp(&b.key));
        (reopened, next)
    }

    /// Lets a probe through now where the breaker is open.
    pub(super) fn probe(&self, lane: &Lane) {
        let mut lanes = self.lanes();
        if let Some(breaker) = lanes.get_mut(lane).filter(|b| b.worker_limit(1) == 0) {
            *breaker = Breaker::HalfOpen;
        }
    }

    fn change(&self, lane: &Lane, change: impl FnOnce(Breaker) -> Breaker) -> Breaker {
        let mut lanes = self.lanes();
        let breaker = lanes.entry(lane.clone()).or_default();
        *breaker = change(*breaker);
        let changed = *breaker;
        self.troubled.store(lanes.len(), Ordering::Release);
        changed
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, Breaker>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!((breaker.worker_limit(64), breaker.as_str()), (0, "open"));
        assert_eq!((breaker.failures(POLICY), Breaker::Failing(2).failures(POLICY)), (3, 2));
        assert_eq!(breaker.after_failure(POLICY, at(5)), breaker);
        assert_eq!(breaker.at(at(10)), breaker);
        let probing = breaker.at(at(11));
        assert_eq!((probing.worker_limit(64), probing.as_str()), (1, "half-open"));
        assert_eq!(probing.after_failure(POLICY, at(12)), Breaker::Open(at(22)));
    }
}
