//! The deadline of a request, which stands still while the request waits in line.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::egress::Progress;

/// The shortest time after which a request that still waits is looked at again.
const LEAST_STEP: Duration = Duration::from_millis(20);

/// Runs a future for `limit` at most, without the time that `progress` has waited in line. `None`:
/// the time was over first.
///
/// The future stays where it is: it is large, and would be moved and kept twice.
pub(super) async fn within<F: Future>(
    limit: Duration,
    progress: &Progress,
    mut future: Pin<&mut F>,
) -> Option<F::Output> {
    let begun = Instant::now();
    let mut timer = pin!(sleep_until(begun + limit));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let until = begun + limit + progress.waited();
            if until <= now {
                return Poll::Ready(None);
            }
            timer.as_mut().reset(until.max(now + LEAST_STEP));
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
        let progress = Progress::new();
        let limit = Duration::from_secs(5);
        assert_eq!(within(limit, &progress, pin!(async { 1 })).await, Some(1));
        let begun = Instant::now();
        assert_eq!(within(limit, &progress, pin!(pending::<()>())).await, None);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
}
