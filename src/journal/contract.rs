//! What every journal promises, as one suite: a journal's own tests call [`check`].

use std::collections::HashSet;
use std::sync::Arc;

use super::{Commit, Completion, Finished, Journal, Lane, MemoryJournal, Record, SealedBatch};
use crate::destinations::{Failure, Kind};
use crate::error::ErrorKind;
use crate::observability::log::{ExecutionInfo, ExecutionLog, Retention, Settlement, Status};
use crate::observability::time::Timestamp;
use crate::recording::{Item, Recording};

#[tokio::test]
async fn the_memory_journal_keeps_the_contract() {
    check(|| MemoryJournal::new(Retention::default())).await;
}

/// The suite. `open` answers an empty journal each time.
pub(super) async fn check<J: Journal + 'static>(open: impl Fn() -> J) {
    records_are_leased_once_and_in_the_order_of_their_lane(open()).await;
    lanes_do_not_share_records(open()).await;
    an_execution_is_finished_by_its_last_settlement(open()).await;
    an_execution_without_calls_is_finished_by_its_end(open()).await;
    discarded_calls_are_terminal_and_never_leased(open()).await;
    a_flush_goes_on(open()).await;
    what_waits_can_be_taken_at_the_end(open()).await;
    what_is_put_off_comes_back_in_its_time(open()).await;
    what_joins_a_batch_is_in_no_lane(open()).await;
    concurrent_leases_share_nothing(Arc::new(open())).await;
}

async fn records_are_leased_once_and_in_the_order_of_their_lane(journal: impl Journal) {
    let (commit, _) = commit(&["a", "a", "a"], Completion::Completed { error: None });
    assert_eq!(journal.append(commit).await.unwrap(), [lane("a")]);
    assert_eq!(journal.waiting(&lane("a")), 3);
    for place in 0..3 {
        let record = journal.lease(&lane("a")).await.unwrap();
        assert_eq!(record.place, place);
        assert_eq!(status(&record), Status::InFlight);
    }
    assert!(journal.lease(&lane("a")).await.is_none());
}

async fn lanes_do_not_share_records(journal: impl Journal) {
    let (commit, _) = commit(&["a", "b", "a"], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    assert_eq!(journal.lease(&lane("b")).await.unwrap().place, 1);
    assert!(journal.lease(&lane("b")).await.is_none());
    assert_eq!(journal.lease(&lane("a")).await.unwrap().place, 0);
    assert_eq!(journal.lease(&lane("a")).await.unwrap().place, 2);
}

async fn an_execution_is_finished_by_its_last_settlement(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a"], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    let first = journal.lease(&lane("a")).await.unwrap();
    let second = journal.lease(&lane("a")).await.unwrap();
    assert!(matches!(journal.settle(&first, delivered()), Finished::NotYet));
    assert!(matches!(journal.settle(&second, failed()), Finished::Execution(_)));
    assert_eq!(status(&first), Status::Delivered);
    assert_eq!(status(&second), Status::Failed);
    let state = execution.state();
    assert_eq!((state.delivered, state.failed, state.open()), (1, 1, 0));
}

async fn an_execution_without_calls_is_finished_by_its_end(journal: impl Journal) {
    let error = Some("boom".to_owned());
    let (commit, execution) = commit(&[], Completion::Completed { error });
    assert!(journal.append(commit).await.unwrap().is_empty());
    assert!(execution.state().is_finished());
}

async fn discarded_calls_are_terminal_and_never_leased(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "b"], Completion::Discarded);
    assert!(journal.append(commit).await.unwrap().is_empty());
    assert!(journal.lease(&lane("a")).await.is_none());
    let state = execution.state();
    assert!(state.is_finished());
    assert_eq!(state.discarded, 2);
    assert!(state.entries.iter().all(|entry| entry.status == Status::Discarded));
}

async fn a_flush_goes_on(journal: impl Journal) {
    let (first, execution) = commit(&["a"], Completion::Continues);
    journal.append(first).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    assert!(matches!(journal.settle(&record, delivered()), Finished::NotYet));
    assert!(!execution.state().is_finished());
    let rest = Commit {
        execution: Arc::clone(&execution),
        seed: 1,
        items: items(&["a"]),
        completion: Completion::Completed { error: None },
    };
    journal.append(rest).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    assert_eq!(record.place, 1);
    assert!(matches!(journal.settle(&record, delivered()), Finished::Execution(_)));
}

