//! The directory of the journal, as each process finds it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;

use crate::engine::read_log;
use crate::execution::DeliveryQuery;
use crate::journal::StoredRows;

/// The directories of one simulation, each a copy of the one before.
pub(super) struct Disk {
    root: TempDir,
    number: usize,
}

/// A delivery, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: Uuid,
    step: String,
    pub(super) status: String,
    pub(super) replay_of: Option<Uuid>,
    pub(super) replayed_by: Option<Uuid>,
    pub(super) resolved_by: Option<Uuid>,
    pub(super) dismissed_at: Option<String>,
    pub(super) settled_at: Option<String>,
}

impl Row {
    /// Returns the number of the call.
    pub(super) fn call(&self) -> usize {
        self.step[1..].parse().unwrap()
    }

    /// Returns `true` if it has ended.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(&*self.status, "delivered" | "failed" | "discarded")
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self { root: root.unwrap(), number: 0 }
    }

    /// Returns the directory of the present process.
    pub(super) fn path(&self) -> PathBuf {
        self.root.path().join(self.number.to_string())
    }

    /// Leaves the directory to the dead process, and goes on with a copy.
    pub(super) fn advance(&mut self) {
        let (before, next) = self.copying();
        self.number += 1;
        if !next.exists() {
            copy(&before, &next);
        }
    }

    /// Returns the directory of the present process, and that of the next one.
    pub(super) fn copying(&self) -> (PathBuf, PathBuf) {
        (self.path(), self.root.path().join((self.number + 1).to_string()))
    }

    /// Removes the directory before the present one.
    pub(super) fn forget_before(&self) {
        let before = self.root.path().join((self.number - 1).to_string());
        fs::remove_dir_all(before).unwrap();
    }

    /// Reads the deliveries of the file and its other rows, from a copy that nothing else uses.
    pub(super) fn rows(&self) -> (Vec<Row>, StoredRows) {
        let seen = self.root.path().join("seen");
        copy(&self.path(), &seen);
        let query = DeliveryQuery { limit: Some(1_000_000), ..DeliveryQuery::default() };
        let rows = read_log(&seen, None, &query).unwrap();
        let stored = StoredRows::read(&seen).unwrap();
        fs::remove_dir_all(seen).unwrap();
        (serde_json::from_str(&rows).unwrap(), stored)
    }
}

/// Copies the files that outlive a process: not the memory that its connections shared.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap();
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}
