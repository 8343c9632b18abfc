//! The suite of [`Queue`].

use std::collections::HashSet;
use std::sync::Arc;

use super::{commit, completed, delivered, failed, items, lane, status};
use crate::execution::Status;
use crate::journal::{Commit, Completion, Finished, Queue};
use crate::time::Timestamp;

pub(super) async fn check<J: Queue + 'static>(open: &impl Fn() -> J) {
    records_are_leased_once_and_in_the_order_of_their_lane(open()).await;
    lanes_do_not_share_records(open()).await;
    an_execution_is_finished_by_its_last_settlement(open()).await;
    an_execution_without_calls_is_finished_by_its_end(open()).await;
    discarded_calls_are_terminal_and_never_leased(open()).await;
    calls_after_the_end_are_logged_as_discarded(open()).await;
    a_flush_goes_on(open()).await;
    what_waits_can_be_taken_at_the_end(open()).await;
    postponed_records_return_when_they_are_due(open()).await;
    postponed_records_can_be_hastened(open()).await;
    concurrent_leases_share_nothing(Arc::new(open())).await;
}

async fn records_are_leased_once_and_in_the_order_of_their_lane(journal: impl Queue) {
    let (commit, _) = commit(&["a", "a", "a"], completed());
    assert_eq!(journal.append(commit).await.unwrap(), [lane("a")]);
    assert_eq!(journal.waiting(&lane("a")), 3);
    for place in 0..3 {
        let record = journal.lease(&lane("a")).await.unwrap();
        assert_eq!(record.place, place);
        assert_eq!(status(&record), Status::InFlight);
    }
    assert!(journal.lease(&lane("a")).await.is_none());
}

async fn lanes_do_not_share_records(journal: impl Queue) {
    let (commit, _) = commit(&["a", "b", "a"], completed());
    journal.append(commit).await.unwrap();
    assert_eq!(journal.lease(&lane("b")).await.unwrap().place, 1);
    assert!(journal.lease(&lane("b")).await.is_none());
    assert_eq!(journal.lease(&lane("a")).await.unwrap().place, 0);
    assert_eq!(journal.lease(&lane("a")).await.unwrap().place, 2);
}

async fn an_execution_is_finished_by_its_last_settlement(journal: impl Queue) {
    let (commit, execution) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    let first = journal.lease(&lane("a")).await.unwrap();
    let second = journal.lease(&lane("a")).await.unwrap();
    assert!(matches!(journal.settle(&first, delivered()), Finished::NotYet));
    assert!(matches!(journal.settle(&second, failed()), Finished::Execution(_)));
    assert_eq!(status(&first), Status::Delivered);
    assert_eq!(status(&second), Status::Failed);
    let state = execution.state();
    assert_eq!((state.tally().delivered, state.tally().failed, state.open()), (1, 1, 0));
}

async fn an_execution_without_calls_is_finished_by_its_end(journal: impl Queue) {
    let error = Some("boom".to_owned());
    let (commit, execution) = commit(&[], Completion::Completed { error, message: None });
    assert!(journal.append(commit).await.unwrap().is_empty());
    assert!(execution.state().is_finished());
}

async fn discarded_calls_are_terminal_and_never_leased(journal: impl Queue) {
    let (commit, execution) = commit(&["a", "b"], Completion::Discarded);
    assert!(journal.append(commit).await.unwrap().is_empty());
    assert!(journal.lease(&lane("a")).await.is_none());
    let state = execution.state();
    assert!(state.is_finished());
    assert_eq!(state.tally().discarded, 2);
    assert!(state.entries.iter().all(|entry| entry.status == Status::Discarded));
}

async fn calls_after_the_end_are_logged_as_discarded(journal: impl Queue) {
    let (first, execution) = commit(&["a"], completed());
    journal.append(first).await.unwrap();
    let late = Commit {
        execution: Arc::clone(&execution),
        seed: 1,
        items: items(&["b"]),
        completion: Completion::Over,
        forwards: None,
    };
    assert!(journal.append(late).await.unwrap().is_empty());
    assert!(journal.lease(&lane("b")).await.is_none());
    let record = journal.lease(&lane("a")).await.unwrap();
    assert!(matches!(journal.settle(&record, delivered()), Finished::Execution(_)));
    let state = execution.state();
    assert_eq!((state.tally().delivered, state.tally().discarded, state.open()), (1, 1, 0));
    assert!(!state.completion.as_ref().unwrap().discarded, "the execution was not discarded");
}

async fn a_flush_goes_on(journal: impl Queue) {
    let (first, execution) = commit(&["a"], Completion::Continues);
    journal.append(first).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    assert!(matches!(journal.settle(&record, delivered()), Finished::NotYet));
    assert!(!execution.state().is_finished());
    let rest = Commit {
        execution: Arc::clone(&execution),
        seed: 1,
        items: items(&["a"]),
        completion: completed(),
        forwards: None,
    };
    journal.append(rest).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    assert_eq!(record.place, 1);
    assert!(matches!(journal.settle(&record, delivered()), Finished::Execution(_)));
}

async fn what_waits_can_be_taken_at_the_end(journal: impl Queue) {
    let (commit, _) = commit(&["a", "b", "c"], completed());
    journal.append(commit).await.unwrap();
    let leased = journal.lease(&lane("b")).await.unwrap();
    let rest: HashSet<usize> = journal.lease_rest().iter().map(|record| record.place).collect();
    assert_eq!(rest, HashSet::from([0, 2]));
    assert!(!rest.contains(&leased.place));
    assert!(journal.lease(&lane("a")).await.is_none());
}

async fn postponed_records_return_when_they_are_due(journal: impl Queue) {
    let (commit, execution) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    let first = journal.lease(&lane("a")).await.unwrap();
    let at = Timestamp::from_millis;
    journal.postpone(&lane("a"), first, at(50), "503".to_owned());
    assert_eq!(journal.postponed().values().sum::<usize>(), 1);
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
    assert_eq!(journal.postponed().values().sum::<usize>(), 0);
}

async fn postponed_records_can_be_hastened(journal: impl Queue) {
    let (commit, _) = commit(&["a", "b", "a"], completed());
    journal.append(commit).await.unwrap();
    let at = Timestamp::from_millis;
    for (name, due) in [("a", 50), ("b", 60), ("a", 70)] {
        let record = journal.lease(&lane(name)).await.unwrap();
        journal.postpone(&lane(name), record, at(due), "503".to_owned());
    }
    assert!(journal.hasten(at(5), &|_, _| false).is_empty());
    let lanes = journal.hasten(at(5), &|due, record| due == at(70) && record.attempts == 1);
    assert_eq!((lanes, journal.postponed().values().sum::<usize>()), (vec![lane("a")], 2));
    let hastened = journal.lease(&lane("a")).await.unwrap();
    assert_eq!((hastened.place, hastened.attempts), (2, 2));
    assert!(journal.lease(&lane("a")).await.is_none());
    assert_eq!(journal.hasten(at(5), &|_, _| true), [lane("a"), lane("b")]);
    assert_eq!(journal.wake_due(at(99)), (vec![], None));
}

async fn concurrent_leases_share_nothing(journal: Arc<impl Queue + 'static>) {
    const CALLS: usize = 1000;
    let (commit, execution) = commit(&["a"; CALLS], completed());
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
