//! What happens after an attempt: the only place that knows when there is another one.

use std::time::Duration;

use crate::delivery::{Failure, RetryPolicy, Verdict};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// The decision about a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is delivered.
    Done,
    /// It is attempted again, not before then.
    RetryAt(Timestamp, Failure),
    /// Not attempted: deferred until this time, for this reason.
    Deferred(Timestamp, String),
    /// It failed for good.
    Dead(Failure),
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryProgress {
    /// Attempts made, the last one included.
    pub attempts: u32,
    /// The time since the call was made.
    pub age: Duration,
    /// The present, by the steady clock.
    pub now: Timestamp,
}

/// Decides on a verdict. Without a policy there is one attempt, as in Pipedream: a transient failure is final all the same. `chance` is from 0 to 1.
#[must_use]
pub(crate) fn decide(
    verdict: Verdict,
    policy: Option<&RetryPolicy>,
    progress: RetryProgress,
    chance: f64,
) -> Decision {
    let (failure, after) = match verdict {
        Verdict::Delivered => return Decision::Done,
        Verdict::Later { after, reason } => {
            return Decision::Deferred(progress.now.after(after), reason);
        }
        Verdict::Retry { failure, after } => (failure, after),
        Verdict::Rejected(failure) => (failure, None),
    };
    match policy {
        Some(policy) if may_mend(&failure, policy) => {
            next_attempt(failure, after, policy, progress, chance)
        }
        _ => Decision::Dead(failure),
    }
}

/// Returns `true` if the policy retries the failure.
#[must_use]
pub(crate) fn may_mend(failure: &Failure, policy: &RetryPolicy) -> bool {
    match (failure.kind, failure.status) {
        (ErrorKind::Status | ErrorKind::Proxy, Some(status)) => policy.statuses.contains(&status),
        (kind, _) => policy.errors.contains(&kind),
    }
}

/// Returns how long the whole host asks to be left alone: it is overloaded, or limits the rate.
#[must_use]
pub(crate) fn asked_pause(verdict: &Verdict, policy: &RetryPolicy) -> Option<Duration> {
    let Verdict::Retry { failure, after: Some(after) } = verdict else { return None };
    let is_of_host = failure.kind == ErrorKind::Status && matches!(failure.status, Some(429 | 503));
    (is_of_host && !after.is_zero()).then(|| (*after).min(policy.retry_after_max))
}

fn next_attempt(
    failure: Failure,
    after: Option<Duration>,
    policy: &RetryPolicy,
    RetryProgress { attempts, age, now }: RetryProgress,
    chance: f64,
) -> Decision {
    let all = policy.delays.attempts();
    let Some(delay) = policy.delays.after(attempts, chance) else {
        return match all {
            1 => Decision::Dead(failure),
            _ => dead(failure, &format!("attempt {attempts} of {all}, the last")),
        };
    };
    let delay = delay.max(after.unwrap_or_default().min(policy.retry_after_max));
    if age.saturating_add(delay) > policy.max_age {
        let reason = format!("attempt {attempts}, and another one would be too late");
        return dead(failure, &reason);
    }
    Decision::RetryAt(now.after(delay), failure)
}

fn dead(mut failure: Failure, reason: &str) -> Decision {
    failure.message = format!("{} ({reason})", failure.message);
    Decision::Dead(failure)
}

