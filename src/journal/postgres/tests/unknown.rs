//! Transactions whose outcome a node does not know: the connection is cut between a commit and its response.

use super::way::{Passing, Way};
use super::*;
use crate::journal::contract::{commit, completed, delivered, lane};
use crate::journal::{Commit, Records, Refusal};
use crate::streams::{NewEvent, StreamKind};
use crate::time::Timestamp;

const PATIENCE: Duration = Duration::from_millis(500);
/// The patience of a caller that waits until the database is back.
const LONG: Duration = Duration::from_secs(60);

/// The options of a node with a way of its own to the database.
fn through(way: &Way, server: &Server, patience: Duration) -> Options {
    let url = format!("postgres://boss@127.0.0.1:{}/events", way.port);
    let there = PostgreSqlServer::parse(&url).unwrap();
    Options { server: there, patience, ..options(server, "fleet") }
}

/// Waits until a statement prints this.
async fn until(server: &Server, sql: &str, expected: &str) {
    while server.sql(sql) != expected {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const COMMITS: &str = "SELECT count(*) FROM fleet.commits";
const COUNTS: &str = "SELECT total, open, ended IS NOT NULL FROM fleet.executions";

/// Appends a commit that is stored, and whose caller is refused, because nothing reaches the database any
/// more.
async fn refused(
    server: &Server,
    way: &Way,
    node: &PostgresJournal,
    commit: Commit,
) -> Box<Refusal> {
    way.lose_responses();
    let cut = async {
        until(server, "SELECT count(*) > 0 FROM fleet.commits", "t").await;
        way.cut(Passing::Nothing);
    };
    let (appended, ()) = tokio::join!(node.append(commit), cut);
    appended.unwrap_err()
}

#[tokio::test]
async fn a_commit_without_its_response_is_made_once() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let node = open(through(&way, &server, LONG)).unwrap();
    let (commit, _) = commit(&["a", "b"], completed());
    way.lose_responses();
    let cut = async {
        until(&server, COMMITS, "2").await;
        way.cut(Passing::All);
    };
    let (appended, ()) = tokio::join!(node.append(commit), cut);
    assert_eq!(appended.unwrap().len(), 2);
    assert_eq!(server.sql(COUNTS), "2|2|t");
    for key in ["a", "b"] {
        let record = node.lease(&lane(key)).await.unwrap();
        node.settle(&record, delivered());
    }
    node.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT open, delivered FROM fleet.executions"), "0|2");
    assert_eq!(server.sql(COMMITS), "0");
}

#[tokio::test]
async fn a_commit_whose_caller_was_refused_is_taken_back() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let node = open(through(&way, &server, PATIENCE)).unwrap();
    let (commit, _) = commit(&["a", "b"], completed());
    let refusal = refused(&server, &way, &node, commit).await;
    assert_eq!(refusal.commit.items.len(), 2);
    assert_eq!(server.sql(COMMITS), "2");
    way.mend();
    until(&server, COMMITS, "0").await;
    until(&server, COUNTS, "0|0|f").await;
    let mut commit = refusal.commit;
    while let Err(refusal) = node.append(commit).await {
        commit = refusal.commit;
    }
    assert_eq!(server.sql(COUNTS), "2|2|t");
    assert_eq!((node.waiting(&lane("a")), node.waiting(&lane("b"))), (1, 1));
}

#[tokio::test]
async fn a_commit_whose_caller_was_refused_stays_with_the_node_that_delivers_it() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let lease = Duration::from_secs(1);
    let one = open(Options { lease, ..through(&way, &server, PATIENCE) }).unwrap();
    let (commit, _) = commit(&["a"], completed());
    refused(&server, &way, &one, commit).await;
    let two = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    follow_until(&two, || two.waiting(&lane("a")) == 1).await;
    let record = two.lease(&lane("a")).await.unwrap();
    way.mend();
    // The first comes back, and finds out what became of its commit.
    let nodes = "SELECT count(*) FROM fleet.nodes WHERE NOT is_gone";
    until(&server, nodes, "2").await;
    two.settle(&record, delivered());
    two.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT total, open, delivered FROM fleet.executions"), "1|0|1");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.deliveries"), "1");
}

