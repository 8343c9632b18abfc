//! Writing: the thread, its operations, and their statements.

mod batches;
mod op;
mod queue;
mod tables;
mod writer;

pub(super) use batches::SeqRun;
pub(super) use op::{AppendOp, EncryptedCommit, Ending, Op, Register, SettledRow};
pub(super) use writer::Writer;
