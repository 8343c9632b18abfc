//! The connections that read: one while the journal is open, and one for each read after that, so
//! that a closed journal has no file open.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::Key;
use super::reader::Reader;
use super::seal::Sealer;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    key: Key,
    kept: Mutex<Option<Arc<Reader>>>,
}

impl Readers {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// `Journal`.
    pub(super) fn open(path: PathBuf, key: Key) -> Result<Self> {
        let readers = Self { path, key, kept: Mutex::default() };
        let reader = readers.new_reader()?;
        *readers.kept() = Some(Arc::new(reader));
        Ok(readers)
    }

    /// A reader, which is not to be kept.
    ///
    /// # Errors
    /// `Journal`.
    pub(super) fn get(&self) -> Result<Arc<Reader>> {
        let kept = self.kept().clone();
        kept.map_or_else(|| self.new_reader().map(Arc::new), Ok)
    }

    /// Closes the connection that is kept.
    pub(super) fn close(&self) {
        self.kept().take();
    }

    fn new_reader(&self) -> Result<Reader> {
        Reader::open(&self.path, Some(Sealer::new(&self.key)?))
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Reader>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
