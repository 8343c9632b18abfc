//! A database that is slow: what waits for it goes on.

use super::*;

/// Removes a partition, which the next node makes again.
const REMOVE: &str = "DO $$ BEGIN
    EXECUTE (SELECT 'DROP TABLE fleet.' || max(relname) FROM pg_class
        WHERE relname LIKE 'deliveries_d%' AND relkind = 'r');
    END $$";

#[tokio::test]
async fn a_node_that_opens_for_longer_than_its_lease_is_not_replaced() {
    let Some(server) = Server::start() else { return };
    let mut first = idle_node(options(&server, "fleet")).await;
    server.sql(REMOVE);
    let reader = connect::connect(&first.shared.connector).await.unwrap();
    reader.batch_execute("BEGIN; LOCK TABLE fleet.deliveries IN ACCESS SHARE MODE").await.unwrap();
    let lease = Duration::from_secs(1);
    let opening = idle_node(Options { lease, ..options(&server, "fleet") });
    let caring = async {
        loop {
            shares::care(&mut first).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let second = tokio::select! {
        second = opening => second,
        () = caring => unreachable!("it goes on for ever"),
    };
    let id = second.shared.ownership().node;
    assert_eq!(server.sql(&format!("SELECT is_gone FROM fleet.nodes WHERE id = {id}")), "f");
}

/// Reads, while a silence of the database is noted.
async fn read_in_silence(options: Options) -> crate::error::Result<usize> {
    let node = idle_node(options).await;
    let shared = Arc::clone(&node.shared);
    let columns = Columns::default();
    let reader = shared.reader.lock().await;
    let silence = async {
        shared.silent.notify_waiters();
        drop(reader);
    };
    let (rows, ()) =
        tokio::join!(biased; shared.read("SELECT version FROM meta", &columns), silence);
    rows.map(|rows| rows.len())
}

#[tokio::test]
async fn a_read_that_a_silence_ends_is_made_again() {
    let Some(server) = Server::start() else { return };
    assert_eq!(read_in_silence(options(&server, "fleet")).await.unwrap(), 1);
}

/// Ends the sessions that wait for a lock.
const END: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";

#[tokio::test]
async fn a_read_whose_session_the_server_ends_is_made_again() {
    let Some(server) = Server::start() else { return };
    let node = idle_node(options(&server, "fleet")).await;
    let shared = Arc::clone(&node.shared);
    let columns = Columns::default();
    let other = connect::connect(&shared.connector).await.unwrap();
    other.batch_execute("BEGIN; LOCK TABLE fleet.meta").await.unwrap();
    // A transaction sees the activities of its beginning.
    let admin = connect::connect(&shared.connector).await.unwrap();
    let ending = async {
        while admin.query_typed(END, &[]).await.unwrap().is_empty() {}
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (rows, ()) = tokio::join!(shared.read("SELECT version FROM meta", &columns), ending);
    assert_eq!(rows.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_gives_up_when_the_silence_outlasts_the_patience() {
    let Some(server) = Server::start() else { return };
    let impatient = Options { patience: Duration::ZERO, ..options(&server, "fleet") };
    let refused = read_in_silence(impatient).await.unwrap_err();
    assert!(refused.to_string().contains("does not respond"));
}
