//! Recovery: the unsettled calls and sealed batches of an earlier process.

mod backlog;
mod batches;
mod forwards;
mod links;

pub(super) use backlog::{
    Backlog, end_interrupted_executions, finish_settled_executions, forget_finished_batches,
};
pub(super) use batches::RecoveredBatches;
pub(super) use forwards::forget_lost_forwards;
pub(super) use links::link_replays;