/// Returns a random number from 0 to 1.
pub(crate) fn chance() -> f64 {
    #[cfg(test)]
    if let Some(chance) = crate::time::simulated::chance() {
        return chance;
    }
    let random = uuid::Uuid::now_v7().as_u64_pair().1;
    #[expect(clippy::cast_precision_loss, reason = "32 bits are exact")]
    let share = (random & 0xffff_ffff) as f64 / f64::from(u32::MAX);
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Delays;

    const NOW: Timestamp = Timestamp::from_millis(100_000);

    fn status(status: u16) -> Failure {
        Failure::new(ErrorKind::Status, "no").with_status(status)
    }

    fn retry(failure: Failure, after: Option<u64>) -> Verdict {
        Verdict::Retry { failure, after: after.map(Duration::from_secs) }
    }

    fn schedule(delays: &[u64]) -> RetryPolicy {
        let delays = delays.iter().map(|millis| Duration::from_millis(*millis)).collect();
        RetryPolicy { delays: Delays::Schedule(delays), ..RetryPolicy::default() }
    }

    fn at(attempts: u32, recorded_at: u64) -> RetryProgress {
        let age = Duration::from_millis(NOW.as_millis() - recorded_at);
        RetryProgress { attempts, age, now: NOW }
    }

    fn due(decision: &Decision) -> Option<u64> {
        match decision {
            Decision::RetryAt(due, _) => Some(due.as_millis() - NOW.as_millis()),
            _ => None,
        }
    }

    #[test]
    fn without_a_policy_one_attempt_is_all_there_is() {
        let decided = |verdict| decide(verdict, None, at(1, 0), 0.0);
        assert_eq!(decided(Verdict::Delivered), Decision::Done);
        assert_eq!(decided(Verdict::Rejected(status(404))), Decision::Dead(status(404)));
        assert_eq!(decided(retry(status(503), None)), Decision::Dead(status(503)));
    }

    #[test]
    fn a_schedule_is_kept_to_its_end() {
        let policy = schedule(&[10, 20]);
        for (attempts, expected) in [(1, Some(10)), (2, Some(20)), (3, None)] {
            let decision = decide(retry(status(503), None), Some(&policy), at(attempts, 0), 1.0);
            assert_eq!(due(&decision), expected);
        }
        let last = decide(retry(status(503), None), Some(&policy), at(3, 0), 0.0);
        let Decision::Dead(failure) = last else { panic!("it is over") };
        assert_eq!(failure.message, "no (attempt 3 of 3, the last)");
    }

    #[test]
    fn exponential_delays_grow_to_their_limit_and_shrink_by_chance() {
        let delays = Delays::Exponential {
            initial: Duration::from_secs(1),
            factor: 3.0,
            max: Duration::from_secs(5),
            jitter: 0.5,
            attempts: 5,
        };
        let seconds = |attempts, chance| delays.after(attempts, chance).map(|d| d.as_secs_f64());
        assert_eq!(seconds(1, 0.0), Some(1.0));
        assert_eq!(seconds(2, 0.0), Some(3.0));
        assert_eq!(seconds(3, 0.0), Some(5.0));
        assert_eq!(seconds(3, 1.0), Some(2.5));
        assert_eq!(seconds(5, 0.0), None);
    }

    #[test]
    fn what_the_policy_does_not_name_is_final() {
        let policy = schedule(&[10]);
        let mended = |failure| due(&decide(retry(failure, None), Some(&policy), at(1, 0), 0.0));
        assert_eq!(mended(status(501)), None);
        assert_eq!(mended(Failure::new(ErrorKind::Timeout, "late")), Some(10));
        assert_eq!(mended(Failure::new(ErrorKind::EgressDenied, "no")), None);
        let named = RetryPolicy { statuses: vec![404], ..policy };
        let decision = decide(Verdict::Rejected(status(404)), Some(&named), at(1, 0), 0.0);
        assert_eq!(due(&decision), Some(10));
    }

    #[test]
    fn the_server_may_ask_for_a_longer_wait_up_to_a_limit() {
        let policy = RetryPolicy { retry_after_max: Duration::from_secs(60), ..schedule(&[10]) };
        let asked =
            |after| decide(retry(status(429), Some(after)), Some(&policy), at(1, 100_000), 0.0);
        assert_eq!(due(&asked(0)), Some(10));
        assert_eq!(due(&asked(7)), Some(7000));
        assert_eq!(due(&asked(61)), Some(60_000));
        assert_eq!(due(&asked(u64::MAX)), Some(60_000));
    }

    #[test]
    fn a_busy_host_asks_for_a_pause() {
        let policy = RetryPolicy { retry_after_max: Duration::from_secs(60), ..schedule(&[10]) };
        let asked = |code, after| {
            asked_pause(&retry(status(code), after), &policy).map(|pause| pause.as_secs())
        };
        assert_eq!(asked(429, Some(7)), Some(7));
        assert_eq!(asked(503, Some(61)), Some(60));
        assert_eq!(asked(503, None), None);
        assert_eq!(asked(429, Some(0)), None);
        assert_eq!(asked(500, Some(7)), None, "it is about this request");
        assert_eq!(asked_pause(&Verdict::Delivered, &policy), None);
    }

    #[test]
    fn nothing_is_attempted_past_its_age() {
        let policy = RetryPolicy { max_age: Duration::from_secs(50), ..schedule(&[1000]) };
        let decision =
            |recorded| decide(retry(status(503), None), Some(&policy), at(1, recorded), 0.0);
        assert_eq!(due(&decision(60_000)), Some(1000));
        assert!(matches!(decision(40_000), Decision::Dead(_)));
    }
}