async fn what_waits_can_be_taken_at_the_end(journal: impl Journal) {
    let (commit, _) = commit(&["a", "b", "c"], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    let leased = journal.lease(&lane("b")).await.unwrap();
    let rest: HashSet<usize> = journal.lease_rest().iter().map(|record| record.place).collect();
    assert_eq!(rest, HashSet::from([0, 2]));
    assert!(!rest.contains(&leased.place));
    assert!(journal.lease(&lane("a")).await.is_none());
}

async fn what_is_put_off_comes_back_in_its_time(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a"], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    let first = journal.lease(&lane("a")).await.unwrap();
    let at = Timestamp::from_millis;
    journal.postpone(&lane("a"), first, at(50), "503".to_owned());
    assert_eq!(journal.postponed(), 1);
    assert_eq!(execution.state().entries[0].warnings.as_slice(), ["503"]);
    assert_eq!(journal.wake_due(at(49)), (vec![], Some(at(50))));
    let second = journal.lease(&lane("a")).await.unwrap();
    assert_eq!((second.place, second.attempts), (1, 1));
    assert!(journal.lease(&lane("a")).await.is_none());
    assert_eq!(journal.wake_due(at(50)), (vec![lane("a")], None));
    let again = journal.lease(&lane("a")).await.unwrap();
    assert_eq!((again.place, again.attempts), (0, 2));
    journal.postpone(&lane("a"), again, at(90), "503".to_owned());
    assert_eq!(journal.lease_rest().len(), 1);
    assert_eq!(journal.postponed(), 0);
}

async fn what_joins_a_batch_is_in_no_lane(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "b", "a"], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    let records: Vec<_> = std::iter::from_fn(|| journal.join(&lane("a"))).collect();
    assert_eq!(records.iter().map(|record| record.place).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(records.iter().map(status).collect::<Vec<_>>(), [Status::Batched; 2]);
    assert_eq!(journal.waiting(&lane("a")), 0);
    let sealed = sealed(&records, "b/key");
    journal.seal(&sealed, records.iter().map(|record| record.seq).collect()).await.unwrap();
    journal.note_batch(sealed.id, Some("upload 7")).await.unwrap();
    journal.conclude(sealed.id, "{}");
    for record in &records {
        assert!(matches!(journal.settle(record, delivered()), Finished::NotYet));
    }
    journal.forget_batch(sealed.id);
    journal.written().await;
    assert_eq!(execution.state().delivered, 2);
    assert_eq!(journal.lease(&lane("b")).await.unwrap().place, 1);
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

async fn concurrent_leases_share_nothing(journal: Arc<impl Journal + 'static>) {
    const CALLS: usize = 1000;
    let (commit, execution) = commit(&["a"; CALLS], Completion::Completed { error: None });
    journal.append(commit).await.unwrap();
    let workers = (0..8).map(|_| {
        let journal = Arc::clone(&journal);
        async move {
            let mut places = Vec::new();
            while let Some(record) = journal.lease(&lane("a")).await {
                places.push(record.place);
                journal.settle(&record, delivered());
                tokio::task::yield_now().await;
            }
            places
        }
    });
    let mut tasks: tokio::task::JoinSet<_> = workers.collect();
    let mut places = Vec::new();
    while let Some(done) = tasks.join_next().await {
        places.extend(done.unwrap());
    }
    assert_eq!(places.len(), CALLS);
    assert_eq!(places.into_iter().collect::<HashSet<_>>().len(), CALLS);
    assert!(execution.state().is_finished());
}

pub(super) fn commit(lanes: &[&str], completion: Completion) -> (Commit, Arc<ExecutionLog>) {
    let execution = Arc::new(ExecutionLog::new(ExecutionInfo {
        execution_id: "e_1".into(),
        workflow_id: "p_1".into(),
        attempt: 1,
        started_at: Timestamp::from_millis(1),
        emit_depth: 0,
        trace: None,
    }));
    let log = Arc::clone(&execution);
    let seed = execution.serial();
    (Commit { execution, seed, items: items(lanes), completion }, log)
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
    Settlement { failure: None, request: None, response: None, warnings: Vec::new() }
}

pub(super) fn failed() -> Settlement {
    let failure = Some(Failure::new(ErrorKind::Status, "the server answered 500"));
    Settlement { failure, ..delivered() }
}
