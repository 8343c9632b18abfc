//! The file from inside: the contract, the model, and what goes wrong.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::execution::{DeliveryQuery, Dropped, ExecutionQuery, Selection, SettlementCursor};
use crate::journal::contract::recovery::bring_all_back;
use crate::journal::contract::{self, commit, completed, delivered, failed, lane, model};
use crate::journal::{
    Commit, Completion, Delayed, History, Incident, Queue, Records, Recovery, Replayable,
};
use crate::streams::{Event, EventContent, EventId, StreamKind};
use crate::time::Timestamp;

fn describe() -> Describe {
    Box::new(|_, payload| RequestLog::recorded(payload, 1024))
}

fn open(directory: &Path) -> SqliteJournal {
    open_to_keep(1000, directory)
}

/// Opens a journal that keeps so many executions of a workflow.
fn open_to_keep(executions: usize, directory: &Path) -> SqliteJournal {
    let retention = Retention { max_executions_per_workflow: executions, ..Retention::default() };
    let options = Options { retention, ..Options::bare(directory.to_owned()) };
    SqliteJournal::open(&options, describe(), Box::new(|incident| panic!("{incident:?}"))).unwrap()
}

#[tokio::test]
async fn the_journal_in_a_data_directory_keeps_its_promises() {
    let parent = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    contract::check(|| {
        next.set(next.get() + 1);
        open(&parent.path().join(next.get().to_string()))
    })
    .await;
}

