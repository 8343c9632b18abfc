//! Writing: the thread, its operations, and their statements.

mod batches;
mod op;
mod queue;
#[cfg(test)]
mod simulated;
mod tables;
mod writer;

pub(super) use batches::SeqRun;
pub(super) use op::{AppendOp, EncryptedCommit, Ending, Op, Register, SettledRow};
pub(super) use writer::Writer;

#[cfg(test)]
pub(crate) use simulated::{has_upkeep, set_upkeep};
