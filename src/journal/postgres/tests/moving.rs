//! A data directory becomes part of a shared journal.

use std::path::Path;

use super::*;
use crate::delivery::Failure;
use crate::execution::{DeliveryQuery, Selection, Settlement, Status};
use crate::journal::contract::{commit, completed, delivered, failed, lane, sealed};
use crate::journal::{
    MoveOptions, MoveProgress, MoveReport, Records, Refill, SqliteJournal, move_directory,
    plan_move,
};
use crate::time::Timestamp;

fn directory(path: &Path) -> SqliteJournal {
    let options = crate::journal::Options::bare(path.to_owned());
    let describe = Box::new(|_, payload: &_| RequestLog::recorded(payload, 1024));
    SqliteJournal::open(&options, describe, Box::new(|_| {})).unwrap()
}

fn of(server: &Server, path: &Path) -> MoveOptions {
    let Options { server, ca, schema, key, .. } = options(server, "fleet");
    let directory = path.to_owned();
    MoveOptions { directory, directory_key: None, server, ca, schema, shards: None, key }
}

async fn moved(options: MoveOptions) -> crate::error::Result<MoveReport> {
    let moved = move || move_directory(&options, egress(), &MoveProgress::default());
    tokio::task::spawn_blocking(moved).await.unwrap()
}

async fn planned(options: MoveOptions) -> crate::error::Result<MoveReport> {
    tokio::task::spawn_blocking(move || plan_move(&options, egress())).await.unwrap()
}

fn forwarded() -> Settlement {
    Settlement { is_forwarded: true, ..failed() }
}

/// Leaves what a directory can have: a dead letter, a retry, an attempt under way, calls of several
/// shards, a sealed batch, a pause.
async fn fill(path: &Path) {
    let journal = directory(path);
    let lanes = ["a", "b", "c", "a", "b", "d", "e", "f"];
    let (first, _) = commit(&lanes, completed());
    journal.append(first).await.unwrap();
    let dead = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&dead, forwarded());
    let mut retried = journal.lease(&lane("b")).await.unwrap();
    let failure = Failure::new(crate::error::ErrorKind::Status, "503");
    retried.last_error = Some(Arc::new(failure));
    let until = Timestamp::steady().after(Duration::from_secs(3600));
    journal.postpone(&lane("b"), retried, until, "again".to_owned());
    let arrived = journal.lease(&lane("c")).await.unwrap();
    journal.settle(&arrived, delivered());
    journal.lease(&lane("d")).await.unwrap();
    let (second, _) = commit(&["x", "y", "x", "x"], completed());
    journal.append(second).await.unwrap();
    let records: Vec<_> =
        std::iter::from_fn(|| journal.join(&lane("x")).map(|(record, _)| record)).collect();
    let mut batch = sealed(&records, "x/one.gz");
    batch.lane = lane("x");
    let numbers = records.iter().map(|record| record.seq).collect();
    let tenure = crate::journal::Tenure::ONLY;
    assert!(journal.seal(&batch, tenure, numbers).await.unwrap());
    journal.note_batch(batch.id, Some("half")).await.unwrap();
    let registrations = ["pause:host:x", "service:s3", "wh_1", "sub_1"];
    let texts = registrations.map(|id| (id.to_owned(), Some(format!("text of {id}"))));
    journal.register(texts.to_vec()).await.unwrap();
    journal.close().await;
}

/// Brings what arrives into the lanes until so many calls are there.
async fn bring(journal: &PostgresJournal, calls: usize) -> Refill {
    let mut all = Refill::default();
    while all.calls < calls || all.batches.is_empty() {
        assert!(journal.arrival().await);
        let Some(part) = journal.refill().await.unwrap() else { continue };
        all.calls += part.calls;
        all.delayed.extend(part.delayed);
        all.batches.extend(part.batches);
        all.unforwarded.extend(part.unforwarded);
    }
    all
}