/// Waits until the index has segments, and few rows are outside of them.
async fn indexed(journal: &SqliteJournal) -> usize {
    loop {
        let counts = journal
            .read(|reader| {
                let connection = reader.connection();
                let count = |table: &str| -> usize {
                    let statement = format!("SELECT count(*) FROM {table}");
                    connection.query_row(&statement, [], |row| row.get(0)).unwrap()
                };
                Ok((count("segments"), count("unindexed")))
            })
            .await
            .unwrap();
        if counts.1 < search::MIN_ROWS {
            return counts.0;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_index_finds_what_a_look_at_each_row_finds() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    for _ in 0..2 {
        contract::search::fill(&journal).await;
        assert!(indexed(&journal).await > 0);
    }
    contract::search::compare(&journal).await;
    let all = DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() };
    journal.dismiss(&Selection::Query(all)).await.unwrap();
    journal.close().await;
    drop(journal);
    // The retention removes most of it; the rest is indexed again.
    let retention = Retention { max_executions_per_workflow: 4, ..Retention::default() };
    let options = Options { retention, ..Options::bare(parent.path().to_owned()) };
    let report = Box::new(|incident: Incident<'_>| panic!("{incident:?}"));
    let journal = SqliteJournal::open(&options, describe(), report).unwrap();
    let is_left = |count| count < 48;
    while !is_left(
        journal.count_executions(&ExecutionQuery::default(), &[], usize::MAX >> 1).await.unwrap(),
    ) {
        tokio::task::yield_now().await;
    }
    indexed(&journal).await;
    bring_all_back(&journal).await;
    contract::search::compare(&journal).await;
    let path = parent.path().join(FILE);
    journal.close().await;
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let count =
        |statement: &str| -> i64 { connection.query_row(statement, [], |row| row.get(0)).unwrap() };
    let live = "SELECT (SELECT coalesce(sum(rows - dead_rows), 0) FROM segments) \
                + (SELECT count(*) FROM unindexed)";
    let all = "SELECT (SELECT count(*) FROM deliveries) \
               + (SELECT count(*) FROM executions WHERE ended IS NOT NULL)";
    assert_eq!(count(live), count(all));
    let orphans =
        "SELECT count(*) FROM postings WHERE (block >> 20) NOT IN (SELECT id FROM segments)";
    assert_eq!(count(orphans), 0);
}

#[tokio::test]
async fn a_run_without_a_segment_is_found_by_its_deliveries_in_one() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    contract::search::fill(&journal).await;
    journal.close().await;
    drop(journal);
    let change = |statements: &str| {
        let connection = rusqlite::Connection::open(parent.path().join(FILE)).unwrap();
        connection.execute_batch(statements).unwrap();
    };
    change(
        "DELETE FROM segments; DELETE FROM segment_rows; DELETE FROM postings;
         DELETE FROM unindexed; INSERT INTO unindexed SELECT seq FROM deliveries;",
    );
    let journal = open(parent.path());
    assert!(indexed(&journal).await > 0);
    journal.close().await;
    drop(journal);
    change(
        "INSERT OR IGNORE INTO unindexed
         SELECT -1 - serial FROM executions WHERE ended IS NOT NULL",
    );
    let options = Options { search: SearchIndex::Off, ..Options::bare(parent.path().to_owned()) };
    let report = Box::new(|incident: Incident<'_>| panic!("{incident:?}"));
    let journal = SqliteJournal::open(&options, describe(), report).unwrap();
    bring_all_back(&journal).await;
    contract::search::compare(&journal).await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_journal_in_a_data_directory_is_as_its_model(steps in model::steps()) {
        let parent = tempfile::tempdir().unwrap();
        let reopen = async |journal: SqliteJournal| {
            journal.close().await;
            drop(journal);
            open(parent.path())
        };
        model::run(model::check(open(parent.path()), Some(reopen), steps));
    }
}

#[tokio::test]
async fn the_journal_in_a_data_directory_recovers() {
    let parent = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    let directory = || {
        next.set(next.get() + 1);
        parent.path().join(next.get().to_string())
    };
    let reopen = async |journal: SqliteJournal| {
        journal.close().await;
        drop(journal);
        open(&parent.path().join(next.get().to_string()))
    };
    contract::recovery::check(|| open(&directory()), reopen).await;
}

/// A journal whose file cannot grow beyond so many pages.
fn open_on_a_small_disk(directory: &Path, pages: u32) -> SqliteJournal {
    let path = directory.join(FILE);
    let data_dir = DataDir::open(directory).unwrap();
    let connection = file::open(&path, Durability::Fsync).unwrap();
    let key = super::key::unlock(&connection, directory, None).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
    let upkeep = Upkeep::new(&connection, Retention::default(), None).unwrap();
    let mut journal = open(&directory.join("another"));
    let readers = ReaderPool::open(path.clone(), key).unwrap();
    let (kick, _) = Kick::channel();
    let writer = Writer::start(connection, data_dir, path, upkeep, kick, Box::new(|_| {})).unwrap();
    journal.readers = readers;
    journal.writer = Arc::new(writer);
    journal
}

#[tokio::test]
async fn a_full_disk_refuses_a_hand_over_and_keeps_nothing_of_it() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open_on_a_small_disk(parent.path(), 61);
    let mut kept = 0;
    let refusal = loop {
        let (commit, _) = commit(&["a"; 200], completed());
        match journal.append(commit).await {
            Ok(_) => kept += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(kept > 0);
    assert_eq!(refusal.error.kind(), ErrorKind::JournalFull);
    assert_eq!(refusal.commit.items.len(), 200);
    assert_eq!(journal.waiting(&lane("a")), 200 * kept);
    let rows = |table: &str| -> usize {
        let statement = format!("SELECT count(*) FROM {table}");
        journal
            .readers
            .get()
            .unwrap()
            .connection()
            .query_row(&statement, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((rows("commits"), rows("executions")), (kept, kept));
    assert_eq!(journal.probe().await.unwrap_err().kind(), ErrorKind::JournalFull);
    // What is written when there is no room waits; nothing of it is lost.
    while let Some(record) = journal.lease(&lane("a")).await {
        journal.settle(&record, delivered());
    }
    let written = journal.writer.sync().await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::JournalFull);
    journal.close().await;
}

/// Made by the first layout: one execution of three calls, of which one was delivered, one failed
/// and one waits.
const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-1");

#[tokio::test]
async fn a_file_of_the_first_layout_is_brought_to_this_one() {
    let parent = tempfile::tempdir().unwrap();
    for name in [FILE, "journal.key"] {
        fs::copy(Path::new(OLD).join(name), parent.path().join(name)).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = parent.path().join("journal.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let journal = open(parent.path());
    assert_eq!(bring_all_back(&journal).await, 1);
    let found = journal.deliveries(&DeliveryQuery::default(), &[]).await.unwrap();
    let mut statuses: Vec<_> = found.iter().map(|(_, entry)| entry.status.as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["delivered", "failed", "pending"]);
    let failed = Selection::Query(DeliveryQuery::default());
    assert_eq!(journal.replayable(&failed).await.unwrap().calls.len(), 1);
}

#[tokio::test]
async fn a_file_of_a_later_layout_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    journal.close().await;
    drop(journal);
    let path = parent.path().join(FILE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", file::VERSION + 1).unwrap();
    drop(connection);
    let options = Options::bare(parent.path().to_owned());
    let refused = SqliteJournal::open(&options, describe(), Box::new(|_| {})).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Journal);
    assert!(refused.to_string().contains("a newer version of dollar-send wrote it"));
}

/// A data directory that was closed: one execution with a failed and a waiting call, and one event.
async fn closed_directory() -> tempfile::TempDir {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    let (commit, _) = commit(&["a", "a"], completed());
    journal.append(commit).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, failed());
    let event = Event {
        id: EventId::after(EventId::default(), Timestamp::from_millis(5)),
        kind: StreamKind::Emits,
        workflow_id: "p_1".into(),
        delivery: record.id,
        name: "".into(),
        depth: 0,
        content: EventContent::restored(StreamKind::Emits, b"{}".to_vec()),
    };
    journal.keep_event(&Arc::new(event), Vec::new());
    journal.close().await;
    parent
}

/// Copies a closed data directory and changes something in the copy.
fn damaged(directory: &Path, statement: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [FILE, "journal.key"] {
        fs::copy(directory.join(name), copy.path().join(name)).unwrap();
    }
    let connection = rusqlite::Connection::open(copy.path().join(FILE)).unwrap();
    connection.execute(statement, []).unwrap();
    copy
}

#[tokio::test]
async fn the_order_of_settlements_is_not_read_from_a_layout_before_it() {
    let parent = closed_directory().await;
    let read = |directory: &Path| read_settled(directory, None, &DeliveryQuery::default());
    read(parent.path()).unwrap();
    let older = damaged(parent.path(), "DROP TABLE numbering");
    let connection = rusqlite::Connection::open(older.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 10).unwrap();
    assert_names(&read(older.path()).unwrap_err(), "has layout 10, not 11: open it once");
    read_log(older.path(), None, &DeliveryQuery::default()).unwrap();
}

fn assert_names(refused: &crate::error::Error, place: &str) {
    assert_eq!(refused.kind(), ErrorKind::Journal);
    assert!(refused.to_string().contains(place), "{refused} should name {place}");
}

#[tokio::test]
async fn an_unreadable_delivery_is_refused_with_its_place() {
    let parent = closed_directory().await;
    let log = |directory: &Path| read_log(directory, None, &DeliveryQuery::default());
    assert_eq!(log(parent.path()).unwrap().len(), 2);
    for (change, place) in [
        ("status = 'lost'", "deliveries.status"),
        ("destination = ''", "deliveries.destination"),
        ("id = x'00'", "deliveries.id"),
        ("replay_of = x'00'", "deliveries.replay_of"),
        ("warnings = '['", "deliveries.warnings"),
        ("error_code = 'E_OTHER'", "deliveries.error_code"),
        ("error_message = NULL", "deliveries.error_message"),
        ("error_phase = 'later'", "deliveries.error_phase"),
        ("attempts = 'many'", "deliveries.attempts"),
        ("request = 'none'", "deliveries.request"),
        ("response = '{'", "deliveries.response"),
        ("request = '{none}'", "deliveries.request"),
        ("response = '{}{}'", "deliveries.response"),
        ("request_body_bytes = 5", "deliveries.request_body"),
        ("execution = 1 << 40", "deliveries.execution"),
    ] {
        let copy = damaged(parent.path(), &format!("UPDATE deliveries SET {change}"));
        assert_names(&log(copy.path()).unwrap_err(), place);
    }
    let copy = damaged(parent.path(), "UPDATE executions SET ended = 'lost'");
    assert_names(&log(copy.path()).unwrap_err(), "executions.ended");
}

#[tokio::test]
async fn settlements_that_the_log_has_forgotten_are_counted() {
    let parent = closed_directory().await;
    let start = SettlementCursor { epoch: 0, number: 0 };
    let read = |directory: &Path| {
        let page = read_settled(directory, Some(start), &DeliveryQuery::default()).unwrap();
        (page.found.len(), page.dropped, page.cursor.number)
    };
    assert_eq!(read(parent.path()), (1, Dropped::Count(0), 1));
    let copy = damaged(parent.path(), "UPDATE numbering SET last = 7");
    let journal = open(copy.path());
    assert_eq!(bring_all_back(&journal).await, 1);
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, delivered());
    journal.close().await;
    // Its number is none that was given before.
    assert_eq!(read(copy.path()), (2, Dropped::Count(6), 8));
}

#[tokio::test]
async fn the_number_of_a_forgotten_settlement_is_not_given_again() {
    let parent = tempfile::tempdir().unwrap();
    let deliver = async || {
        let journal = open(parent.path());
        let (commit, _) = commit(&["a"], completed());
        journal.append(commit).await.unwrap();
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, delivered());
        journal.close().await;
    };
    let all = DeliveryQuery::default();
    deliver().await;
    let follower = read_settled(parent.path(), None, &all).unwrap().cursor;
    let forgets = open_to_keep(0, parent.path());
    while !forgets.deliveries(&all, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    forgets.close().await;
    deliver().await;
    let page = read_settled(parent.path(), Some(follower), &all).unwrap();
    assert_eq!((page.found.len(), page.dropped, page.cursor.number), (1, Dropped::Count(0), 2));
}

#[tokio::test]
async fn an_unreadable_event_is_refused_with_its_place() {
    let parent = closed_directory().await;
    for (change, place) in
        [("stream = 'x'", "events.stream"), ("delivery = 'x'", "events.delivery")]
    {
        let copy = damaged(parent.path(), &format!("UPDATE events SET {change}"));
        assert_names(&open(copy.path()).kept_events().unwrap_err(), place);
    }
}

#[tokio::test]
async fn calls_without_their_execution_are_refused() {
    let parent = closed_directory().await;
    let copy = damaged(parent.path(), "DELETE FROM executions");
    let refused = open(copy.path()).refill().await.unwrap_err();
    assert_names(&refused, "commits.execution");
}

/// Returns the result of a statement on the file of a directory.
fn number(directory: &Path, statement: &str) -> i64 {
    let connection = rusqlite::Connection::open(directory.join(FILE)).unwrap();
    connection.query_row(statement, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_call_that_was_held_leaves_nothing_with_its_settlement() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    journal.append(commit(&["a"], completed()).0).await.unwrap();
    let mut record = journal.lease(&lane("a")).await.unwrap();
    record.attempts = 0;
    journal.postpone(&lane("a"), record, Timestamp::now(), "it is held".to_owned());
    journal.close().await;
    drop(journal);
    let journal = open(parent.path());
    for Delayed { lane, record, due } in journal.refill().await.unwrap().unwrap().delayed {
        journal.delay(lane, record, due);
    }
    journal.wake_due(Timestamp::now());
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, delivered());
    journal.close().await;
    assert_eq!(number(parent.path(), "SELECT count(*) FROM retries"), 0);
}

#[tokio::test]
async fn an_execution_whose_last_call_is_settled_is_finished_by_the_next_process() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    journal.append(commit(&["a"], completed()).0).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, failed());
    journal.close().await;
    let finished = "SELECT count(*) FROM executions WHERE finished_at IS NOT NULL AND failed = 1";
    for change in ["", "; UPDATE commits SET open = 1"] {
        let left = format!("UPDATE executions SET finished_at = NULL, failed = 0{change}");
        let connection = rusqlite::Connection::open(parent.path().join(FILE)).unwrap();
        connection.execute_batch(&left).unwrap();
        drop(connection);
        let journal = open(parent.path());
        assert_eq!(bring_all_back(&journal).await, 0);
        journal.close().await;
        assert_eq!(number(parent.path(), finished), 1, "{left}");
        assert_eq!(number(parent.path(), "SELECT count(*) FROM commits WHERE open = 0"), 1);
    }
}

#[tokio::test]
async fn a_flush_that_comes_after_a_discard_leaves_the_execution_finished() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    let (discarded, execution) = commit(&[], Completion::Discarded);
    let (flush, _) = commit(&[], Completion::Continues);
    let flush = Commit { execution, ..flush };
    for commit in [discarded, flush] {
        journal.append(commit).await.unwrap();
    }
    journal.close().await;
    let finished = "SELECT count(*) FROM executions WHERE finished_at IS NOT NULL";
    assert_eq!(number(parent.path(), finished), 1);
}

#[tokio::test]
async fn a_call_is_not_replayed_after_the_log_has_removed_it() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    journal.append(commit(&["a"], completed()).0).await.unwrap();
    let record = journal.lease(&lane("a")).await.unwrap();
    journal.settle(&record, failed());
    let all = Selection::Query(DeliveryQuery::default());
    let mut calls = journal.replayable(&all).await.unwrap().calls;
    let Replayable { replay, execution, item, .. } = calls.remove(0);
    let connection = rusqlite::Connection::open(parent.path().join(FILE)).unwrap();
    let remove = "DELETE FROM deliveries; DELETE FROM commits; DELETE FROM executions";
    connection.execute_batch(remove).unwrap();
    let items = vec![(lane("a"), item)];
    let completion = Completion::Continues;
    let commit = Commit { execution, seed: 7, items, completion, forwards: None };
    let refusal = journal.append(commit).await.unwrap_err();
    assert_eq!(refusal.taken, [replay.id]);
    journal.close().await;
    assert_eq!(number(parent.path(), "SELECT count(*) FROM executions"), 0);
}
