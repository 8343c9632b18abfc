//! Maps errors of SQLite to errors for users.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Returns the error of a failed operation on the journal's file.
pub(super) fn storage_error(path: &Path, what: &str, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let kind = match code {
        Some(ErrorCode::DiskFull) => ErrorKind::JournalFull,
        _ => ErrorKind::Journal,
    };
    let advice = match code {
        None if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => "it is damaged",
        Some(ErrorCode::DiskFull) => "the disk is full: make room",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "the directory and its files may not be written, which reading needs, too: run this as the \
             user that owns them"
        }
        Some(ErrorCode::CannotOpen) => "check that the directory exists and may be written",
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "it is damaged or no journal: restore a copy, or move it away to begin a new one"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds a lock on it"
        }
        _ => "SQLite refuses",
    };
    let mut message = format!("the journal {} {what}: {advice}", path.display());
    if let rusqlite::Error::FromSqlConversionFailure(_, _, place) = &error {
        message = format!("{message}: {place}");
    }
    Error::new(kind, message).with_source(error)
}
