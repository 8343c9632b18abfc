//! The file from inside: the contract, and what an earlier process leaves.

use std::path::Path;

use super::*;
use crate::journal::contract;

fn options(directory: &Path) -> Options {
    Options::bare(directory.to_owned())
}

fn open(directory: &Path) -> SqliteJournal {
    let describe: Describe = Box::new(|_, payload| RequestLog::recorded(payload, 1024));
    SqliteJournal::open(options(directory), describe, Box::new(|error| panic!("{error}"))).unwrap()
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