async fn check(journal: &PostgresJournal) {
    let refill = bring(journal, 10).await;
    assert_eq!(refill.calls, 10);
    let waiting = ["a", "b", "c", "d", "e", "f", "x", "y"].map(|key| journal.waiting(&lane(key)));
    assert_eq!(waiting, [1, 1, 0, 1, 1, 1, 0, 1]);
    let [delayed] = &refill.delayed[..] else { panic!("{refill:?}") };
    assert_eq!((&*delayed.lane.key, delayed.record.attempts), ("b", 1));
    assert_eq!(delayed.record.last_error.as_ref().unwrap().message, "503");
    let [batch] = &refill.batches[..] else { panic!("{refill:?}") };
    assert_eq!((&*batch.sealed.name, batch.note.as_deref()), ("x/one.gz", Some("half")));
    let numbers: Vec<u64> = batch.records.iter().map(|(_, record)| record.seq).collect();
    assert!(numbers.is_sorted() && numbers.len() == 3, "{numbers:?}");
    assert_eq!(batch.sealed.id, numbers[0]);
    let under_way = journal.lease(&lane("d")).await.unwrap();
    assert_eq!(under_way.attempts, 2);
    assert!(under_way.recovered);
    assert_eq!(refill.unforwarded.len(), 1);
    let dead = DeliveryQuery { status: Some("failed".to_owned()), ..DeliveryQuery::default() };
    let found = journal.deliveries(&dead, &[]).await.unwrap();
    assert_eq!(found[0].1.id, refill.unforwarded[0]);
    let replayable = journal.replayable(&Selection::Query(dead)).await.unwrap();
    assert_eq!(replayable.calls.len(), 1);
    let registrations = journal.registrations().unwrap();
    let expected =
        ["pause:host:x", "service:s3", "sub_1", "wh_1"].map(|id| format!("text of {id}"));
    assert_eq!(registrations, expected);
    for (_, record) in &batch.records {
        journal.settle(record, delivered());
    }
    journal.forget_batch(batch.sealed.id);
    let delivered = DeliveryQuery { status: Some("delivered".to_owned()), ..Default::default() };
    assert_eq!(journal.count_deliveries(&delivered, &[], 100).await.unwrap(), 4);
    let all = journal.deliveries(&DeliveryQuery::default(), &[]).await.unwrap();
    let pending = all.iter().filter(|(_, entry)| entry.status == Status::Pending).count();
    // One is in flight.
    assert_eq!((all.len(), pending), (12, 6));
}

#[tokio::test]
async fn a_directory_is_moved_once() {
    let Some(server) = Server::start() else { return };
    let parent = tempfile::tempdir().unwrap();
    fill(parent.path()).await;
    let options_of = || of(&server, parent.path());
    let plan = planned(options_of()).await.unwrap();
    let text = serde_json::to_value(&plan).unwrap();
    let wanted = serde_json::json!({
        "state": "planned", "executions": 2, "deliveries": 2, "calls": 10, "batches": 1,
        "pauses": 1, "events": 0, "subscriptions": 1, "webhooks": 1,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&text[name], value, "{name}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'fleet'"), "0");
    let report = moved(options_of()).await.unwrap();
    assert_eq!(report.content, plan.content);
    let again = moved(options_of()).await.unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap()["state"], "alreadyMoved");
    assert!(again.moved_at.is_some());
    let opened = SqliteJournal::open(
        &crate::journal::Options::bare(parent.path().to_owned()),
        Box::new(|_, payload| RequestLog::recorded(payload, 1024)),
        Box::new(|_| {}),
    );
    let refused = opened.unwrap_err().to_string();
    assert!(refused.contains("was moved to postgres://127.0.0.1:"), "{refused}");
    assert!(refused.contains("/events (schema fleet)"), "{refused}");
    let node = open(options(&server, "fleet")).unwrap();
    check(&node).await;
    let counts = server.sql(
        "SELECT execution_id, total, open, delivered, failed FROM fleet.executions ORDER BY total",
    );
    assert_eq!(counts, "e_1|4|1|3|0\ne_1|8|6|1|1");
}

#[tokio::test]
async fn a_running_node_takes_what_is_moved() {
    let Some(server) = Server::start() else { return };
    let parent = tempfile::tempdir().unwrap();
    fill(parent.path()).await;
    let lease = Duration::from_secs(1);
    let node = open(Options { lease, ..options(&server, "fleet") }).unwrap();
    // Its own batch of the same lane stays as it is.
    let (own, _) = commit(&["x", "x"], completed());
    node.append(own).await.unwrap();
    let joined: Vec<_> = std::iter::from_fn(|| node.join(&lane("x"))).collect();
    let tenure = joined[0].1;
    let records: Vec<_> = joined.into_iter().map(|(record, _)| record).collect();
    let mut batch = sealed(&records, "x/own.gz");
    batch.lane = lane("x");
    let numbers = records.iter().map(|record| record.seq).collect();
    assert!(node.seal(&batch, tenure, numbers).await.unwrap());
    moved(of(&server, parent.path())).await.unwrap();
    let refill = bring(&node, 10).await;
    assert_eq!((refill.calls, refill.batches.len(), refill.unforwarded.len()), (10, 1, 1));
    assert_eq!(refill.batches[0].sealed.name, "x/one.gz");
    assert_eq!(refill.batches[0].records.len(), 3);
    node.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT count(*), min(shard) >= 0 FROM fleet.batches"), "2|t");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.commits WHERE shard < 0"), "0");
    assert_eq!(node.backlog(), 0);
}

