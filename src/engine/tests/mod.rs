//! Tests of a whole engine.

mod races;
mod simulation;
pub(super) mod yields;

pub(super) use simulation::journal_of_thread as simulated_journal;
