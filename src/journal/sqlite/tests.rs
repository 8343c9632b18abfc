//! The file from inside: the contract, the model, and what goes wrong.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::journal::contract::{commit, delivered, failed, lane, sealed};
use crate::journal::{RestoredBatch, contract, model};

fn describe() -> Describe {
    Box::new(|_, payload| RequestLog::recorded(payload, 1024))
}

fn open(directory: &Path) -> SqliteJournal {
    let retention = Retention { max_executions_per_workflow: 1000, ..Retention::default() };
    let options = Options { retention, ..Options::bare(directory.to_owned()) };
    SqliteJournal::open(&options, describe(), Box::new(|error| panic!("{error}"))).unwrap()
}

#[tokio::test]
async fn the_journal_in_a_data_directory_keeps_the_contract() {
    let parent = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    contract::check(|| {
        next.set(next.get() + 1);
        open(&parent.path().join(next.get().to_string()))
    })
    .await;
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

async fn bring_all_back(journal: &SqliteJournal) -> usize {
    let mut calls = 0;
    while let Some(refill) = journal.refill().await.unwrap() {
        calls += refill.calls;
    }
    calls
}

/// A journal with two batches of a lane: the first sealed, the second not; and one call beside them.
/// Answers the first batch and its records.
async fn with_batches(journal: &SqliteJournal) -> (SealedBatch, Vec<Record>) {
    for _ in 0..4 {
        let (commit, _) = commit(&["a", "b", "a"], Completion::Completed { error: None });
        journal.append(commit).await.unwrap();
    }
    let mut records: Vec<_> = std::iter::from_fn(|| journal.join(&lane("a"))).collect();
    // The order of a batch is that of joining, whatever the numbers are.
    records[..5].reverse();
    let batch = sealed(&records[..5], "b/key");
    let numbers = records[..5].iter().map(|record| record.seq).collect();
    journal.seal(&batch, numbers).await.unwrap();
    journal.note_batch(batch.id, Some("upload 7")).await.unwrap();
    (batch, records)
}

fn places(journal: &SqliteJournal, key: &str) -> usize {
    std::iter::from_fn(|| journal.join(&lane(key))).count()
}

async fn restored(journal: &SqliteJournal) -> Vec<RestoredBatch> {
    let mut batches = Vec::new();
    while let Some(refill) = journal.refill().await.unwrap() {
        batches.extend(refill.batches);
    }
    batches
}

#[tokio::test]
async fn a_sealed_batch_is_the_same_batch_after_a_crash() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    let (batch, records) = with_batches(&journal).await;
    let expected: Vec<_> = records[..5].iter().map(|record| (record.id, record.seq)).collect();
    journal.close().await;
    drop(journal);

    let journal = open(parent.path());
    let mut batches = restored(&journal).await;
    let RestoredBatch { sealed, note, conclusion, records } = batches.pop().unwrap();
    assert!(batches.is_empty());
    assert_eq!((sealed, note.as_deref(), conclusion), (batch, Some("upload 7"), None));
    let found: Vec<_> = records.iter().map(|(_, record)| (record.id, record.seq)).collect();
    assert_eq!(found, expected);
    assert!(records.iter().map(|(place, _)| *place).eq(0..5));
    // What was not sealed waits again.
    assert_eq!((places(&journal, "a"), places(&journal, "b")), (3, 4));
}

#[tokio::test]
async fn what_became_of_a_batch_is_known_after_a_crash_amid_its_settlements() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    let (batch, records) = with_batches(&journal).await;
    journal.conclude(batch.id, "stored");
    for record in &records[..2] {
        journal.settle(record, delivered());
    }
    journal.close().await;
    drop(journal);

    let journal = open(parent.path());
    let mut batches = restored(&journal).await;
    let RestoredBatch { conclusion, records, .. } = batches.pop().unwrap();
    assert_eq!(conclusion.as_deref(), Some("stored"));
    assert!(records.iter().map(|(place, _)| *place).eq(2..5));
    for (_, record) in &records {
        journal.settle(record, delivered());
    }
    journal.forget_batch(batch.id);
    journal.close().await;
    drop(journal);

    let journal = open(parent.path());
    assert!(restored(&journal).await.is_empty());
    assert_eq!((places(&journal, "a"), places(&journal, "b")), (3, 4));
}

#[tokio::test]
async fn what_was_left_comes_back_in_parts() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    for _ in 0..100 {
        let (commit, _) = commit(&["a"; 30], Completion::Completed { error: None });
        journal.append(commit).await.unwrap();
    }
    for place in 0..45 {
        let record = journal.lease(&lane("a")).await.unwrap();
        journal.settle(&record, if place < 40 { delivered() } else { failed() });
    }
    journal.close().await;
    drop(journal);

    let journal = open(parent.path());
    // The second commit is open still, with half of its calls.
    assert_eq!(journal.backlog(), 99 * 30);
    let first = journal.refill().await.unwrap().unwrap();
    assert!(first.calls >= 256 - 30 && first.calls < 500, "{}", first.calls);
    assert!(journal.backlog() > 2000);
    let query = DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() };
    assert_eq!(journal.deliveries(&query, &[]).await.unwrap().len(), 3000);
    assert_eq!(first.calls + bring_all_back(&journal).await, 3000 - 45);
    assert_eq!(journal.backlog(), 0);
    assert_eq!(journal.waiting(&lane("a")), 3000 - 45);
    assert_eq!(journal.deliveries(&query, &[]).await.unwrap().len(), 3000);
}

/// A journal whose file cannot grow beyond so many pages.
fn open_on_a_small_disk(directory: &Path, pages: u32) -> SqliteJournal {
    let path = directory.join(FILE);
    let data_dir = DataDir::open(directory).unwrap();
    let connection = schema::open(&path, Durability::Fsync).unwrap();
    connection.pragma_update(None, "max_page_count", pages).unwrap();
    let upkeep = Upkeep::new(&connection, Retention::default(), None).unwrap();
    let mut journal = open(&directory.join("another"));
    let readers = Readers::open(path.clone(), Key::load(data_dir.path(), None).unwrap()).unwrap();
    let writer = Writer::start(connection, data_dir, path, upkeep, Box::new(|_| {})).unwrap();
    journal.readers = readers;
    journal.writer = Arc::new(writer);
    journal
}

#[tokio::test]
async fn a_full_disk_refuses_a_hand_over_and_keeps_nothing_of_it() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open_on_a_small_disk(parent.path(), 60);
    let mut kept = 0;
    let refusal = loop {
        let (commit, _) = commit(&["a"; 200], Completion::Completed { error: None });
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
    assert_eq!(journal.replayable(&failed).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_of_a_later_layout_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let journal = open(parent.path());
    journal.close().await;
    drop(journal);
    let path = parent.path().join(FILE);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(connection);
    let options = Options::bare(parent.path().to_owned());
    let refused = SqliteJournal::open(&options, describe(), Box::new(|_| {})).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Journal);
    assert!(refused.to_string().contains("a newer version of dollar-send wrote it"));
}
