//! The suite of [`Settlements`](crate::journal::Settlements).

use super::{commit, completed, delivered, failed, lane};
use crate::execution::{DeliveryQuery, Dropped, SettlementCursor, Status};
use crate::journal::{Completion, Journal};
use crate::time::Timestamp;

pub(super) async fn check<J: Journal>(open: &impl Fn() -> J) {
    each_settlement_is_found_once(open()).await;
    a_filter_moves_the_place(open()).await;
    discarded_calls_are_found(open()).await;
    a_place_of_another_journal_is_told(open()).await;
}

async fn begin(journal: &impl Journal) -> SettlementCursor {
    let page = journal.settled(None, &DeliveryQuery::default()).await.unwrap();
    assert!(page.found.is_empty());
    page.cursor
}

/// Reads so many settlements after a place. Returns the index and the status of each.
async fn read(
    journal: &impl Journal,
    after: &mut SettlementCursor,
    query: &DeliveryQuery,
    count: usize,
) -> Vec<(u32, Status)> {
    let mut all = Vec::new();
    loop {
        let page = journal.settled(Some(*after), query).await.unwrap();
        assert_eq!(page.dropped, Dropped::Count(0));
        *after = page.cursor;
        all.extend(page.found.iter().map(|(_, entry)| (entry.index, entry.status)));
        if all.len() >= count {
            return all;
        }
        // Another transaction of the database may be open.
        tokio::task::yield_now().await;
    }
}

async fn each_settlement_is_found_once(journal: impl Journal) {
    let all = DeliveryQuery::default();
    let mut after = begin(&journal).await;
    let start = after;
    let (commit, _) = commit(&["a", "a", "a"], completed());
    journal.append(commit).await.unwrap();
    let waits = journal.lease(&lane("a")).await.unwrap();
    let due = Timestamp::steady();
    journal.postpone(&lane("a"), waits, due, "waits".to_owned());
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, failed());
    assert_eq!(read(&journal, &mut after, &all, 1).await, [(1, Status::Failed)]);
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, delivered());
    assert_eq!(read(&journal, &mut after, &all, 1).await, [(2, Status::Delivered)]);
    journal.wake_due(due.after(std::time::Duration::from_millis(1)));
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, delivered());
    assert_eq!(read(&journal, &mut after, &all, 1).await, [(0, Status::Delivered)]);
    assert_eq!(read(&journal, &mut after, &all, 0).await, []);
    let one = DeliveryQuery { limit: Some(1), ..all };
    let mut after = start;
    let indexes = read(&journal, &mut after, &one, 3).await;
    assert_eq!(indexes.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 0]);
}

async fn a_filter_moves_the_place(journal: impl Journal) {
    let mut after = begin(&journal).await;
    let (commit, _) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    for settlement in [delivered(), failed()] {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, settlement);
    }
    let status = Some(Status::Failed.as_str().to_owned());
    let failed = DeliveryQuery { status, ..DeliveryQuery::default() };
    assert_eq!(read(&journal, &mut after, &failed, 1).await, [(1, Status::Failed)]);
    let all = DeliveryQuery::default();
    assert_eq!(read(&journal, &mut after, &all, 0).await, []);
}

async fn discarded_calls_are_found(journal: impl Journal) {
    let mut after = begin(&journal).await;
    let (commit, _) = commit(&["a"], Completion::Discarded);
    journal.append(commit).await.unwrap();
    let all = DeliveryQuery::default();
    assert_eq!(read(&journal, &mut after, &all, 1).await, [(0, Status::Discarded)]);
}

async fn a_place_of_another_journal_is_told(journal: impl Journal) {
    let now = begin(&journal).await;
    let other = SettlementCursor { epoch: now.epoch + (1 << 40), number: 1 };
    let page = journal.settled(Some(other), &DeliveryQuery::default()).await.unwrap();
    assert_eq!((page.dropped, page.found.len()), (Dropped::Unknown, 0));
}
