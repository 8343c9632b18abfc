//! Destinations that are written in JavaScript, as the engine takes them on.

use std::sync::Arc;

use super::Engine;
use crate::destinations::Kind;
use crate::destinations::custom::{Answer, Options, Thread};
use crate::error::Result;
use crate::journal::Lane;

impl Engine {
    /// Adds a destination; what waits for it is delivered from here on.
    ///
    /// # Errors
    /// `InvalidArgument`, `Closed`.
    pub fn add_destination(
        self: &Arc<Self>,
        name: &str,
        options: Options,
        thread: Arc<dyn Thread>,
    ) -> Result<Kind> {
        self.check_open()?;
        let kind = self.destinations.custom().add(name, options, thread)?;
        self.wake(vec![Lane { kind, key: kind.name().into() }]);
        Ok(kind)
    }

    /// Forgets the destinations of a thread that is gone.
    pub fn forget_destinations(&self, thread: &Arc<dyn Thread>) {
        self.destinations.custom().forget(thread);
    }

    /// Takes the answer of a thread to one job.
    pub fn answer_job(&self, job: u64, answer: Answer) {
        self.destinations.custom().answer(job, answer);
    }
}
