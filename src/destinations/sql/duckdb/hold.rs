//! Which files are open in this process. DuckDB's own lock keeps other processes away; within one,
//! a second instance would overwrite what the first one wrote.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static HELD: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// A file that nobody else in this process opens until this is dropped.
#[derive(Debug)]
pub struct Hold(PathBuf);

impl Hold {
    /// Takes a file whose directory is there; `None`: somebody has it.
    #[must_use]
    pub fn take(file: &Path) -> Option<Self> {
        let file = resolved(file);
        let is_free = held().get_or_insert_default().insert(file.clone());
        is_free.then(|| Self(file))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(files) = &mut *held() {
            files.remove(&self.0);
        }
    }
}

/// The same path for each way to spell it.
fn resolved(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if let Ok(found) = file.canonicalize() {
        return found;
    }
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(file.file_name()).map_or(file.clone(), |(folder, name)| folder.join(name))
}

fn held() -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_once_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.duckdb");
        let other = folder.path().join(".").join("..").join(folder.path().file_name().unwrap());
        let hold = Hold::take(&file).unwrap();
        assert!(Hold::take(&other.join("a.duckdb")).is_none());
        std::fs::write(&file, "").unwrap();
        assert!(Hold::take(&file).is_none());
        assert!(Hold::take(&folder.path().join("b.duckdb")).is_some());
        drop(hold);
        assert!(Hold::take(&file).is_some());
    }
}
