//! Panics of attempts, which become failed deliveries.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::delivery::Failure;
use crate::error::ErrorKind;

/// Runs an attempt; a panic in it becomes a failed delivery instead of a lost one.
///
/// The attempt stays where it is: it is large, and would be moved and kept twice.
pub(crate) async fn caught<T>(
    mut attempt: Pin<&mut (impl Future<Output = T> + ?Sized)>,
) -> Result<T, Failure> {
    let poll = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(panicked())),
        }
    });
    poll.await
}

/// Runs work that does not wait; a panic in it becomes a failure.
pub(crate) fn caught_now<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Failure {
    let message = "a defect of dollar-send: the attempt panicked. Please report it";
    Failure::new(ErrorKind::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failed_delivery() {
        let failure = caught(std::pin::pin!(async { panic!("a defect") })).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Internal); // reaches ERR_SEND_INTERNAL
        let failure = caught_now::<()>(|| panic!("a defect")).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Internal);
    }
}
