//! The connections that read: a few while the journal is open, so that a long query does not hold up
//! others, and one for each read after that, so that a closed journal has no file open.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JournalReader;
use crate::error::Result;
use crate::journal::crypto::{Cipher, JournalKey};

/// The connections that are kept. More queries at once share them.
const MAX_KEPT: usize = 4;

#[derive(Debug)]
pub(crate) struct ReaderPool {
    path: PathBuf,
    key: JournalKey,
    /// `None`: the journal is closed.
    kept: Mutex<Option<Vec<Arc<JournalReader>>>>,
}

impl ReaderPool {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// `Journal`.
    pub(crate) fn open(path: PathBuf, key: JournalKey) -> Result<Self> {
        let readers = Self { path, key, kept: Mutex::default() };
        let reader = readers.new_reader()?;
        *readers.kept() = Some(vec![Arc::new(reader)]);
        Ok(readers)
    }

    /// Returns a reader, which is not to be kept: an idle one if there is room for it.
    ///
    /// # Errors
    /// `Journal`.
    pub(crate) fn get(&self) -> Result<Arc<JournalReader>> {
        let mut kept = self.kept();
        let Some(readers) = &mut *kept else { return self.new_reader().map(Arc::new) };
        // A reader in use has another reference.
        let least_used = readers.iter().min_by_key(|reader| Arc::strong_count(reader));
        match least_used {
            Some(reader) if Arc::strong_count(reader) == 1 || readers.len() >= MAX_KEPT => {
                Ok(Arc::clone(reader))
            }
            Some(_) | None => {
                let reader = Arc::new(self.new_reader()?);
                readers.push(Arc::clone(&reader));
                Ok(reader)
            }
        }
    }

    /// Closes the connections that are kept.
    pub(crate) fn close(&self) {
        self.kept().take();
    }

    fn new_reader(&self) -> Result<JournalReader> {
        JournalReader::open(&self.path, Some(Cipher::new(&self.key)?))
    }

    fn kept(&self) -> MutexGuard<'_, Option<Vec<Arc<JournalReader>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
