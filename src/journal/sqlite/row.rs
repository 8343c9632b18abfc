//! Rows of SQLite.

use std::fmt;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Error, Result, Row};

use crate::journal::row::{ColumnReader, DatabaseRow, ReadColumn};

macro_rules! delivery_columns {
    ($first:literal $(, $next:literal)+ $(,)?) => {
        /// The columns of a delivery, for the beginning of a statement.
        pub(super) const COLUMNS: &str = concat!("d.", $first $(, ", d.", $next)+);
        const COLUMN_NAMES: &[&str] = &[$first $(, $next)+];
    };
}

delivery_columns![
    "execution",
    "id",
    "call_index",
    "step",
    "destination",
    "status",
    "attempts",
    "recorded_at",
    "settled_at",
    "request",
    "request_body",
    "request_body_bytes",
    "request_body_complete",
    "response",
    "response_body",
    "response_body_bytes",
    "response_body_complete",
    "error_code",
    "error_message",
    "error_phase",
    "warnings",
    "replay_of",
    "call",
    "replayed_by",
    "resolved_by",
    "dismissed_at",
    "attempt_log",
];

/// Finds a column: at its place in [`COLUMNS`] first, because to ask for the name of each column takes a
/// third of what reading a delivery takes.
fn place_of(row: &Row<'_>, column: &str) -> Result<usize> {
    let statement = row.as_ref();
    let usual = COLUMN_NAMES.iter().position(|name| *name == column);
    let is_there = |place: &usize| statement.column_name(*place).is_ok_and(|name| name == column);
    usual.filter(is_there).map_or_else(|| statement.column_index(column), Ok)
}

/// The condition of a dead letter: the newest delivery of a call that failed and is not resolved.
pub(super) const DEAD_LETTER: &str =
    "status = 'failed' AND replayed_by IS NULL AND resolved_by IS NULL AND dismissed_at IS NULL";

/// The calls of deliveries by their state: delivered, failed, discarded, dismissed. A call counts once.
pub(super) const TALLY: &str = "
    count(DISTINCT coalesce(call, id)) FILTER (WHERE status = 'delivered'),
    count(*) FILTER (WHERE status = 'failed' AND replayed_by IS NULL AND resolved_by IS NULL
        AND dismissed_at IS NULL),
    count(*) FILTER (WHERE status = 'discarded'),
    count(*) FILTER (WHERE status = 'failed' AND replayed_by IS NULL AND resolved_by IS NULL
        AND dismissed_at IS NOT NULL)";

/// Converts a number or a time to the signed integers of SQLite; both stay far below the sign bit.
pub(super) const fn int(number: u64) -> i64 {
    number.cast_signed()
}

/// A row of a table.
pub(super) type SqliteRow<'a> = ColumnReader<'a, Row<'a>>;

/// The place of a value that cannot be read.
#[derive(Debug)]
struct Damage {
    place: String,
    value: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.place, self.value)
    }
}

impl std::error::Error for Damage {}

impl DatabaseRow for Row<'_> {
    type Error = Error;

    fn damaged(&self, table: &'static str, column: &str) -> Error {
        use rusqlite::types::ValueRef;
        let value = match self.get_ref(column) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) if text.len() <= MAX_SHOWN_BYTES => {
                format!("{:?}", String::from_utf8_lossy(text))
            }
            Ok(value) => format!("an unreadable {}", value.data_type()),
            Err(_) => "absent".to_owned(),
        };
        let place = format!("{table}.{column}");
        let index = self.as_ref().column_index(column).unwrap_or_default();
        Error::FromSqlConversionFailure(index, Type::Null, Box::new(Damage { place, value }))
    }
}

impl<T: FromSql> ReadColumn<T> for Row<'_> {
    fn read(&self, table: &'static str, column: &str) -> Result<T> {
        let place = place_of(self, column)?;
        self.get(place).map_err(|_| DatabaseRow::damaged(self, table, column))
    }
}

impl<'a> SqliteRow<'a> {
    /// Reads a text without a copy; of `NULL`, the empty one.
    pub(super) fn text(&self, column: &str) -> Result<&'a str> {
        let value = self.row().get_ref(column)?;
        value.as_str_or_null().map(Option::unwrap_or_default).map_err(|_| self.damaged(column))
    }

    /// Reads a column whose number is never negative.
    pub(super) fn unsigned(&self, column: &str) -> Result<u64> {
        self.get::<i64>(column).map(i64::cast_unsigned)
    }
}

/// The longest text that an error shows: names and numbers, never a payload.
const MAX_SHOWN_BYTES: usize = 64;
