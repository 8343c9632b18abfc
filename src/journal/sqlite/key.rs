//! The key of the file, and the check that it is the one that the file was sealed with.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Result as Rows};

use super::error::storage_error;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::crypto::{Cipher, JournalKey, KEY_CHECK};

/// Messages of each kind that are tried when the check says nothing.
const TRIED: usize = 8;

/// The messages that the file needs a key for, newest first: waiting calls, dead letters and registrations, each
/// with the context that it was sealed for.
const SEALED: [&str; 3] = [
    "SELECT first_seq, sealed FROM commits WHERE open = 1 ORDER BY first_seq DESC LIMIT ?1",
    "SELECT first_seq, sealed FROM commits WHERE first_seq IN (
        SELECT (SELECT max(first_seq) FROM commits WHERE first_seq <= seq) FROM deliveries
        WHERE status = 'failed' AND replayed_by IS NULL AND resolved_by IS NULL
            AND dismissed_at IS NULL ORDER BY id DESC LIMIT ?1)",
    "SELECT id, sealed FROM registrations LIMIT ?1",
];

/// Returns the given key, or the one in the directory, which is made if nothing needs another one.
///
/// # Errors
/// `InvalidOption` or `Journal` when the file was sealed with another key.
pub(super) fn unlock(
    connection: &Connection,
    directory: &Path,
    given: Option<&[u8]>,
) -> Result<JournalKey> {
    let path = super::file_in(directory);
    let failed = |error| storage_error(&path, "cannot be opened", error);
    let Some(key) = JournalKey::find(directory, given)? else {
        if !sealed(connection).map_err(failed)?.is_empty() {
            return Err(refused(&path, false, "the key file is missing"));
        }
        let key = JournalKey::create(directory)?;
        let check = Cipher::new(&key)?.encrypt(KEY_CHECK, KEY_CHECK)?;
        remember(connection, &check).map_err(failed)?;
        return Ok(key);
    };
    let cipher = Cipher::new(&key)?;
    let check = check(connection).map_err(failed)?;
    if check.as_deref().is_some_and(|check| cipher.decrypt(KEY_CHECK, check).is_ok()) {
        return Ok(key);
    }
    let sealed = sealed(connection).map_err(failed)?;
    let opens = sealed.iter().any(|(context, message)| cipher.decrypt(context, message).is_ok());
    match (opens || sealed.is_empty(), check) {
        (true, _) => {
            remember(connection, &cipher.encrypt(KEY_CHECK, KEY_CHECK)?).map_err(failed)?;
        }
        (false, Some(_)) => {
            return Err(refused(&path, given.is_some(), "it was sealed with another key"));
        }
        // A file of an older layout, all of whose messages may be damaged as well: each says so.
        (false, None) => {}
    }
    Ok(key)
}

fn check(connection: &Connection) -> Rows<Option<Vec<u8>>> {
    connection.query_row("SELECT sealed FROM key_check", [], |row| row.get(0)).optional()
}

fn sealed(connection: &Connection) -> Rows<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut found = Vec::new();
    for sql in SEALED {
        let mut select = connection.prepare(sql)?;
        let rows = select.query_map([TRIED], |row| {
            let context = match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(first_seq) => first_seq.to_le_bytes().to_vec(),
                text => text.as_bytes()?.to_vec(),
            };
            Ok((context, row.get(1)?))
        })?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

fn remember(connection: &Connection, check: &[u8]) -> Rows<()> {
    let replace = "REPLACE INTO key_check (id, sealed) VALUES (1, ?1)";
    connection.execute(replace, [check]).map(|_| ())
}

fn refused(path: &Path, is_given: bool, what: &str) -> Error {
    let (kind, advice) = if is_given {
        (ErrorKind::InvalidOption, "give the key that it was sealed with")
    } else {
        (ErrorKind::Journal, "restore the journal.key that belongs to it")
    };
    let message = format!("journal.key: calls wait in {}, and {what}: {advice}", path.display());
    Error::new(kind, message)
}
