//! Handshakes: the work of opening a connection that keeps a thread busy.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::ready;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// Takes turns between handshakes: a thread of the runtime does a step of one, then everything else
/// that is ready, then the next step. Sixteen that begin at once are sixteen short delays of the other
/// deliveries, not a long one.
#[derive(Default)]
pub(super) struct Handshakes {
    steps: OnceLock<Semaphore>,
}

impl Handshakes {
    /// Makes a handshake, each step in a turn of its own.
    pub(super) async fn run<H: Future>(&self, handshake: H) -> H::Output {
        let mut handshake = pin!(handshake);
        let mut turn = pin!(self.turn());
        poll_fn(|context| {
            let permit = ready!(turn.as_mut().poll(context));
            let output = handshake.as_mut().poll(context);
            drop(permit);
            turn.set(self.turn());
            output
        })
        .await
    }

    async fn turn(&self) -> SemaphorePermit<'_> {
        let threads = || Handle::current().metrics().num_workers();
        let steps = self.steps.get_or_init(|| Semaphore::new(threads()));
        let permit = steps.acquire().await.expect("the semaphore is never closed");
        yield_now().await;
        permit
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::Poll;

    use tokio::task::JoinSet;

    use super::*;

    /// Three steps that are ready at once; each is noted.
    async fn steps(handshakes: Arc<Handshakes>, noted: Arc<Mutex<Vec<&'static str>>>) {
        let mut left = 3;
        handshakes
            .run(poll_fn(|context| {
                noted.lock().unwrap().push("step");
                left -= 1;
                context.waker().wake_by_ref();
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            }))
            .await;
    }

    #[tokio::test]
    async fn others_run_between_two_steps() {
        let (handshakes, noted) = (Arc::new(Handshakes::default()), Arc::default());
        let mut all = JoinSet::new();
        for _ in 0..16 {
            all.spawn(steps(Arc::clone(&handshakes), Arc::clone(&noted)));
        }
        let mut others = JoinSet::new();
        let other = Arc::clone(&noted);
        others.spawn(async move {
            loop {
                other.lock().unwrap().push("other");
                yield_now().await;
            }
        });
        all.join_all().await;
        drop(others);
        let noted = noted.lock().unwrap();
        assert_eq!(noted.iter().filter(|what| **what == "step").count(), 48);
        // The last of one round of the scheduler may be followed by the first of the next.
        let longest = noted.split(|what| *what == "other").map(<[_]>::len).max();
        assert!(longest <= Some(2), "{longest:?} steps in a row");
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_is_the_next_ones() {
        let handshakes = Handshakes::default();
        let waiting = handshakes.run(std::future::pending::<()>());
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, waiting).await;
        assert!(given_up.is_err());
        assert_eq!(handshakes.run(async { 1 }).await, 1);
    }
}
