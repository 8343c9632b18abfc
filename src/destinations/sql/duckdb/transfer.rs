//! The rows of a batch that is being loaded, in a file for the process that loads them.
//!
//! **Invariant:** the file is there until its handoff is dropped, and not longer.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::super::plan::Plan;
use super::super::rows::{RowSet, may_rewrite, rename};
use super::super::types::Fields;

/// A file of rows.
#[derive(Debug)]
pub(super) struct RowTransfer {
    path: PathBuf,
    pieces: Vec<usize>,
}

/// The rows that a table takes.
struct TransferredRows {
    all: Arc<RowSet>,
    refused: BTreeSet<usize>,
    /// The columns, if a row is not written as it came.
    names: Option<Fields>,
}

impl RowTransfer {
    /// Writes the rows beside the file of the warehouse, in pieces of whole rows of about `size` bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) async fn write(
        plan: &Plan,
        rows: &Arc<RowSet>,
        warehouse: &Path,
        size: usize,
    ) -> io::Result<Self> {
        let refused = plan.refused.keys().filter_map(|place| usize::try_from(*place).ok());
        let rows = TransferredRows {
            all: Arc::clone(rows),
            refused: refused.collect(),
            names: may_rewrite(&plan.after).then(|| plan.after.clone()),
        };
        // The process that reads it need not share a working directory with this one.
        let mut path = std::path::absolute(warehouse)?.into_os_string();
        path.push(format!(".rows-{}", Uuid::now_v7()));
        // If nothing waits for it any more, its handoff is dropped with the result.
        let written = tokio::task::spawn_blocking(move || Self::create(path.into(), &rows, size));
        written.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    fn create(path: PathBuf, rows: &TransferredRows, size: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let mut transfer = Self { path, pieces: Vec::new() };
        rows.write(&mut file, size, &mut transfer.pieces)?;
        Ok(transfer)
    }

    /// Returns the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of each piece.
    pub(super) fn pieces(&self) -> &[usize] {
        &self.pieces
    }
}

impl Drop for RowTransfer {
    fn drop(&mut self) {
        // A file that stays is deleted by the next that opens the warehouse.
        let _ = fs::remove_file(&self.path);
    }
}

impl TransferredRows {
    /// Writes one line for each row, and adds the bytes of each piece.
    fn write(&self, file: &mut File, size: usize, pieces: &mut Vec<usize>) -> io::Result<()> {
        let mut piece = String::with_capacity(size);
        let mut flush = |piece: &mut String| {
            file.write_all(piece.as_bytes())?;
            pieces.push(piece.len());
            piece.clear();
            io::Result::Ok(())
        };
        for (place, row) in self.all.texts().enumerate() {
            if self.refused.contains(&place) {
                continue;
            }
            match &self.names {
                Some(names) => rename(row, names, &mut piece),
                None => piece.push_str(row),
            }
            piece.push('\n');
            if piece.len() >= size {
                flush(&mut piece)?;
            }
        }
        if piece.is_empty() { Ok(()) } else { flush(&mut piece) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::names::Naming;
    use super::super::super::types::MAX_COLUMNS;
    use super::*;

    const NAMING: Naming =
        Naming { max_bytes: 63, taken: &[], reserved: &[], last: char::MAX, nested: true };

    fn set(rows: &[&str]) -> Arc<RowSet> {
        let mut set = RowSet::default();
        for row in rows {
            set.add((*row).to_owned().into()).unwrap();
        }
        Arc::new(set)
    }

    #[tokio::test]
    async fn pieces_are_whole_rows_whatever_their_size() {
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<_> = (0..40_u32).map(|n| format!(r#"{{"n":{}}}"#, 1_u64 << n)).collect();
        let rows = set(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let plan = Plan::new(None, &rows, NAMING, MAX_COLUMNS);
        for size in [1, 30, 100, 10_000] {
            let warehouse = folder.path().join("w");
            let transfer = RowTransfer::write(&plan, &rows, &warehouse, size).await.unwrap();
            let all = fs::read_to_string(transfer.path()).unwrap();
            assert_eq!(all, texts.join("\n") + "\n");
            let mut end = 0;
            for bytes in transfer.pieces() {
                end += bytes;
                assert!(*bytes > 0 && all[..end].ends_with('\n'));
            }
            assert_eq!(end, all.len());
            drop(transfer);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[tokio::test]
    async fn pieces_have_the_names_of_the_columns_and_no_refused_rows() {
        let folder = tempfile::tempdir().unwrap();
        let rows = set(&[r#"{"a":1,"A":2}"#, r#"{"b":0}"#, r#"{"A":3}"#]);
        let mut plan = Plan::new(None, &rows, NAMING, MAX_COLUMNS);
        let failure = crate::delivery::Failure::new(crate::error::ErrorKind::Internal, "");
        plan.refused.insert(1, failure);
        let transfer =
            RowTransfer::write(&plan, &rows, &folder.path().join("w"), 1000).await.unwrap();
        let all = fs::read_to_string(transfer.path()).unwrap();
        assert_eq!(all, "{\"a\":1,\"A_2\":2}\n{\"A_2\":3}\n");
        assert_eq!(transfer.pieces(), [all.len()]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let rows = set(&["{}"]);
        let plan = Plan::new(None, &rows, NAMING, MAX_COLUMNS);
        let transfer =
            RowTransfer::write(&plan, &rows, &folder.path().join("w"), 10).await.unwrap();
        let mode = fs::metadata(transfer.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let without_response = folder.path().join("none").join("w");
        assert!(RowTransfer::write(&plan, &rows, &without_response, 10).await.is_err());
    }
}
