//! The result of one attempt for one item. The destination classifies; the engine decides.

use std::time::Duration;

use super::Failure;

/// The destination's verdict on one item.
#[derive(Debug)]
pub enum Verdict {
    /// The destination accepted it.
    Delivered,
    /// A transient failure. It is retried, not before `after` if the server sent one.
    Retry {
        /// The failure.
        failure: Failure,
        /// The server's `Retry-After`.
        after: Option<Duration>,
    },
    /// A permanent failure.
    Rejected(Failure),
    /// Not attempted: a limit of the operator defers it.
    Later {
        /// The delay.
        after: Duration,
        /// The option that holds the limit.
        reason: String,
    },
}
