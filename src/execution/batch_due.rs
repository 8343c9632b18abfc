//! The time at which an open batch is closed, which its deliveries share.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Timestamp;

/// The due time of one batch. It moves while the batch is open, and is gone once it is closed.
#[derive(Debug, Default)]
pub struct BatchDue(AtomicU64);

/// No time: the batch is closed.
const CLOSED: u64 = 0;

impl BatchDue {
    /// Notes the time at which the batch is closed if nothing else comes.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::Relaxed);
    }

    /// Notes that the batch is closed.
    pub fn clear(&self) {
        self.0.store(CLOSED, Ordering::Relaxed);
    }

    /// Returns the time at which the batch is closed; `None` if it is.
    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        let millis = self.0.load(Ordering::Relaxed);
        (millis != CLOSED).then(|| Timestamp::from_millis(millis))
    }
}
