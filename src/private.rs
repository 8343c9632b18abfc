//! Files and folders that only their owner may read.
//!
//! **Invariant:** nothing is written through a folder of the shared temporary directory that another
//! user may have made.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Returns the folder of this user below the system's temporary directory.
#[must_use]
pub fn temporary_folder() -> PathBuf {
    #[cfg(unix)]
    let name = format!("dollar-send-{}", rustix::process::geteuid().as_raw());
    #[cfg(not(unix))]
    let name = "dollar-send";
    std::env::temp_dir().join(name)
}

/// Folders whose names are synced.
static DURABLE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Folders that are remembered as synced.
const MAX_DURABLE: usize = 10_000;

/// Makes a folder for its owner alone, if it is not there. It survives a loss of power from here on.
///
/// # Errors
/// Of the file system; also when the folder is below [`temporary_folder`] and that is a link, of
/// another user, or open to others.
pub fn create_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    // Alone: a folder that another thread has made, and not yet synced, must not look durable.
    let mut durable = DURABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let new: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.create(path)?;
    for folder in &new {
        durable.remove(*folder);
    }
    // Also those that an earlier process made: it may have ended before it synced them.
    let unsynced: Vec<&Path> =
        path.ancestors().take_while(|folder| !durable.contains(*folder)).collect();
    for folder in &unsynced {
        // The next attempt has to make and sync the new ones again.
        sync_name(folder, new.contains(folder)).inspect_err(|_| remove_empty(&new))?;
    }
    if durable.len() + unsynced.len() > MAX_DURABLE {
        durable.clear();
    }
    durable.extend(unsynced.into_iter().map(Path::to_path_buf));
    drop(durable);
    let shared = temporary_folder();
    if path.starts_with(&shared) { check_owned(&shared) } else { Ok(()) }
}

/// Syncs the folder above, whose content a folder's name is. One that was there before may be in a
/// folder of others, which cannot be opened, or of a file system that cannot do it.
#[cfg(unix)]
fn sync_name(folder: &Path, is_new: bool) -> Result<()> {
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let is_theirs = |kind| {
        use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
        matches!(kind, InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
    };
    match File::open(above).and_then(|above| above.sync_all()) {
        Err(error) if !is_new && is_theirs(error.kind()) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_name(_folder: &Path, _is_new: bool) -> Result<()> {
    Ok(())
}

/// Removes folders, the lowest first; one that is in use stays.
fn remove_empty(folders: &[&Path]) {
    for folder in folders {
        let _ = fs::remove_dir(folder);
    }
}

/// Says why a file or folder cannot be used, and what helps.
#[must_use]
pub fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "permission denied: run this as the user that owns it".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        ErrorKind::NotADirectory => "a part of the path is no directory".to_owned(),
        _ => {
            let text = error.to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            text[..end].to_owned()
        }
    }
}

/// Opens a file for its owner alone, empty, for writing.
///
/// # Errors
/// Of the file system.
pub fn create_file(path: &Path) -> Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// Makes a file if it is not there, and closes it to others.
///
/// # Errors
/// Of the file system; also when it is not a regular file.
pub fn ensure_file(path: &Path) -> Result<()> {
    check_regular(path)?;
    let file = options().read(true).write(true).create(true).truncate(false).open(path)?;
    close_to_others(&file)
}

/// Refuses what is there and is not a regular file: opening a pipe may wait for ever.
///
/// # Errors
/// Of the file system, and `InvalidInput`.
pub fn check_regular(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The identity of a file, for later comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(#[cfg(unix)] (u64, u64));

/// Returns the identity of a file; always the same where the system has none.
///
/// # Errors
/// Of the file system.
pub fn identity(path: &Path) -> Result<Identity> {
    let found = fs::metadata(path)?;
    #[cfg(unix)]
    return Ok(Identity((
        std::os::unix::fs::MetadataExt::dev(&found),
        std::os::unix::fs::MetadataExt::ino(&found),
    )));
    #[cfg(not(unix))]
    {
        drop(found);
        Ok(Identity())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
const fn is_open_to_others(mode: u32) -> bool {
    mode & 0o077 != 0
}

#[cfg(unix)]
fn close_to_others(file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    if !is_open_to_others(mode) {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(mode & 0o700))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the form that it has where there are modes")]
fn close_to_others(_file: &File) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_owned(folder: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let found = fs::symlink_metadata(folder)?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && own && !is_open_to_others(found.permissions().mode()) {
        return Ok(());
    }
    let message = format!(
        "{} is a link, belongs to another user, or is open to others: remove it, or set email.file and \
         s3.file or a dataDir",
        folder.display()
    );
    Err(Error::new(ErrorKind::PermissionDenied, message))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the form that it has where there are owners")]
fn check_owned(_folder: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{check_owned, check_regular, create_file, create_folder, ensure_file, reason};

    #[test]
    fn a_failure_says_what_helps() {
        let denied = reason(&std::io::Error::from_raw_os_error(13));
        assert!(denied.starts_with("permission denied: run this as the user"), "{denied}");
        assert_eq!(reason(&std::io::Error::from_raw_os_error(28)), "the disk is full");
        assert_eq!(reason(&std::io::Error::from_raw_os_error(30)), "the file system is read-only");
        assert_eq!(reason(&std::io::Error::from_raw_os_error(5)), "Input/output error");
    }

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_for_their_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        create_folder(&folder).unwrap();
        create_file(&folder.join("new")).unwrap();
        let open = folder.join("open");
        fs::write(&open, "kept").unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        ensure_file(&open).unwrap();
        assert_eq!([mode(&folder), mode(&folder.join("new")), mode(&open)], [0o700, 0o600, 0o600]);
        assert_eq!(fs::read_to_string(&open).unwrap(), "kept");
    }

    #[test]
    fn nested_and_relative_folders_are_synced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b/c");
        create_folder(&folder).unwrap();
        create_folder(&folder).unwrap();
        super::sync_name("src".as_ref(), true).unwrap();
        super::remove_empty(&[&folder, &parent.path().join("a/b")]);
        assert!(parent.path().join("a").exists() && !parent.path().join("a/b").exists());
        create_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
    }

    #[test]
    fn a_folder_that_is_a_link_or_open_to_others_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let (own, link) = (parent.path().join("own"), parent.path().join("link"));
        create_folder(&own).unwrap();
        check_owned(&own).unwrap();
        symlink(&own, &link).unwrap();
        assert!(check_owned(&link).is_err());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(check_owned(&own).is_err());
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        assert!(check_regular(parent.path()).is_err());
        check_regular(&parent.path().join("absent")).unwrap();
    }
}
