//! The suite of [`History`](crate::journal::History).

use std::sync::Arc;

use super::{commit, completed, delivered, failed, lane};
use uuid::Uuid;

use crate::error::ErrorKind;
use crate::execution::{
    Before, DeliveryQuery, ExecutionCursor, ExecutionQuery, Force, Selection, SkipReason, Status,
};
use crate::journal::{Commit, Completion, Journal, Record, Replayable, Selected};
use crate::time::Timestamp;

pub(super) async fn check<J: Journal>(open: &impl Fn() -> J) {
    deliveries_are_found_newest_first(open()).await;
    deliveries_are_found_by_their_ids_and_their_ends(open()).await;
    executions_are_found_newest_first(open()).await;
    failed_calls_are_replayable(open()).await;
    a_replay_resolves_its_call(open()).await;
    a_dismissed_call_is_no_dead_letter(open()).await;
    replays_in_parts_share_one_tally(open()).await;
}

/// Settles the first record of lane `a` as failed and the second as delivered; the third waits.
async fn settle_two(journal: &impl Journal) {
    for settlement in [failed(), delivered()] {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, settlement);
    }
}

async fn deliveries_are_found_newest_first(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a", "a"], completed());
    journal.append(commit).await.unwrap();
    settle_two(&journal).await;
    let all = DeliveryQuery::default();
    let found = journal.deliveries(&all, &[]).await.unwrap();
    let indexes: Vec<_> = found.iter().map(|(_, entry)| entry.index).collect();
    let statuses: Vec<_> = found.iter().map(|(_, entry)| entry.status).collect();
    assert_eq!(indexes, [2, 1, 0]);
    assert_eq!(statuses, [Status::Pending, Status::Delivered, Status::Failed]);
    assert!(found.iter().all(|(info, _)| *info.execution_id == *execution.info.execution_id));

    let failure = found[2].1.failure.as_ref().unwrap();
    assert_eq!(failure.message, "the server answered 500");
    let second = DeliveryQuery { limit: Some(1), before: Some(found[0].1.id), ..all.clone() };
    let rest = journal.deliveries(&second, &[]).await.unwrap();
    assert_eq!(rest.iter().map(|(_, entry)| entry.index).collect::<Vec<_>>(), [1]);
    for (most, expected) in [(usize::MAX >> 1, 3), (3, 3), (2, 2)] {
        assert_eq!(journal.count_deliveries(&second, &[], most).await.unwrap(), expected);
    }
    let status = Some(Status::Failed.as_str().to_owned());
    let failed = DeliveryQuery { status, ..all };
    assert_eq!(journal.deliveries(&failed, &[]).await.unwrap().len(), 1);
    assert_eq!(journal.count_deliveries(&failed, &[], usize::MAX >> 1).await.unwrap(), 1);
}

async fn deliveries_are_found_by_their_ids_and_their_ends(journal: impl Journal) {
    let (commit, _) = commit(&["a", "a", "a"], completed());
    journal.append(commit).await.unwrap();
    settle_two(&journal).await;
    let indexes = async |query: &DeliveryQuery| -> Vec<u32> {
        let found = journal.deliveries(query, &[]).await.unwrap();
        assert_eq!(
            journal.count_deliveries(query, &[], usize::MAX >> 1).await.unwrap(),
            found.len()
        );
        found.iter().map(|(_, entry)| entry.index).collect()
    };
    let all = journal.deliveries(&DeliveryQuery::default(), &[]).await.unwrap();
    let ids = |places: &[usize]| Some(places.iter().map(|place| all[*place].1.id).collect());
    for (places, expected) in [(&[0, 2][..], vec![2, 0]), (&[1][..], vec![1]), (&[][..], vec![])] {
        let query = DeliveryQuery { ids: ids(places), ..DeliveryQuery::default() };
        assert_eq!(indexes(&query).await, expected, "{places:?}");
    }
    let end = all[2].1.settled_at.unwrap();
    let since = |settled_since| DeliveryQuery { settled_since, ..DeliveryQuery::default() };
    assert_eq!(indexes(&since(Some(end))).await, [1, 0]);
    let later = Timestamp::from_millis(end.as_millis() + 3_600_000);
    assert!(indexes(&since(Some(later))).await.is_empty());
}

async fn executions_are_found_newest_first(journal: impl Journal) {
    let mut serials = Vec::new();
    for _ in 0..3 {
        let (commit, execution) = commit(&["a"], completed());
        serials.push(execution.serial());
        journal.append(commit).await.unwrap();
    }
    let all = ExecutionQuery::default();
    let cursors = |text: String| -> Vec<String> {
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        rows.iter().map(|row| row["cursor"].as_str().unwrap().to_owned()).collect()
    };
    let expected = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| ExecutionCursor(serials[*place]).to_string()).collect()
    };
    let found = journal.executions(&all, &[]).await.unwrap();
    assert_eq!(cursors(found), expected(&[2, 1, 0]));
    let before = Some(Before::Cursor(ExecutionCursor(serials[2])));
    let older = ExecutionQuery { limit: Some(1), before, ..all };
    assert_eq!(cursors(journal.executions(&older, &[]).await.unwrap()), expected(&[1]));
    for (most, expected) in [(usize::MAX >> 1, 3), (2, 2)] {
        assert_eq!(journal.count_executions(&older, &[], most).await.unwrap(), expected);
    }
}

