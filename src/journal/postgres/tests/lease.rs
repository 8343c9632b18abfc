//! A node whose lease is over.

use std::collections::HashMap;
use std::time::Instant;

use super::*;
use crate::journal::contract::{commit, completed, lane};

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