#[tokio::test]
async fn a_commit_after_a_transaction_of_unknown_outcome_is_written() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let node = open(through(&way, &server, PATIENCE)).unwrap();
    way.lose_responses();
    let change = vec![("wh_1".to_owned(), Some("text".to_owned()))];
    let cut = async {
        until(&server, "SELECT count(*) FROM fleet.registrations", "1").await;
        way.cut(Passing::Nothing);
    };
    let (registered, ()) = tokio::join!(node.register(change), cut);
    registered.unwrap_err();
    way.mend();
    let (mut commit, _) = commit(&["a"], completed());
    while let Err(refusal) = node.append(commit).await {
        commit = refusal.commit;
    }
    assert_eq!(server.sql(COMMITS), "1");
    assert_eq!(server.sql(COUNTS), "1|1|t");
}

#[tokio::test]
async fn an_event_without_its_response_is_published_once() {
    use crate::journal::Fleet as _;
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let node = open(through(&way, &server, LONG)).unwrap();
    let event = NewEvent {
        kind: StreamKind::Emits,
        workflow_id: "p_1".into(),
        delivery: Uuid::now_v7(),
        name: "n".into(),
        depth: 0,
        content: b"1"[..].into(),
    };
    way.lose_responses();
    let cut = async {
        until(&server, "SELECT count(*) FROM fleet.events", "1").await;
        way.cut(Passing::All);
    };
    let (published, ()) = tokio::join!(node.publish(event), cut);
    let (stored, _) = published.unwrap();
    assert!(stored.is_repeated);
    let ids = server.sql("SELECT id FROM fleet.events");
    assert_eq!(ids, stored.id.packed().to_string());
}

#[tokio::test]
async fn a_record_whose_lease_cannot_be_written_goes_back_to_its_lane() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let on_interrupted = OnInterrupted::Fail;
    let there = through(&way, &server, PATIENCE);
    let node = open(Options { lease: LONG, on_interrupted, ..there }).unwrap();
    let (commit, _) = commit(&["a", "a"], completed());
    node.append(commit).await.unwrap();
    way.cut(Passing::Nothing);
    assert!(node.lease(&lane("a")).await.is_none(), "it may not be sent");
    way.mend();
    let due = || node.wake_due(Timestamp::steady()).0;
    while due().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let Some(record) = node.lease(&lane("a")).await else { continue };
        seen.push((record.seq, record.attempts));
        node.settle(&record, delivered());
    }
    assert_eq!(seen.iter().map(|(_, attempts)| *attempts).collect::<Vec<_>>(), [1, 1]);
    node.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT open, delivered FROM fleet.executions"), "0|2");
}