#[tokio::test]
async fn a_move_that_was_ended_goes_on() {
    let Some(server) = Server::start() else { return };
    let parent = tempfile::tempdir().unwrap();
    fill(parent.path()).await;
    let options_of = || of(&server, parent.path());
    moved(options_of()).await.unwrap();
    // As if it had ended before the mark of the end.
    let file = rusqlite::Connection::open(parent.path().join("journal.sqlite")).unwrap();
    file.execute("UPDATE moves SET finished_at = NULL", []).unwrap();
    let opened = SqliteJournal::open(
        &crate::journal::Options::bare(parent.path().to_owned()),
        Box::new(|_, payload| RequestLog::recorded(payload, 1024)),
        Box::new(|_| {}),
    );
    let refused = opened.unwrap_err().to_string();
    assert!(
        refused.contains("is being moved to") && refused.contains("migrate again"),
        "{refused}"
    );
    moved(options_of()).await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM fleet.deliveries"), "2");
    assert_eq!(server.sql("SELECT count(*), sum(calls) FROM fleet.moves"), "1|10");
    // Another journal does not know of it.
    file.execute("UPDATE moves SET finished_at = NULL", []).unwrap();
    let other = MoveOptions { schema: "other".to_owned(), ..options_of() };
    let refused = moved(other).await.unwrap_err().to_string();
    assert!(refused.contains("has begun"), "{refused}");
    // A copy without the mark is noticed by its deliveries.
    file.execute("DELETE FROM moves", []).unwrap();
    let refused = moved(options_of()).await.unwrap_err().to_string();
    assert!(refused.contains("a copy of it was moved"), "{refused}");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.executions"), "2");
}

#[tokio::test]
async fn a_move_is_refused_before_anything_is_marked() {
    let Some(server) = Server::start() else { return };
    let parent = tempfile::tempdir().unwrap();
    fill(parent.path()).await;
    drop(open(options(&server, "fleet")).unwrap());
    server.sql("CREATE ROLE guest LOGIN");
    let guest = PostgreSqlServer::parse(&server.url("guest")).unwrap();
    let base = of(&server, parent.path());
    let empty = tempfile::tempdir().unwrap();
    let cases = [
        (MoveOptions { directory: empty.path().into(), ..base.clone() }, "is not a data directory"),
        (MoveOptions { directory_key: Some(vec![1; 32]), ..base.clone() }, "another key"),
        (MoveOptions { key: vec![8; 32], ..base.clone() }, "all nodes share one"),
        (MoveOptions { server: guest, ..base.clone() }, "the role needs CREATE"),
        (MoveOptions { shards: Some(32), ..base.clone() }, "has 64 shards, not 32"),
    ];
    for (options, expected) in cases {
        for refused in [planned(options.clone()).await, moved(options).await] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
    server.sql("UPDATE fleet.meta SET version = 99");
    let refused = moved(base.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("use the newer version"), "{refused}");
    server.sql("UPDATE fleet.meta SET version = 4");
    let runner = directory(parent.path());
    let refused = moved(base.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DataDirLocked);
    runner.close().await;
    drop(runner);
    assert_eq!(server.sql("SELECT count(*) FROM fleet.moves"), "0");
    drop(directory(parent.path()));
}

#[tokio::test]
async fn an_older_layout_gets_what_was_added() {
    let Some(server) = Server::start() else { return };
    drop(open(options(&server, "fleet")).unwrap());
    server.sql(
        "SET search_path TO fleet; DROP TABLE event_numbers; DROP INDEX events_of_delivery;
         DROP FUNCTION forget_events; DROP FUNCTION publish; UPDATE meta SET version = 1;
         DROP TABLE moves; ALTER TABLE attempts DROP COLUMN attempt_log",
    );
    let node = open(options(&server, "fleet")).unwrap();
    let (commit, _) = commit(&["a"], completed());
    node.append(commit).await.unwrap();
    let record = node.lease(&lane("a")).await.unwrap();
    let until = Timestamp::steady().after(Duration::from_secs(3600));
    node.postpone(&lane("a"), record, until, "again".to_owned());
    node.shared.written().await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM fleet.attempts"), "1");
    assert_eq!(server.sql("SELECT count(*) FROM fleet.moves"), "0");
}
