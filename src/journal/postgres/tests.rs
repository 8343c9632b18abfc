//! The journal over a real PostgreSQL, which each test starts: the contract, the model, two nodes, and
//! what goes wrong.

mod contention;
mod events;
mod kept;
mod lease;
mod moving;
mod refused;
mod restored;
mod server;
mod slow;
mod takeover;
mod unknown;
mod way;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::egress::{Egress, Policy, SystemLookup};
use crate::error::ErrorKind;
use crate::execution::RequestLog;
use crate::journal::contract::{self, model};
use crate::journal::{Batches, History, Queue, Recovery};
use node::NodeThread;
use op::Op;
use params::Columns;
use refill::InboxPart;
use server::Server;

fn options(server: &Server, schema: &str) -> Options {
    Options {
        server: PostgreSqlServer::parse(&server.url("boss")).unwrap(),
        ca: None,
        schema: schema.to_owned(),
        shards: 64,
        key: vec![7; 32],
        patience: Duration::from_secs(10),
        lease: Duration::from_secs(10),
        on_interrupted: OnInterrupted::Resend,
        retention: Retention { max_executions_per_workflow: 1000, ..Retention::default() },
        delivers: true,
    }
}

fn egress() -> Egress {
    let policy = Policy::new(&crate::egress::Options::default()).unwrap();
    Egress::new(policy, Arc::new(SystemLookup::new()))
}

fn open(options: Options) -> crate::error::Result<PostgresJournal> {
    PostgresJournal::open(options, egress(), callbacks())
}

/// Opens a node whose thread does not run: the test does what it would.
async fn idle_node(options: Options) -> NodeThread {
    let cipher = Cipher::new(&JournalKey::given(&options.key).unwrap()).unwrap();
    let (server, silence) = (options.server.clone(), options.silence());
    let connector = Connector::new(server, None, egress(), silence).unwrap();
    NodeThread::open(options, cipher, connector, callbacks()).await.unwrap()
}

fn callbacks() -> Callbacks {
    Callbacks {
        describe: Box::new(|_, payload| RequestLog::recorded(payload, 1024)),
        report: Box::new(|_| {}),
        is_followed: Box::new(|| true),
        receive_events: Arc::new(|_| Vec::new()),
    }
}

fn numbered(server: &Server, number: usize) -> Options {
    options(server, &format!("journal {number}"))
}

#[tokio::test]
async fn the_journal_in_postgresql_keeps_its_promises() {
    let Some(server) = Server::start() else { return };
    let next = std::cell::Cell::new(0);
    contract::check(|| {
        next.set(next.get() + 1);
        open(numbered(&server, next.get())).unwrap()
    })
    .await;
}

#[tokio::test]
async fn the_journal_in_postgresql_recovers() {
    let Some(server) = Server::start() else { return };
    let next = std::cell::Cell::new(0);
    let opened = || {
        next.set(next.get() + 1);
        open(numbered(&server, next.get())).unwrap()
    };
    let reopen = async |journal: PostgresJournal| {
        journal.close().await;
        open(numbered(&server, next.get())).unwrap()
    };
    contract::recovery::check(opened, reopen).await;
}

