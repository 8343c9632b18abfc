//! Batches that another node sealed.

use futures_util::FutureExt as _;

use super::*;
use crate::journal::contract::{commit, completed, lane, sealed};
use crate::journal::{Record, Tenure};

/// Records two parts, of which one look reads only the first. Returns the numbers of their calls.
async fn two_parts(node: &PostgresJournal) -> Vec<Record> {
    for calls in [300, 2] {
        let (commit, _) = commit(&vec!["a"; calls], completed());
        node.append(commit).await.unwrap();
    }
    std::iter::from_fn(|| node.join(&lane("a"))).map(|(record, _)| record).collect()
}

#[tokio::test]
async fn the_records_of_a_batch_wait_for_no_room_before_all_of_them_are_read() {
    let Some(server) = Server::start() else { return };
    let earlier = open(options(&server, "fleet")).unwrap();
    let records = two_parts(&earlier).await;
    let tenure = Tenure(1);
    let numbers = records.iter().map(|record| record.seq).collect();
    assert!(earlier.seal(&sealed(&records, "b/key"), tenure, numbers).await.unwrap());
    earlier.close().await;
    let node = open(options(&server, "fleet")).unwrap();
    assert_eq!(node.refill().await.unwrap().unwrap().calls, 300);
    // As if the batch had as many.
    node.shared.in_lanes.store(refill::MAX_IN_LANES, Ordering::Release);
    node.room().now_or_never().unwrap();
    let mut batches = Vec::new();
    while batches.is_empty() {
        batches = node.refill().await.unwrap().unwrap().batches;
    }
    assert_eq!(batches[0].records.len(), 302);
    assert!(node.room().now_or_never().is_none(), "it is being stored");
}

#[tokio::test]
async fn what_was_not_read_of_a_shard_that_was_let_go_is_read_anew() {
    let Some(server) = Server::start() else { return };
    let earlier = open(options(&server, "fleet")).unwrap();
    let records = two_parts(&earlier).await;
    earlier.close().await;
    let lease = Duration::from_secs(1);
    let node = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    assert_eq!(node.refill().await.unwrap().unwrap().calls, 300);
    // Another node has the shard for a while, and seals the other part.
    let shard = node.shared.shard_of(&lane("a"));
    server.sql(&format!(
        "INSERT INTO fleet.batches (id, shard, destination, lane, name, reason, sealed_at, records)
         VALUES ({one}, {shard}, 'http', 'a', 'b/key', 'flush', 0, '[{one}, {two}]')",
        one = records[300].seq,
        two = records[301].seq
    ));
    node.shared.let_go(&HashSet::from([shard]));
    while !node.shared.ownership().serves(shard) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut batches = Vec::new();
    while let Some(refill) = node.refill().await.unwrap() {
        batches.extend(refill.batches);
    }
    assert_eq!(batches.iter().map(|batch| batch.records.len()).collect::<Vec<_>>(), [2]);
    assert_eq!(node.waiting(&lane("a")), 300);
    node.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM fleet.batches"), "1");
}
