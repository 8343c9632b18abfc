//! Nodes that are taken for gone while their last transaction is under way.

use super::*;
use crate::journal::crypto::JournalKey;
use crate::journal::postgres::node::NodeThread;
use crate::journal::postgres::{connect, shares};

/// A node whose thread does not run: the test does what it would.
async fn idle_node(server: &Server) -> NodeThread {
    let options = Options { delivers: false, ..options(server, "fleet") };
    let cipher = Cipher::new(&JournalKey::given(&options.key).unwrap()).unwrap();
    let connector =
        Connector::new(options.server.clone(), None, egress(), options.silence()).unwrap();
    NodeThread::open(options, cipher, connector, callbacks()).await.unwrap()
}

#[tokio::test]
async fn what_a_transaction_took_that_outlived_its_lease_is_taken_over() {
    let Some(server) = Server::start() else { return };
    let mut node = idle_node(&server).await;
    // A slow node: its lease is over, and it renews it in a transaction that lasts for longer.
    server
        .sql("INSERT INTO fleet.nodes (id, expires_at, delivers) VALUES (1000, '-infinity', true)");
    let slow = connect::connect(&node.shared.connector).await.unwrap();
    let run = async |sql: &str| slow.batch_execute(sql).await.unwrap();
    run("BEGIN; SELECT fleet.fence(1000, 0, 0);
        UPDATE fleet.shards SET owner = 1000, epoch = epoch + 1;
        INSERT INTO fleet.executions (serial, execution_id, workflow_id, attempt, started_at,
            emit_depth, node, total, open) VALUES (1, 'x', 'p', 1, 0, 0, 1000, 0, 0)")
    .await;
    let end = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while server.sql(waits) == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run("COMMIT").await;
    };
    let (cared, ()) = tokio::join!(shares::care(&mut node), end);
    cared.unwrap();
    assert_eq!(server.sql("SELECT is_gone FROM fleet.nodes WHERE id = 1000"), "t");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.shards WHERE owner = 1000"), "0");
    assert_eq!(server.sql("SELECT ended, finished_at > 0 FROM fleet.executions"), "completed|t");
}
