//! The breaker that a lane should have.

use crate::delivery::BreakerPolicy;
use crate::time::Timestamp;

/// The model of a breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    pub(super) policy: Option<BreakerPolicy>,
    failures: u32,
    /// The time until which it is open, and that at which it opened.
    open: Option<(u64, u64)>,
    /// `true` if the operator may have let a probe through, until the host is there.
    is_uncertain: bool,
    /// The last answer, and its time.
    last: Option<(u64, bool)>,
}

impl Breaker {
    pub(super) fn new(policy: Option<BreakerPolicy>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Returns `true` if an attempt that begins now probes the host.
    pub(super) fn is_probing(&self, now: u64) -> bool {
        !self.is_uncertain && self.open.is_some_and(|(until, _)| until <= now)
    }

    /// Returns `true` if no attempt may begin now. At the moment of opening, others may have begun.
    pub(super) fn is_open(&self, now: u64) -> bool {
        !self.is_uncertain && self.open.is_some_and(|(until, since)| since < now && now < until)
    }

    /// Takes note of an answer: `true` if the host is there. Of two at one moment either may be first.
    pub(super) fn answer(&mut self, is_there: bool) {
        let now = Timestamp::now().as_millis();
        let before = self.last.replace((now, is_there));
        self.count(is_there);
        self.is_uncertain |= before == Some((now, !is_there));
    }

    fn count(&mut self, is_there: bool) {
        let Some(policy) = self.policy else { return };
        if is_there {
            self.failures = 0;
            self.open = None;
            self.is_uncertain = false;
            return;
        }
        let now = Timestamp::now();
        // At the very moment of its end the breaker may be open or half open.
        let is_half_open = self.open.is_some_and(|(until, _)| until < now.as_millis());
        if self.open.is_some() && !is_half_open {
            return;
        }
        self.failures += 1;
        if is_half_open || self.failures >= policy.failures {
            self.open = Some((now.after(policy.cooldown).as_millis(), now.as_millis()));
        }
    }

    /// Takes note that the operator may let a probe through.
    pub(super) const fn probe(&mut self) {
        self.is_uncertain = self.open.is_some();
    }
}