async fn failed_calls_are_replayable(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a", "a"], completed());
    journal.append(commit).await.unwrap();
    settle_two(&journal).await;
    let Selected { calls, skipped } = journal.replayable(&everything()).await.unwrap();
    assert_eq!((calls.len(), skipped.len()), (1, 0));
    assert_eq!(calls[0].execution.serial(), execution.serial());
    assert_eq!(calls[0].code, ErrorKind::Status);
    assert_eq!(calls[0].item.replay.as_deref(), Some(&calls[0].replay));
    assert_eq!(&calls[0].item.payload.text[..], b"{}");
    let delivered = execution.state().entries[1].id;
    let by_id = Selection::Ids(vec![calls[0].replay.id, delivered], Force::Resolved);
    let selected = journal.replayable(&by_id).await.unwrap();
    assert_eq!(selected.calls.len(), 1);
    assert_eq!(selected.skipped, [(delivered, SkipReason::Unknown)]);
}

fn everything() -> Selection {
    Selection::Query(DeliveryQuery::default())
}

/// Replays the only dead letter and leases the replay.
async fn replay(journal: &impl Journal, selection: &Selection, seed: u64) -> Record {
    let Selected { mut calls, .. } = journal.replayable(selection).await.unwrap();
    let Replayable { execution, item, .. } = calls.remove(0);
    let items = vec![(lane("a"), item)];
    let completion = Completion::Continues;
    journal.append(Commit { execution, seed, items, completion, forwards: None }).await.unwrap();
    journal.lease(&lane("a")).await.unwrap()
}

async fn skipped(journal: &impl Journal, id: Uuid) -> SkipReason {
    let by_id = Selection::Ids(vec![id], Force::No);
    journal.replayable(&by_id).await.unwrap().skipped[0].1
}

/// Returns the delivered, failed and all calls of the only execution.
async fn counts(journal: &impl Journal) -> (u64, u64, u64, u64) {
    let text = journal.executions(&ExecutionQuery::default(), &[]).await.unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let count = |name: &str| rows[0][name].as_u64().unwrap();
    (count("delivered"), count("failed"), count("dismissed"), count("total"))
}

async fn a_replay_resolves_its_call(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    settle_two(&journal).await;
    let first = execution.state().entries[0].id;
    assert_eq!(counts(&journal).await, (1, 1, 0, 2));
    let ends = [(failed(), 98, (1, 1, 0, 2)), (delivered(), 99, (2, 0, 0, 2))];
    for (settlement, seed, after) in ends {
        let record = replay(&journal, &everything(), seed).await;
        assert_eq!(record.execution.call_of(record.place), first, "the call stays the same");
        assert_eq!(skipped(&journal, first).await, SkipReason::UnderWay);
        assert!(journal.replayable(&everything()).await.unwrap().calls.is_empty());
        assert_eq!(counts(&journal).await, (1, 0, 0, 2));
        journal.settle(&record, settlement);
        assert_eq!(counts(&journal).await, after);
    }
    assert!(journal.replayable(&everything()).await.unwrap().calls.is_empty());
    assert_eq!(skipped(&journal, first).await, SkipReason::Delivered);
    let found = journal.deliveries(&DeliveryQuery::default(), &[]).await.unwrap();
    let of_call = found.iter().map(|(_, entry)| entry).filter(|entry| entry.call() == first);
    let newest_first: Vec<_> = of_call.collect();
    let state = |place: usize| newest_first[place].call_state.clone().unwrap();
    assert_eq!(newest_first[0].status, Status::Delivered);
    for place in [1, 2] {
        assert_eq!(state(place).resolved_by, Some(newest_first[0].id));
        assert_eq!(state(place).replayed_by, Some(newest_first[place - 1].id));
    }
    // By force it is sent again, and stays delivered whatever comes of it.
    let record = replay(&journal, &Selection::Ids(vec![first], Force::Resolved), 100).await;
    journal.settle(&record, failed());
    assert_eq!(counts(&journal).await, (2, 0, 0, 2));
    assert!(journal.replayable(&everything()).await.unwrap().calls.is_empty());
}

async fn replays_in_parts_share_one_tally(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    let ids: Vec<Uuid> = execution.state().entries.iter().map(|entry| entry.id).collect();
    drop(execution);
    for _ in &ids {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, failed());
    }
    let mut parts = Vec::new();
    for id in ids {
        let part = Selection::Ids(vec![id], Force::No);
        parts.append(&mut journal.replayable(&part).await.unwrap().calls);
    }
    assert!(Arc::ptr_eq(&parts[0].execution, &parts[1].execution));
    for (seed, (Replayable { execution, item, .. }, after)) in
        (98..).zip(parts.into_iter().zip([(1, 1, 0, 2), (2, 0, 0, 2)]))
    {
        let (items, completion) = (vec![(lane("a"), item)], Completion::Continues);
        let part = Commit { execution, seed, items, completion, forwards: None };
        journal.append(part).await.unwrap();
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, delivered());
        assert_eq!(counts(&journal).await, after);
    }
}

async fn a_dismissed_call_is_no_dead_letter(journal: impl Journal) {
    let (commit, execution) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    settle_two(&journal).await;
    let first = execution.state().entries[0].id;
    assert_eq!(journal.dismiss(&everything()).await.unwrap(), 1);
    assert_eq!(journal.dismiss(&everything()).await.unwrap(), 0);
    assert_eq!(counts(&journal).await, (1, 0, 1, 2));
    assert_eq!(skipped(&journal, first).await, SkipReason::Dismissed);
    let record = replay(&journal, &Selection::Ids(vec![first], Force::Resolved), 100).await;
    assert_eq!(counts(&journal).await, (1, 0, 0, 2));
    journal.settle(&record, failed());
    assert_eq!(counts(&journal).await, (1, 1, 0, 2));
}
