//! The key that seals what is secret at rest.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::private;

/// The file in the data directory that holds the key when the options bring none.
const FILE: &str = "journal.key";
/// The name of the file until it is complete.
const DRAFT: &str = "journal.key.tmp";
/// Bytes of a key.
pub(in crate::journal) const KEY_BYTES: usize = 32;

/// A key. It is never shown.
#[derive(Clone)]
pub(in crate::journal) struct JournalKey([u8; KEY_BYTES]);

impl fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JournalKey")
    }
}

impl JournalKey {
    /// The given key, or the one in the directory, if there is one.
    ///
    /// # Errors
    /// `InvalidOption` when the given key has another length; `Journal`.
    pub(in crate::journal) fn find(directory: &Path, given: Option<&[u8]>) -> Result<Option<Self>> {
        match given {
            Some(given) => Self::given(given).map(Some),
            None => Self::existing(directory),
        }
    }

    /// The given key.
    ///
    /// # Errors
    /// `InvalidOption` when it has another length.
    pub(in crate::journal) fn given(given: &[u8]) -> Result<Self> {
        Self::of(given).ok_or_else(|| {
            let message = format!("journal.key: must be {KEY_BYTES} bytes, not {}", given.len());
            Error::new(ErrorKind::InvalidOption, message)
        })
    }

    /// The key in the directory, if there is one.
    ///
    /// # Errors
    /// `Journal`.
    fn existing(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FILE);
        private::check_regular(&path).map_err(|error| unusable(&path, "cannot be read", error))?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, "cannot be read", error)),
        };
        check_permissions(&path)?;
        let key = Self::of(&bytes).ok_or_else(|| {
            failed(&path, &format!("has {} bytes, not {KEY_BYTES}: restore a copy", bytes.len()))
        })?;
        Ok(Some(key))
    }

    /// The key's bytes.
    pub(in crate::journal) const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Makes a key and its file.
    ///
    /// # Errors
    /// `Journal`.
    pub(in crate::journal) fn create(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let mut key = Self([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(&mut key.0)
            .map_err(|_| Error::new(ErrorKind::Journal, "the system has no random numbers"))?;
        let written = write(directory, &path, &key.0);
        written.map_err(|error| unusable(&path, "cannot be made", error))?;
        Ok(key)
    }
}

/// Wholly or not at all: a directory with half a key could not be opened again.
fn write(directory: &Path, path: &Path, key: &[u8]) -> std::io::Result<()> {
    let draft = directory.join(DRAFT);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != IoKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(key)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    // The file's name has to last as well.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(unix)]
fn check_permissions(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(|error| failed(path, "cannot be read").with_source(error))?
        .permissions()
        .mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(failed(path, "may be read by others: chmod 600"))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the form that it has where there are modes")]
fn check_permissions(_path: &Path) -> Result<()> {
    Ok(())
}

fn unusable(path: &Path, what: &str, error: std::io::Error) -> Error {
    failed(path, &format!("{what}: {}", private::reason(&error))).with_source(error)
}

fn failed(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Journal, format!("the key file {} {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        assert!(JournalKey::existing(directory.path()).unwrap().is_none());
        let made = JournalKey::create(directory.path()).unwrap();
        let found = JournalKey::find(directory.path(), None).unwrap().unwrap();
        assert_eq!(made.bytes(), found.bytes());
        assert_eq!(format!("{made:?}"), "JournalKey");
        let given = JournalKey::find(directory.path(), Some(&[7; 32])).unwrap().unwrap();
        assert_eq!(given.bytes(), &[7; 32]);
    }

    #[test]
    fn a_process_that_ends_while_it_makes_a_key_leaves_none() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(DRAFT), [7; KEY_BYTES - 1]).unwrap();
        assert!(JournalKey::existing(directory.path()).unwrap().is_none());
        let made = JournalKey::create(directory.path()).unwrap();
        assert_eq!(JournalKey::existing(directory.path()).unwrap().unwrap().bytes(), made.bytes());
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = JournalKey::find(directory.path(), Some(&[7; 31])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidOption);
        fs::write(directory.path().join(FILE), "short").unwrap();
        let refused = JournalKey::find(directory.path(), None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Journal);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        JournalKey::create(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = JournalKey::find(directory.path(), None).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}
