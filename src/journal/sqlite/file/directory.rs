//! The data directory and the lock that keeps it to one process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::private;

/// The file that is locked. It holds the pid of the process that locked it, and below it the address
/// of the engine's server if there is one.
const LOCK: &str = "lock";

/// An open data directory. The system releases the lock when this is dropped or the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    /// `DataDirLocked`, `Journal`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |what: &str, source: std::io::Error| {
            let reason = private::reason(&source);
            let message = format!("the data directory {} {what}: {reason}", path.display());
            Error::new(ErrorKind::Journal, message).with_source(source)
        };
        create_directory(path).map_err(|error| failed("cannot be made", error))?;
        let path = fs::canonicalize(path).map_err(|error| failed("cannot be opened", error))?;
        private::ensure_file(&path.join(LOCK))
            .map_err(|error| failed("has a file `lock` that cannot be used", error))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join(LOCK))
            .map_err(|error| failed("cannot be written", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&path, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(failed("cannot be locked", error)),
        }
        let pid = std::process::id().to_string();
        lock.set_len(0)
            .and_then(|()| lock.write_all(pid.as_bytes()))
            .map_err(|error| failed("cannot be written", error))?;
        Ok(Self { path, _lock: lock })
    }

    /// Returns the canonical path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a directory that only its owner may look into, if it is not there.
///
/// # Errors
/// Of the file system.
pub fn create_directory(path: &Path) -> std::io::Result<()> {
    private::create_folder(path)
}

/// Writes the address of the server into the lock file of an open data directory, so that commands
/// find the engine. Failing to is no reason not to serve.
pub fn announce(path: &Path, address: &str) {
    let text = format!("{}\n{address}\n", std::process::id());
    let file = OpenOptions::new().write(true).open(path.join(LOCK));
    let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
}

fn locked(path: &Path, lock: &mut File) -> Error {
    let mut text = String::new();
    // Who holds it may not have written its pid yet.
    let _ = lock.read_to_string(&mut text);
    let mut lines = text.lines();
    let pid = lines.next().unwrap_or_default();
    let server = lines.next().map(|address| format!(", whose server is {address}"));
    let holder = if pid.is_empty() {
        "another process: one process at a time may open it".to_owned()
    } else if pid == std::process::id().to_string() {
        format!(
            "this process (pid {pid}): another copy of dollar-send in it has the directory open, and \
             copies of the addon share nothing"
        )
    } else {
        format!("pid {pid}{}: one process at a time may open it", server.unwrap_or_default())
    };
    let message = format!("the data directory {} is in use by {holder}", path.display());
    Error::new(ErrorKind::DataDirLocked, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_names_the_server() {
        let parent = tempfile::tempdir().unwrap();
        let _open = DataDir::open(parent.path()).unwrap();
        announce(parent.path(), "http://127.0.0.1:8787");
        let text = fs::read_to_string(parent.path().join(LOCK)).unwrap();
        assert_eq!(text, format!("{}\nhttp://127.0.0.1:8787\n", std::process::id()));
        let refused = DataDir::open(parent.path()).unwrap_err();
        assert!(refused.to_string().contains("this process (pid"), "{refused}");
        let mut lock = File::open(parent.path().join(LOCK)).unwrap();
        fs::write(parent.path().join(LOCK), "1\nhttp://127.0.0.1:8787\n").unwrap();
        let refused = locked(parent.path(), &mut lock).to_string();
        assert!(
            refused.contains("by pid 1, whose server is http://127.0.0.1:8787: one"),
            "{refused}"
        );
    }

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::DataDirLocked);
        assert!(refused.to_string().contains(&format!("pid {}", std::process::id())));
        assert!(refused.to_string().contains("another copy of dollar-send"));
        drop(first);
        fs::write(path.join(LOCK), "999999999").unwrap();
        let second = DataDir::open(&path).unwrap();
        let pid = fs::read_to_string(second.path().join(LOCK)).unwrap();
        assert_eq!(pid, std::process::id().to_string());
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.as_path(), &file.join("below"), Path::new("")] {
            assert_eq!(DataDir::open(path).unwrap_err().kind(), ErrorKind::Journal);
        }
    }
}
