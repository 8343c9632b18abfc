//! One suite for each promise of a journal, and a model over all of them. The tests of a journal call
//! [`check`] with a function that opens it, and [`recovery::check`] if it is durable.

pub(super) mod batches;
pub(super) mod following;
pub(super) mod history;
pub(super) mod model;
pub(super) mod queue;
pub(super) mod records;
pub(super) mod recovery;
pub(super) mod search;

use std::sync::Arc;

use super::{Commit, Completion, Journal, Lane, MemoryJournal, Record, SealedBatch};
use crate::delivery::{Failure, Kind};
use crate::error::ErrorKind;
use crate::execution::{ExecutionInfo, ExecutionLog, Retention, Settlement, Status};
use crate::recording::{Item, Recording};
use crate::time::Timestamp;

#[tokio::test]
async fn the_memory_journal_keeps_its_promises() {
    check(|| MemoryJournal::new(Retention::default())).await;
}

/// Runs the suites that need no second opening. `open` returns an empty journal each time.
pub(super) async fn check<J: Journal + 'static>(open: impl Fn() -> J) {
    queue::check(&open).await;
    batches::check(&open).await;
    history::check(&open).await;
    following::check(&open).await;
    search::check(&open).await;
    records::check(&open).await;
}

pub(super) fn commit(lanes: &[&str], completion: Completion) -> (Commit, Arc<ExecutionLog>) {
    let execution = Arc::new(ExecutionLog::new(ExecutionInfo {
        execution_id: "e_1".into(),
        workflow_id: "p_1".into(),
        attempt: 1,
        started_at: Timestamp::from_millis(1),
        emit_depth: 0,
        trace: None,
        trigger: None,
    }));
    let log = Arc::clone(&execution);
    let seed = execution.serial();
    (Commit { execution, seed, items: items(lanes), completion, forwards: None }, log)
}

pub(super) fn completed() -> Completion {
    Completion::Completed { error: None, message: None }
}

fn items(lanes: &[&str]) -> Vec<(Lane, Item)> {
    let mut recording = Recording::default();
    let step = recording.step("step").unwrap();
    for _ in lanes {
        recording.push(Kind::Http, step, "{}".into(), None).unwrap();
    }
    lanes.iter().map(|key| lane(key)).zip(recording.take().into_items()).collect()
}

pub(super) fn lane(key: &str) -> Lane {
    Lane { kind: Kind::Http, key: key.into() }
}

fn status(record: &Record) -> Status {
    record.execution.state().entries[record.place].status
}

pub(super) fn delivered() -> Settlement {
    Settlement {
        failure: None,
        request: None,
        response: None,
        warnings: Vec::new(),
        is_forwarded: false,
    }
}

pub(super) fn failed() -> Settlement {
    let failure = Some(Failure::new(ErrorKind::Status, "the server answered 500"));
    Settlement { failure, ..delivered() }
}

pub(super) fn sealed(records: &[Record], name: &str) -> SealedBatch {
    SealedBatch {
        id: records[0].seq,
        lane: lane("a"),
        name: name.to_owned(),
        reason: "flush".to_owned(),
        sealed_at: Timestamp::from_millis(7),
        records: records.len(),
    }
}