#[tokio::test]
async fn a_record_whose_shard_was_taken_before_its_lease_is_the_other_nodes() {
    let Some(server) = Server::start() else { return };
    let on_interrupted = OnInterrupted::Fail;
    let one = open(Options { on_interrupted, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a"], completed());
    one.append(commit).await.unwrap();
    server.sql("UPDATE fleet.nodes SET is_gone = true; UPDATE fleet.shards SET owner = NULL");
    let two = open(Options { lease: Duration::from_secs(1), ..options(&server, "fleet") }).unwrap();
    follow_until(&two, || two.waiting(&lane("a")) == 1).await;
    assert!(one.lease(&lane("a")).await.is_none(), "it is another node's");
    assert_eq!((one.waiting(&lane("a")), one.shared.memory.postponed().len()), (0, 0));
    let record = two.lease(&lane("a")).await.unwrap();
    assert_eq!(record.attempts, 1);
    two.settle(&record, delivered());
    two.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT open, delivered FROM fleet.executions"), "0|1");
}

/// A lane of a shard that this node has.
fn lane_of(node: &PostgresJournal) -> String {
    let ownership = node.shared.ownership();
    let keys = (0..).map(|number| format!("lane{number}"));
    keys.into_iter().find(|key| ownership.serves(node.shared.shard_of(&lane(key)))).unwrap()
}

#[tokio::test]
async fn a_commit_that_another_node_began_with_is_delivered_as_a_whole() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    drop(open(options(&server, "fleet")).unwrap());
    until(&server, "SELECT count(*) FROM fleet.nodes WHERE NOT is_gone", "0").await;
    // Each gets a half of the shards at once, and keeps it.
    server
        .sql("INSERT INTO fleet.nodes (id, expires_at, delivers) VALUES (1000, 'infinity', true)");
    let one = open(Options { lease: LONG, ..through(&way, &server, PATIENCE) }).unwrap();
    server.sql("DELETE FROM fleet.nodes WHERE id = 1000");
    let two = open(Options { lease: LONG, ..options(&server, "fleet") }).unwrap();
    let (own, other) = (lane_of(&one), lane_of(&two));
    let (commit, _) = commit(&[&own, &other], completed());
    refused(&server, &way, &one, commit).await;
    assert_eq!(one.shared.ownership().appending.len(), 2, "it may be taken back");
    follow_until(&two, || two.waiting(&lane(&other)) == 1).await;
    // From here on it is not.
    assert_eq!(server.sql("SELECT count(*) FROM fleet.inbox"), "0");
    way.mend();
    follow_until(&one, || one.waiting(&lane(&own)) == 1).await;
    for (node, key) in [(&one, &own), (&two, &other)] {
        let record = node.lease(&lane(key)).await.unwrap();
        node.settle(&record, delivered());
        node.shared.written().await.unwrap();
    }
    assert_eq!(server.sql("SELECT total, open, delivered FROM fleet.executions"), "2|0|2");
    assert!(one.shared.ownership().appending.is_empty());
}

#[tokio::test]
async fn a_transaction_that_arrives_after_it_was_given_up_changes_nothing() {
    let Some(server) = Server::start() else { return };
    let way = Way::to(server.port());
    let lease = Duration::from_secs(4);
    let node = open(Options { lease, ..through(&way, &server, PATIENCE) }).unwrap();
    // The first connection is the one that writes.
    let writer = server.sql(
        "SELECT pid FROM pg_stat_activity WHERE datname = 'events' AND pid <> pg_backend_pid()
            AND backend_type = 'client backend' ORDER BY backend_start LIMIT 1",
    );
    let (commit, _) = commit(&["a"], completed());
    way.hold();
    let mut commit = node.append(commit).await.unwrap_err().commit;
    while let Err(refusal) = node.append(commit).await {
        commit = refusal.commit;
    }
    assert_eq!(server.sql(COUNTS), "1|1|t");
    way.release();
    let session = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {writer}");
    until(&server, &session, "0").await;
    assert_eq!(server.sql(COMMITS), "1");
    assert_eq!(server.sql(COUNTS), "1|1|t");
}

#[tokio::test]
async fn a_question_that_is_refused_says_nothing_of_a_commit() {
    use error::Trouble;
    use op::Waiter;
    let Some(server) = Server::start() else { return };
    let journal = open(options(&server, "fleet")).unwrap();
    let mut node = idle_node(options(&server, "fleet")).await;
    let (commit, _) = commit(&["a"], completed());
    let append = journal.shared.append_op(&commit, 1, &[0]).unwrap();
    let (answer, mut answered) = tokio::sync::oneshot::channel();
    let waiter = Waiter { answer, since: std::time::Instant::now() };
    let mut batch = vec![Op::Append(Box::new(append), Some(waiter))];
    let refused = || Trouble::Refused(error::silent());
    node.unknown = Some(1);
    node.handle(&mut batch, refused()).await;
    assert_eq!(batch.len(), 1);
    answered.try_recv().unwrap_err();
    node.unknown = None;
    node.handle(&mut batch, refused()).await;
    assert!(batch.is_empty() && answered.try_recv().unwrap().is_err());
}

#[tokio::test]
async fn a_record_of_a_shard_that_was_let_go_does_not_wait_twice() {
    let Some(server) = Server::start() else { return };
    let earlier = open(options(&server, "fleet")).unwrap();
    let (commit, _) = commit(&["a"], completed());
    earlier.append(commit).await.unwrap();
    let record = earlier.lease(&lane("a")).await.unwrap();
    let hour = Timestamp::steady().after(Duration::from_secs(3600));
    earlier.postpone(&lane("a"), record, hour, "again".to_owned());
    earlier.close().await;
    let node =
        open(Options { lease: Duration::from_secs(1), ..options(&server, "fleet") }).unwrap();
    let brought = node.refill().await.unwrap().unwrap().delayed.pop().unwrap();
    let before = node.shared.ownership().node;
    server.sql("UPDATE fleet.nodes SET is_gone = true; UPDATE fleet.shards SET owner = NULL");
    while node.shared.ownership().node == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.delay(brought.lane, brought.record, brought.due);
    let mut again = Vec::new();
    while again.is_empty() {
        again = node.refill().await.unwrap().map(|refill| refill.delayed).unwrap_or_default();
    }
    for delayed in again {
        node.delay(delayed.lane, delayed.record, delayed.due);
    }
    assert_eq!(node.shared.memory.postponed().values().sum::<usize>(), 1);
}
