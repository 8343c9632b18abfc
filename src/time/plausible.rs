//! The judgement whether the system's clock is right, for where data is deleted by it. Pure: the
//! looks at the clocks are arguments.

use std::time::Duration;

use super::{Timestamp, uptime};

/// The time for which a clock has to run evenly until it is believed.
const PROOF: Duration = Duration::from_secs(60 * 60);
/// The time by which a clock that runs evenly may differ from what is expected of it.
const SLACK: Duration = Duration::from_secs(10 * 60);
/// The age of the newest data that makes a clock believable at once.
const RECENT: Duration = Duration::from_secs(24 * 60 * 60);

/// The system's clock, and one that cannot be set, at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The system's clock.
    pub system: Timestamp,
    /// The time since the machine was started.
    pub uptime: Duration,
}

impl Look {
    /// Looks at both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { system: Timestamp::now(), uptime: uptime() }
    }
}

/// The known facts about the system's clock.
///
/// It is believed when it agrees with the newest data from before this process, or has run evenly
/// for an hour. When it was set meanwhile, it has to prove itself again.
#[derive(Debug)]
pub struct Plausibility {
    first: Look,
    is_believed: bool,
}

impl Plausibility {
    /// Begins with a first look and the time of the newest data that there was before; `None`: there
    /// was none, so that none can be too old.
    #[must_use]
    pub fn new(first: Look, newest: Option<Timestamp>) -> Self {
        let agrees = |newest: Timestamp| {
            newest <= first.system.after(SLACK) && newest.after(RECENT) >= first.system
        };
        Self { first, is_believed: newest.is_none_or(agrees) }
    }

    /// Takes another look, and returns whether the system's clock is believed.
    pub fn admits(&mut self, look: Look) -> bool {
        let passed = look.uptime.saturating_sub(self.first.uptime);
        let expected = self.first.system.after(passed);
        let difference = expected.as_millis().abs_diff(look.system.as_millis());
        if u128::from(difference) > SLACK.as_millis() {
            *self = Self { first: look, is_believed: false };
        }
        self.is_believed |= look.uptime.saturating_sub(self.first.uptime) >= PROOF;
        self.is_believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn look(system: Timestamp, uptime: Duration) -> Look {
        Look { system, uptime }
    }

    fn first(newest: Option<Timestamp>) -> Plausibility {
        Plausibility::new(look(START, HOUR), newest)
    }

    #[test]
    fn a_clock_that_agrees_with_the_newest_data_is_believed_at_once() {
        let old = Timestamp::from_millis(START.as_millis() - 40 * 86_400_000);
        let recent = Timestamp::from_millis(START.as_millis() - 3_600_000);
        for (newest, expected) in [
            (None, true),
            (Some(recent), true),
            (Some(old), false),
            (Some(START.after(DAY)), false),
        ] {
            assert_eq!(first(newest).admits(look(START, HOUR)), expected, "{newest:?}");
        }
    }

    #[test]
    fn a_clock_that_runs_evenly_for_an_hour_is_believed() {
        let mut clock = first(Some(START.after(DAY)));
        assert!(!clock.admits(look(START.after(HOUR / 2), HOUR + HOUR / 2)));
        assert!(clock.admits(look(START.after(HOUR), HOUR * 2)));
    }

    #[test]
    fn a_clock_that_is_set_has_to_prove_itself_again() {
        let mut clock = first(None);
        let wrong = START.after(40 * DAY);
        assert!(clock.admits(look(START.after(HOUR), HOUR * 2)));
        assert!(!clock.admits(look(wrong, HOUR * 2)));
        // It is set right some seconds later.
        let second = Duration::from_secs(1);
        assert!(!clock.admits(look(START.after(HOUR + second * 5), HOUR * 2 + second * 5)));
        assert!(!clock.admits(look(START.after(HOUR + second * 9), HOUR * 2 + second * 9)));
        assert!(clock.admits(look(START.after(HOUR * 2 + second * 9), HOUR * 3 + second * 9)));
    }
}
