//! Time limits that count what arrived while the process stood still.
//!
//! A process that was stopped (`SIGSTOP`, a suspended machine) finds its timers over before it has read
//! what arrived meanwhile. A request that was answered in time would fail then, and be repeated.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The delay of a timer that tells a process that stood still from a busy one.
const STANDSTILL: Duration = Duration::from_millis(100);
/// The time to read what arrived meanwhile.
const CATCH_UP: Duration = Duration::from_millis(500);
/// The shortest time after which a limit that was extended is looked at again.
const LEAST_STEP: Duration = Duration::from_millis(20);

/// Runs a future for `limit` at most; once for longer, if the process stood still. `None`: the time was
/// over first.
pub async fn within<F: Future>(limit: Duration, future: Pin<&mut F>) -> Option<F::Output> {
    within_own(limit, || Duration::ZERO, future).await
}

/// Runs a future for `limit` at most, without the time that it waited for others, which `waited`
/// returns. `None`: the time was over first.
///
/// The future stays where it is: it may be large, and would be moved and kept twice.
pub async fn within_own<F: Future>(
    limit: Duration,
    waited: impl Fn() -> Duration,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let begun = Instant::now();
    let mut caught_up_at = None;
    let mut due = begun + limit;
    let mut timer = pin!(sleep_until(due));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= due + STANDSTILL {
                caught_up_at.get_or_insert(now + CATCH_UP);
            }
            let until = (begun + limit + waited()).max(caught_up_at.unwrap_or(begun));
            if until <= now {
                return Poll::Ready(None);
            }
            due = until.max(now + LEAST_STEP);
            timer.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_future_is_limited() {
        let limit = Duration::from_secs(5);
        assert_eq!(within(limit, pin!(async { 1 })).await, Some(1));
        let begun = Instant::now();
        assert_eq!(within(limit, pin!(pending::<()>())).await, None);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_waits_for_others_does_not_count() {
        let limit = Duration::from_secs(5);
        let begun = Instant::now();
        let waited = || begun.elapsed().min(Duration::from_secs(3));
        assert_eq!(within_own(limit, waited, pin!(pending::<()>())).await, None);
        assert_eq!(begun.elapsed().as_secs(), 8);
    }

    /// Nothing else runs on this thread meanwhile: neither the timer nor the one who sends.
    #[expect(clippy::disallowed_methods, reason = "the standstill itself")]
    fn stand_still(limit: Duration) {
        std::thread::sleep(limit + STANDSTILL * 2);
    }

    #[tokio::test]
    async fn what_arrived_during_a_standstill_is_read() {
        let (sender, reply) = tokio::sync::oneshot::channel();
        let limit = Duration::from_millis(20);
        let standstill = async move {
            stand_still(limit);
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _ = sender.send(7);
        };
        let mut arrived = pin!(reply);
        let limited = within(limit, arrived.as_mut());
        let (received, ()) = tokio::join!(limited, standstill);
        assert_eq!(received, Some(Ok(7)));
    }

    #[tokio::test]
    async fn a_standstill_does_not_make_a_limit_endless() {
        let begun = Instant::now();
        let limit = Duration::from_millis(20);
        let mut never = pin!(pending::<()>());
        let limited = within(limit, never.as_mut());
        let standstill = async { stand_still(limit) };
        let (ended, ()) = tokio::join!(limited, standstill);
        assert_eq!(ended, None);
        assert!(begun.elapsed() >= CATCH_UP);
    }
}
