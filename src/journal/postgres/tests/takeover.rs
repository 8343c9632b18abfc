//! Nodes that are taken for gone while their last transaction is under way.

use super::*;

/// A node that is slow: its lease is over, and it renews it in a transaction that lasts for longer.
const SLOW: &str = "
    INSERT INTO fleet.nodes (id, expires_at, delivers) VALUES (1000, '-infinity', true)";
/// Its changes there.
const CHANGES: &str = "
    UPDATE fleet.shards SET owner = 1000, epoch = epoch + 1;
    INSERT INTO fleet.executions (serial, execution_id, workflow_id, attempt, started_at, emit_depth,
        node, total, open) VALUES (1, 'x', 'p', 1, 0, 0, 1000, 0, 0)";
const OWNED: &str = "SELECT count(*) FROM fleet.shards WHERE owner = 1000";

#[tokio::test]
async fn a_node_in_a_transaction_is_not_taken_for_gone() {
    let Some(server) = Server::start() else { return };
    let mut node = idle_node(Options { delivers: false, ..options(&server, "fleet") }).await;
    server.sql(SLOW);
    let slow = connect::connect(&node.shared.connector).await.unwrap();
    let begin = format!("BEGIN; SELECT fleet.fence(1000, 0, 60000); {CHANGES}");
    slow.batch_execute(&begin).await.unwrap();
    // It waits for nothing: this node renews its own lease.
    shares::care(&mut node).await.unwrap();
    slow.batch_execute("COMMIT").await.unwrap();
    assert_eq!(server.sql(OWNED), "64");
    shares::care(&mut node).await.unwrap();
    assert_eq!(server.sql("SELECT is_gone FROM fleet.nodes WHERE id = 1000"), "f");
    assert_eq!(server.sql(OWNED), "64");
}

#[tokio::test]
async fn what_a_node_took_that_is_gone_is_free() {
    let Some(server) = Server::start() else { return };
    let mut node = idle_node(Options { delivers: false, ..options(&server, "fleet") }).await;
    server.sql(SLOW);
    server.sql(CHANGES);
    // Another node saw the end of its lease, and not yet what it had changed.
    server.sql("UPDATE fleet.nodes SET is_gone = true WHERE id = 1000");
    shares::care(&mut node).await.unwrap();
    assert_eq!(server.sql(OWNED), "0");
    assert_eq!(server.sql("SELECT ended, finished_at > 0 FROM fleet.executions"), "completed|t");
}
