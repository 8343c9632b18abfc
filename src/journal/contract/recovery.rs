//! The suite of [`Recovery`](crate::journal::Recovery), for durable journals.

use super::{commit, completed, delivered, failed, lane, sealed};
use crate::execution::DeliveryQuery;
use crate::journal::{Journal, Record, RestoredBatch, SealedBatch};

/// Runs the suite. `open` returns an empty journal each time; `reopen` ends the process of a journal and
/// opens what it left.
pub(in crate::journal) async fn check<J: Journal>(
    open: impl Fn() -> J,
    mut reopen: impl AsyncFnMut(J) -> J,
) {
    a_sealed_batch_is_the_same_batch_after_a_crash(open(), &mut reopen).await;
    the_result_of_a_batch_is_known_after_a_crash_amid_its_settlements(open(), &mut reopen).await;
    unsettled_calls_return_in_parts(open(), &mut reopen).await;
}

pub(in crate::journal) async fn bring_all_back(journal: &impl Journal) -> usize {
    let mut calls = 0;
    while let Some(refill) = journal.refill().await.unwrap() {
        calls += refill.calls;
    }
    calls
}

/// A journal with two batches of a lane: the first sealed, the second not; and one call beside them.
/// Returns the first batch and its records.
async fn with_batches(journal: &impl Journal) -> (SealedBatch, Vec<Record>) {
    for _ in 0..4 {
        let (commit, _) = commit(&["a", "b", "a"], completed());
        journal.append(commit).await.unwrap();
    }
    let joined: Vec<_> = std::iter::from_fn(|| journal.join(&lane("a"))).collect();
    let tenure = joined[0].1;
    let mut records: Vec<_> = joined.into_iter().map(|(record, _)| record).collect();
    // The order of a batch is that of joining, whatever the numbers are.
    records[..5].reverse();
    let batch = sealed(&records[..5], "b/key");
    let numbers = records[..5].iter().map(|record| record.seq).collect();
    assert!(journal.seal(&batch, tenure, numbers).await.unwrap());
    journal.note_batch(batch.id, Some("upload 7")).await.unwrap();
    (batch, records)
}

fn places(journal: &impl Journal, key: &str) -> usize {
    std::iter::from_fn(|| journal.join(&lane(key))).count()
}

async fn restored(journal: &impl Journal) -> Vec<RestoredBatch> {
    let mut batches = Vec::new();
    while let Some(refill) = journal.refill().await.unwrap() {
        batches.extend(refill.batches);
    }
    batches
}

async fn a_sealed_batch_is_the_same_batch_after_a_crash<J: Journal>(
    journal: J,
    reopen: &mut impl AsyncFnMut(J) -> J,
) {
    let (batch, records) = with_batches(&journal).await;
    let expected: Vec<_> = records[..5].iter().map(|record| (record.id, record.seq)).collect();
    let journal = reopen(journal).await;
    let mut batches = restored(&journal).await;
    let RestoredBatch { sealed, note, conclusion, records } = batches.pop().unwrap();
    assert!(batches.is_empty());
    assert_eq!((sealed, note.as_deref(), conclusion), (batch, Some("upload 7"), None));
    let found: Vec<_> = records.iter().map(|(_, record)| (record.id, record.seq)).collect();
    assert_eq!(found, expected);
    assert!(records.iter().map(|(place, _)| *place).eq(0..5));
    // What was not sealed waits again.
    assert_eq!((places(&journal, "a"), places(&journal, "b")), (3, 4));
}

async fn the_result_of_a_batch_is_known_after_a_crash_amid_its_settlements<J: Journal>(
    journal: J,
    reopen: &mut impl AsyncFnMut(J) -> J,
) {
    let (batch, records) = with_batches(&journal).await;
    journal.conclude(batch.id, "stored");
    for record in &records[..2] {
        journal.settle(record, delivered());
    }
    let journal = reopen(journal).await;
    let mut batches = restored(&journal).await;
    let RestoredBatch { conclusion, records, .. } = batches.pop().unwrap();
    assert_eq!(conclusion.as_deref(), Some("stored"));
    assert!(records.iter().map(|(place, _)| *place).eq(2..5));
    for (_, record) in &records {
        journal.settle(record, delivered());
    }
    journal.forget_batch(batch.id);
    let journal = reopen(journal).await;
    assert!(restored(&journal).await.is_empty());
    assert_eq!((places(&journal, "a"), places(&journal, "b")), (3, 4));
}

async fn unsettled_calls_return_in_parts<J: Journal>(
    journal: J,
    reopen: &mut impl AsyncFnMut(J) -> J,
) {
    for _ in 0..100 {
        let (commit, _) = commit(&["a"; 30], completed());
        journal.append(commit).await.unwrap();
    }
    for place in 0..45 {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, if place < 40 { delivered() } else { failed() });
    }
    let journal = reopen(journal).await;
    // The second commit is open still, with half of its calls.
    assert_eq!(journal.backlog(), 99 * 30);
    let first = journal.refill().await.unwrap().unwrap();
    assert!(first.calls >= 256 - 30 && first.calls < 500, "{}", first.calls);
    assert!(journal.backlog() > 2000);
    let query = DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() };
    assert_eq!(journal.deliveries(&query, &[]).await.unwrap().len(), 3000);
    assert_eq!(first.calls + bring_all_back(&journal).await, 3000 - 45);
    assert_eq!(journal.backlog(), 0);
    assert_eq!(journal.waiting(&lane("a")), 3000 - 45);
    assert_eq!(journal.deliveries(&query, &[]).await.unwrap().len(), 3000);
}
