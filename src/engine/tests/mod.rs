//! Tests of a whole engine.

mod simulation;

pub(super) use simulation::journal_of_thread as simulated_journal;