#[test]
fn the_journal_in_postgresql_is_as_its_model() {
    let Some(server) = Server::start() else { return };
    let next = std::cell::Cell::new(1000);
    let config =
        ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let checked = runner.run(&model::steps(), |steps| {
        next.set(next.get() + 1);
        let reopen = async |journal: PostgresJournal| {
            journal.close().await;
            open(numbered(&server, next.get())).unwrap()
        };
        let journal = open(numbered(&server, next.get())).unwrap();
        model::run(model::check(journal, Some(reopen), steps));
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn another_journal_is_refused_before_anything_is_taken() {
    let Some(server) = Server::start() else { return };
    let set_up = open(options(&server, "fleet")).unwrap();
    drop(set_up);
    let refused = |options: Options| {
        let error = open(options).unwrap_err();
        (error.kind(), error.to_string())
    };
    let same = options(&server, "fleet");
    let (kind, message) = refused(Options { key: vec![8; 32], ..same.clone() });
    assert_eq!(kind, ErrorKind::InvalidOption);
    assert!(message.contains("journal.key") && message.contains("another key"), "{message}");
    let (kind, message) = refused(Options { shards: 32, ..same.clone() });
    assert_eq!(kind, ErrorKind::InvalidOption);
    assert!(message.contains("has 64 shards, not 32"), "{message}");
    server.sql("CREATE SCHEMA other; CREATE TABLE other.x (); CREATE ROLE guest LOGIN");
    let (_, message) = refused(options(&server, "other"));
    assert!(message.contains("tables of something else"), "{message}");
    let url = PostgreSqlServer::parse(&server.url("guest")).unwrap();
    for schema in ["fleet", "new"] {
        let guest = Options { server: url.clone(), ..options(&server, schema) };
        let (kind, message) = refused(guest);
        assert_eq!(kind, ErrorKind::Journal);
        assert!(message.contains("the role needs CREATE"), "{message}");
    }
    server.sql("UPDATE fleet.meta SET version = 6");
    let (_, message) = refused(same);
    assert!(message.contains("layout 6") && message.contains("newer version"), "{message}");
    let owners = server.sql("SELECT count(*) FROM fleet.nodes");
    assert_eq!(owners, "1", "nothing was taken");
}

#[tokio::test]
async fn a_node_joins_others_of_the_next_version() {
    use crate::execution::{DeliveryQuery, Status};
    use contract::{commit, completed, delivered, lane};
    let Some(server) = Server::start() else { return };
    let running = open(options(&server, "fleet")).unwrap();
    // What the next version adds is unknown to this one, and so is its number.
    server.sql(
        "ALTER TABLE fleet.deliveries ADD COLUMN later text;
         CREATE TABLE fleet.later (); UPDATE fleet.meta SET version = 5",
    );
    let (first, _) = commit(&["a"], completed());
    running.append(first).await.unwrap();
    drop(running);
    let started = open(options(&server, "fleet")).unwrap();
    follow_until(&started, || started.waiting(&lane("a")) == 1).await;
    let record = started.lease(&lane("a")).await.unwrap();
    started.settle(&record, delivered());
    started.shared.written().await.unwrap();
    let found = started.deliveries(&DeliveryQuery::default(), &[]).await.unwrap();
    assert_eq!(
        found.iter().map(|(_, entry)| entry.status).collect::<Vec<_>>(),
        [Status::Delivered]
    );
    assert_eq!(server.sql("SELECT version FROM fleet.meta"), "5", "the layout stays");
}

/// Brings everything that arrives into the lanes until a condition holds.
async fn follow_until(journal: &PostgresJournal, holds: impl Fn() -> bool) {
    while !holds() {
        let arrived = tokio::time::timeout(Duration::from_millis(20), journal.arrival()).await;
        if arrived.is_ok() {
            let _ = journal.refill().await;
        }
    }
}

#[tokio::test]
async fn a_node_that_was_replaced_changes_nothing() {
    use crate::execution::{DeliveryQuery, Status};
    use contract::{commit, completed, delivered, lane};
    let Some(server) = Server::start() else { return };
    // It looks at its lease too seldom to come back before another node has taken over.
    let lease = Duration::from_secs(60);
    let one = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    let lease = Duration::from_secs(1);
    let (commit, _) = commit(&["a", "a"], completed());
    one.append(commit).await.unwrap();
    let record = one.lease(&lane("a")).await.unwrap();
    one.shared.written().await.unwrap();
    // Another node takes over, as after a standstill.
    server.sql("UPDATE fleet.nodes SET is_gone = true");
    server.sql("UPDATE fleet.shards SET owner = NULL");
    let two = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    follow_until(&two, || two.waiting(&lane("a")) == 2).await;
    one.settle(&record, delivered());
    follow_until(&one, || one.waiting(&lane("a")) == 0).await;
    let query = DeliveryQuery::default();
    let statuses = async || -> Vec<Status> {
        let found = two.deliveries(&query, &[]).await.unwrap();
        found.iter().map(|(_, entry)| entry.status).collect()
    };
    assert_eq!(statuses().await, [Status::Pending; 2]);
    for _ in 0..2 {
        let record = two.lease(&lane("a")).await.unwrap();
        two.settle(&record, delivered());
    }
    assert_eq!(statuses().await, [Status::Delivered; 2]);
    assert_eq!(server.sql("SELECT open, delivered FROM fleet.executions"), "0|2");
}

#[tokio::test]
async fn a_batch_of_a_node_that_was_replaced_is_not_sealed() {
    use contract::{commit, completed, lane, sealed};
    let Some(server) = Server::start() else { return };
    let lease = Duration::from_secs(1);
    let one = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a", "a"], completed());
    one.append(commit).await.unwrap();
    let joined: Vec<_> = std::iter::from_fn(|| one.join(&lane("a"))).collect();
    let tenure = joined[0].1;
    let records: Vec<_> = joined.into_iter().map(|(record, _)| record).collect();
    let numbers: Vec<u64> = records.iter().map(|record| record.seq).collect();
    one.shared.written().await.unwrap();
    // It stands still, is taken for dead, and goes on as another node, to which all shards fall again.
    server.sql("UPDATE fleet.nodes SET is_gone = true");
    server.sql("UPDATE fleet.shards SET owner = NULL, epoch = epoch + 1");
    follow_until(&one, || one.waiting(&lane("a")) == 2).await;
    let batch = sealed(&records, "b/key");
    assert!(!one.seal(&batch, tenure, numbers.clone()).await.unwrap());
    assert_eq!(server.sql("SELECT count(*) FROM fleet.batches"), "0");
    for record in &records {
        one.leave(record);
    }
    // They wait in its lanes once more, and make a batch of their own.
    let again: Vec<_> = std::iter::from_fn(|| one.join(&lane("a"))).collect();
    let renewed = again[0].1;
    assert_ne!(renewed, tenure);
    let again: Vec<u64> = again.iter().map(|(record, _)| record.seq).collect();
    assert_eq!(again, numbers);
    assert!(one.seal(&batch, renewed, again).await.unwrap());
    assert_eq!(server.sql("SELECT count(*) FROM fleet.batches"), "1");
}

#[tokio::test]
async fn a_node_leaves_the_inbox_and_the_batches_of_other_nodes_alone() {
    let Some(server) = Server::start() else { return };
    let one = open(options(&server, "fleet")).unwrap();
    let two = open(options(&server, "fleet")).unwrap();
    let write = |shard: &str| {
        server.sql(&format!(
            "DELETE FROM fleet.inbox; DELETE FROM fleet.batches;
             INSERT INTO fleet.inbox (first_seq, shard) SELECT 1, {shard};
             INSERT INTO fleet.batches (id, shard, destination, lane, name, reason, sealed_at, records)
             SELECT 1, {shard}, 's3', 'b', 'b/key', 'flush', 0, '[]'"
        ));
    };
    let rows = || {
        server.sql("SELECT count(*) FROM (SELECT FROM fleet.inbox UNION ALL SELECT FROM fleet.batches) rows")
    };
    let finish = async |node: &PostgresJournal| {
        let conclusion = "{}".to_owned();
        let ops = [Op::Conclude { batch: 1, conclusion }, Op::Forget { batch: 1 }];
        node.shared.ops.push_all(ops);
        node.shared.written().await.unwrap();
        let held = node.shared.ownership().held.clone();
        let parts = held.into_iter().map(|(shard, epoch)| InboxPart { first_seq: 1, shard, epoch });
        node.shared.arrivals().inbox.extend(parts);
        while node.refill().await.unwrap().is_some() {}
    };
    // As one that stood still goes on with what it had read before its shards were taken.
    let node = one.shared.ownership().node;
    let owned = format!("(SELECT max(shard) FROM fleet.shards WHERE owner = {node})");
    write(&owned);
    finish(&two).await;
    assert_eq!(rows(), "2");
    assert_eq!(server.sql("SELECT count(conclusion) FROM fleet.batches"), "0");
    write(&owned);
    finish(&one).await;
    assert_eq!(rows(), "0");
}

#[tokio::test]
async fn nothing_is_lost_while_the_database_is_restarted() {
    use contract::{commit, completed, delivered, lane};
    let Some(mut server) = Server::start() else { return };
    let journal = open(options(&server, "fleet")).unwrap();
    for _ in 0..20 {
        let (commit, _) = commit(&["a"], completed());
        journal.append(commit).await.unwrap();
    }
    for _ in 0..10 {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, delivered());
    }
    server.restart();
    let (commit, _) = commit(&["a"], completed());
    journal.append(commit).await.unwrap();
    journal.shared.written().await.unwrap();
    let count = |sql: &str| server.sql(&format!("SELECT count(*) FROM fleet.{sql}"));
    assert_eq!(count("deliveries"), "10");
    assert_eq!(count("commits"), "11");
    assert_eq!(count("executions WHERE finished_at IS NOT NULL"), "10");
}

#[tokio::test]
async fn a_database_that_stays_away_refuses_a_commit_and_keeps_nothing_of_it() {
    use contract::{commit, completed};
    let Some(mut server) = Server::start() else { return };
    let patience = Duration::from_millis(300);
    let journal = open(Options { patience, ..options(&server, "fleet") }).unwrap();
    server.stop();
    let (commit, _) = commit(&["a", "b"], completed());
    let refusal = journal.append(commit).await.unwrap_err();
    assert!(refusal.error.to_string().contains("journal.patienceMs"), "{}", refusal.error);
    assert_eq!(refusal.commit.items.len(), 2);
    server.restart();
    let mut commit = refusal.commit;
    while let Err(refusal) = journal.append(commit).await {
        commit = refusal.commit;
    }
    assert_eq!(server.sql("SELECT total, open FROM fleet.executions"), "2|2");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.commits"), "2");
}

#[tokio::test]
async fn retention_drops_whole_days_whose_executions_are_finished() {
    use contract::{commit, completed, delivered, lane};
    let Some(server) = Server::start() else { return };
    let retention = Retention { max_age: Duration::from_secs(86_400), ..Retention::default() };
    let journal = open(Options { retention, ..options(&server, "fleet") }).unwrap();
    let (commit, _) = commit(&["a"], completed());
    journal.append(commit).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, delivered());
    journal.close().await;
    let days = |table: &str| {
        server.sql(&format!(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'fleet.{table}'::regclass"
        ))
    };
    // Today, three days ahead, and the one of all others.
    assert_eq!((days("deliveries"), days("executions")), ("5".to_owned(), "5".to_owned()));
    server.sql(
        "SET search_path TO fleet;
         CREATE TABLE deliveries_d100 PARTITION OF deliveries
             FOR VALUES FROM ('00000000-0000-0000-0000-000000000001')
                 TO ('00000000-0000-0000-0000-000000000002');
         CREATE TABLE executions_d100 PARTITION OF executions FOR VALUES FROM (-9) TO (-1);
         INSERT INTO executions (serial, execution_id, workflow_id, attempt, started_at, emit_depth,
             node, total, open) VALUES (-5, 'e', 'p', 1, 0, 0, 0, 1, 1)",
    );
    let reopened = open(Options { retention, ..options(&server, "fleet") }).unwrap();
    reopened.close().await;
    assert_eq!(days("executions"), "6", "an execution of that day is not finished");
    server.sql("UPDATE fleet.executions SET finished_at = 1 WHERE serial = -5");
    let reopened = open(Options { retention, ..options(&server, "fleet") }).unwrap();
    reopened.close().await;
    assert_eq!((days("deliveries"), days("executions")), ("5".to_owned(), "5".to_owned()));
}
