//! Maps errors of PostgreSQL to errors for users.

use tokio_postgres::Error as Postgres;
use tokio_postgres::error::{DbError, SqlState};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::postgres::ConnectError;

/// The SQLSTATE of the function `fence`: the node was replaced.
const REPLACED: &str = "DS001";
/// The SQLSTATE of the function `claim`: another node has some of the deliveries, which the detail names.
const TAKEN: &str = "DS002";

/// The end of a transaction that was not committed for sure.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another node has taken over this node's shards.
    Replaced,
    /// The connection broke: the transaction may be committed.
    Broken(Error),
    /// The server refused it: it is not committed.
    Refused(Error),
    /// Another node has replayed or dismissed these deliveries: it is not committed.
    Taken(Vec<Uuid>),
    /// The server ended it for another transaction, which waited for the same rows: it is not committed.
    Contended,
}

impl From<Postgres> for Trouble {
    fn from(error: Postgres) -> Self {
        match error.as_db_error() {
            Some(said) if said.code().code() == REPLACED => Self::Replaced,
            Some(said) if said.code().code() == TAKEN && !ids(said.detail()).is_empty() => {
                Self::Taken(ids(said.detail()))
            }
            Some(said)
                if [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE]
                    .contains(said.code()) =>
            {
                Self::Contended
            }
            // A commit may have come before.
            Some(said) if is_end(said) => Self::Broken(failed(&error)),
            Some(_) => Self::Refused(failed(&error)),
            None => Self::Broken(failed(&error)),
        }
    }
}

/// Returns `true` if the server ended the session.
pub(super) fn is_end(said: &DbError) -> bool {
    matches!(said.code().code(), "57P01" | "57P02" | "57P03" | "25P03")
}

/// Reads an array of ids as PostgreSQL writes it.
fn ids(text: Option<&str>) -> Vec<Uuid> {
    let inner = text.unwrap_or_default().trim_matches(['{', '}']);
    inner.split(',').filter_map(|id| id.parse().ok()).collect()
}

/// Returns the error of an operation on the database.
pub(super) fn failed(error: &Postgres) -> Error {
    let Some(said) = error.as_db_error() else {
        let why = std::error::Error::source(error);
        let why = why.map_or_else(|| error.to_string(), ToString::to_string);
        return journal(format!("the journal in PostgreSQL is not reachable: {why}"));
    };
    let code = said.code();
    let full = [SqlState::DISK_FULL, SqlState::INSUFFICIENT_RESOURCES].contains(code);
    let advice = if full {
        "the disk is full: make room"
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return without_rights(said.message());
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "the server is for reading alone: name the primary"
    } else if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(code) {
        "a table of the journal was changed or removed: restore it"
    } else {
        "PostgreSQL refuses"
    };
    let message: String = said.message().chars().filter(|c| !c.is_control()).collect();
    let kind = if full { ErrorKind::JournalFull } else { ErrorKind::Journal };
    Error::new(kind, format!("the journal in PostgreSQL: {advice} ({}: {message})", code.code()))
}

/// Returns the error of tables that are not as this version needs them.
pub(super) fn changed(how: &str) -> Error {
    journal(format!(
        "the journal in PostgreSQL: its tables were changed or removed ({how}): restore them"
    ))
}

/// Returns the error of a role that lacks rights.
pub(super) fn without_rights(why: &str) -> Error {
    journal(format!(
        "the journal in PostgreSQL: the role needs CREATE on the database (or an empty schema of its \
         own) to set the journal up, and it must own the schema's tables ({why})"
    ))
}

/// Returns the error of a connection that could not be opened.
pub(super) fn unreached(error: &ConnectError) -> Error {
    journal(format!("the journal in PostgreSQL is not reachable: {error}"))
}

/// Returns an error of the journal.
pub(super) fn journal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Journal, message)
}

/// Returns the error of a value that cannot be read.
pub(super) fn damaged(place: &str) -> Error {
    journal(format!("the journal in PostgreSQL is damaged: {place} cannot be read"))
}

/// Returns the refusal of a closed journal.
pub(super) fn closed() -> Error {
    journal("the journal is closed")
}

/// Returns the error of a database that does not respond.
pub(super) fn silent() -> Error {
    journal("the journal in PostgreSQL is not reachable: it does not respond")
}

/// Returns the refusal of what another node does now.
pub(super) fn replaced() -> Error {
    journal("this node was replaced: it could not renew its lease in time")
}
