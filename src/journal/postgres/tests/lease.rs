//! A node whose lease is over.

use std::collections::HashMap;
use std::time::Instant;

use futures_util::FutureExt as _;

use super::*;
use crate::journal::contract::{commit, completed, lane, sealed};

#[tokio::test]
async fn nothing_waits_for_its_turn_while_the_lease_is_over() {
    let Some(server) = Server::start() else { return };
    let lease = Duration::from_secs(600);
    let node = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a"], completed());
    node.append(commit).await.unwrap();
    let (all, empty) = (HashMap::from([(lane("a"), 1)]), HashMap::new());
    assert_eq!((node.waiting(&lane("a")), node.postponed()), (1, empty.clone()));
    node.shared.ownership().valid_until = Instant::now();
    assert!(node.lease(&lane("a")).await.is_none());
    assert_eq!((node.waiting(&lane("a")), node.postponed()), (0, all));
    // Every transaction renews it.
    node.shared.ops.wait(Op::Sync).await.unwrap();
    assert_eq!((node.waiting(&lane("a")), node.postponed()), (1, empty));
    let refill = node.refill().await.unwrap().unwrap();
    assert_eq!(refill.lanes, [lane("a")]);
}

#[tokio::test]
async fn no_record_joins_a_batch_while_the_lease_is_over() {
    let Some(server) = Server::start() else { return };
    let lease = Duration::from_secs(600);
    let node = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a", "a"], completed());
    node.append(commit).await.unwrap();
    let (first, tenure) = node.join(&lane("a")).unwrap();
    node.shared.ownership().valid_until = Instant::now();
    assert!(node.join(&lane("a")).is_none());
    // A task that gathers ends with this, instead of looking again and again.
    assert_eq!(node.waiting(&lane("a")), 0);
    // The batch that grows is sealed all the same: no other node has the shard.
    let batch = sealed(std::slice::from_ref(&first), "b/key");
    assert!(node.seal(&batch, tenure, vec![first.seq]).await.unwrap());
    // That has renewed the lease, and the rest is looked at again.
    let refill = node.refill().await.unwrap().unwrap();
    assert_eq!(refill.lanes, [lane("a")]);
    let (second, same) = node.join(&lane("a")).unwrap();
    assert_eq!((second.seq, same), (first.seq + 1, tenure));
}

#[tokio::test]
async fn a_lane_whose_lease_is_back_is_looked_at_while_the_lanes_are_full() {
    let Some(server) = Server::start() else { return };
    let lease = Duration::from_secs(600);
    let node = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a"], completed());
    node.append(commit).await.unwrap();
    while node.refill().await.unwrap().is_some() {}
    node.shared.in_lanes.store(refill::MAX_IN_LANES, Ordering::Release);
    let mut room = node.room();
    assert!((&mut room).now_or_never().is_none());
    node.shared.ownership().valid_until = Instant::now();
    node.shared.ops.wait(Op::Sync).await.unwrap();
    room.await;
    assert_eq!(node.refill().await.unwrap().unwrap().lanes, [lane("a")]);
    assert!(node.room().now_or_never().is_none());
}

#[tokio::test]
async fn nothing_waits_in_a_lane_that_another_node_is_to_have() {
    let Some(server) = Server::start() else { return };
    let node = open(options(&server, "fleet")).unwrap();
    let (commit, _) = commit(&["a"], completed());
    node.append(commit).await.unwrap();
    let shard = node.shared.shard_of(&lane("a"));
    node.shared.ownership().draining.insert(shard);
    assert!(node.join(&lane("a")).is_none());
    // A task that gathers ends with this, instead of looking again and again.
    assert_eq!(node.waiting(&lane("a")), 0);
}
