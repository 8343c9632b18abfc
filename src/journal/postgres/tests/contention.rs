//! Two nodes that want the same rows: dead letters that both replay or dismiss, and transactions that
//! wait for each other.

use super::*;
use crate::execution::{DeliveryQuery, Force, Selection, SkipReason};
use crate::journal::contract::{commit, completed, delivered, failed, lane};
use crate::journal::{Commit, Completion, Replayable, Selected};

fn everything() -> Selection {
    Selection::Query(DeliveryQuery::default())
}

/// Leaves so many dead letters, of one execution.
async fn fail(journal: &PostgresJournal, calls: usize) {
    let (commit, _) = commit(&vec!["a"; calls], completed());
    journal.append(commit).await.unwrap();
    for _ in 0..calls {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, failed());
    }
    journal.shared.written().await.unwrap();
}

/// Returns the commit that replays every dead letter.
async fn replay_of(journal: &PostgresJournal, seed: u64) -> Commit {
    let Selected { calls, .. } = journal.replayable(&everything()).await.unwrap();
    let execution = Arc::clone(&calls[0].execution);
    let item = |Replayable { item, .. }| (lane("a"), item);
    let items = calls.into_iter().map(item).collect();
    Commit { execution, seed, items, completion: Completion::Continues, forwards: None }
}

async fn skipped(journal: &PostgresJournal, id: Uuid) -> SkipReason {
    let by_id = Selection::Ids(vec![id], Force::No);
    journal.replayable(&by_id).await.unwrap().skipped[0].1
}

fn counts(server: &Server) -> String {
    server
        .sql("SELECT total, open, failed, dismissed FROM fleet.executions ORDER BY serial LIMIT 1")
}

#[tokio::test]
async fn a_dead_letter_is_replayed_by_one_of_two_nodes() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet")).unwrap();
    fail(&one, 3).await;
    let two = open(options(&server, "fleet")).unwrap();
    let (first, second) = (replay_of(&one, 98).await, replay_of(&two, 99).await);
    let ids: Vec<Uuid> =
        second.items.iter().map(|(_, item)| item.replay.as_ref().unwrap().id).collect();
    one.append(first).await.unwrap();
    // What is written in the same transaction is not refused.
    let (other, _) = commit(&["b"], completed());
    let (refused, kept) = tokio::join!(two.append(second), two.append(other));
    kept.unwrap();
    let refusal = refused.unwrap_err();
    assert_eq!(refusal.taken, ids);
    assert_eq!(refusal.commit.items.len(), 3);
    assert_eq!(skipped(&two, ids[0]).await, SkipReason::UnderWay);
    assert_eq!(counts(&server), "3|3|0|0");
}

#[tokio::test]
async fn nodes_that_replay_at_once_take_each_dead_letter_once() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet")).unwrap();
    for _ in 0..20 {
        fail(&one, 1).await;
    }
    let two = open(options(&server, "fleet")).unwrap();
    let replays = async |journal: &PostgresJournal, seed: u64| -> usize {
        let Selected { calls, .. } = journal.replayable(&everything()).await.unwrap();
        let one_each = calls.into_iter().map(async |Replayable { execution, item, .. }| {
            let (items, completion) = (vec![(lane("a"), item)], Completion::Continues);
            let commit = Commit { execution, seed, items, completion, forwards: None };
            usize::from(journal.append(commit).await.is_ok())
        });
        futures_util::future::join_all(one_each).await.iter().sum()
    };
    let (first, second) = tokio::join!(replays(&one, 98), replays(&two, 99));
    assert_eq!(first + second, 20, "{first} and {second}");
    let open = server.sql("SELECT sum(open), sum(failed), count(*) FROM fleet.executions");
    assert_eq!(open, "20|0|20");
}

#[tokio::test]
async fn a_call_that_another_node_dismisses_is_not_replayed() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet")).unwrap();
    fail(&one, 2).await;
    let two = open(options(&server, "fleet")).unwrap();
    let commit = replay_of(&one, 98).await;
    let id = commit.items[0].1.replay.as_ref().unwrap().id;
    let selection = everything();
    let (first, second) = tokio::join!(one.dismiss(&selection), two.dismiss(&selection));
    assert_eq!(first.unwrap() + second.unwrap(), 2);
    let refusal = one.append(commit).await.unwrap_err();
    assert_eq!(refusal.taken.len(), 2);
    assert_eq!(skipped(&one, id).await, SkipReason::Dismissed);
    assert_eq!(counts(&server), "2|0|0|2");
}

#[tokio::test]
async fn a_replay_that_its_caller_was_refused_leaves_a_dead_letter() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet")).unwrap();
    fail(&one, 1).await;
    let before = server.sql("SELECT ended, completed_at FROM fleet.executions");
    let commit = replay_of(&one, 98).await;
    let first_seq = one.shared.next_seq.load(Ordering::Relaxed);
    let by_shard = one.shared.by_shard(&commit.items);
    let append = one.shared.append_op(&commit, first_seq, &by_shard).unwrap();
    one.append(commit).await.unwrap();
    assert_eq!(counts(&server), "1|1|0|0");
    one.close().await;
    let node = idle_node(options(&server, "fleet")).await;
    // Once more, as after a removal that was not acknowledged.
    for _ in 0..2 {
        node.undo(&append).await.unwrap();
        assert_eq!(counts(&server), "1|0|1|0");
    }
    let ended = "SELECT ended, completed_at FROM fleet.executions WHERE finished_at IS NOT NULL";
    assert_eq!(server.sql(ended), before);
    assert_eq!(server.sql("SELECT count(*) FROM fleet.deliveries WHERE replayed_by IS NULL"), "1");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.commits WHERE is_open"), "0");
}

#[tokio::test]
async fn a_deadlock_refuses_no_commit() {
    let Some(server) = Server::start() else { return };
    // The node's transaction is the one that PostgreSQL ends.
    server.sql("ALTER ROLE boss SET deadlock_timeout TO '3s'");
    let one = open(options(&server, "fleet")).unwrap();
    let (commit, execution) = commit(&["a"], Completion::Continues);
    let seed = commit.seed;
    one.append(commit).await.unwrap();
    let client = connect::connect(&one.shared.connector).await.unwrap();
    let run = async |sql: &str| client.batch_execute(sql).await.unwrap();
    run("BEGIN; SET LOCAL deadlock_timeout TO '60s'; SELECT 1 FROM fleet.executions FOR UPDATE")
        .await;
    let (items, completion) = (vec![], completed());
    let end = Commit { execution, seed, items, completion, forwards: None };
    let lock = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while server.sql(waits) == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The node holds this row, and waits for the other.
        run("UPDATE fleet.nodes SET opened_at = opened_at").await;
        run("COMMIT").await;
    };
    let (ended, ()) = tokio::join!(one.append(end), lock);
    ended.unwrap();
    let record = one.lease(&lane("a")).await.unwrap();
    one.settle(&record, delivered());
    one.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT ended, open FROM fleet.executions"), "completed|0");
}
