//! Rows, read by the names of their columns.
//!
//! **Invariant:** a value that cannot be read is an error with its place, never a default.

use std::fmt;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Error, Result, Row};

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
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    table: &'static str,
}

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

impl<'a> Columns<'a> {
    /// Reads a row of `table`.
    pub(super) const fn new(table: &'static str, row: &'a Row<'a>) -> Self {
        Self { row, table }
    }

    /// Reads a column.
    ///
    /// # Errors
    /// The place, if the column has another type.
    pub(super) fn get<T: FromSql>(&self, column: &str) -> Result<T> {
        self.row.get(column).map_err(|error| match error {
            Error::InvalidColumnName(_) => error,
            _ => self.damaged(column),
        })
    }

    /// Reads a text without a copy; of `NULL`, the empty one.
    pub(super) fn text(&self, column: &str) -> Result<&'a str> {
        let value = self.row.get_ref(column)?;
        value.as_str_or_null().map(Option::unwrap_or_default).map_err(|_| self.damaged(column))
    }

    /// Reads a column whose number is never negative.
    pub(super) fn unsigned(&self, column: &str) -> Result<u64> {
        self.get::<i64>(column).map(i64::cast_unsigned)
    }

    /// Reads a column and converts its value.
    pub(super) fn parse<T: FromSql, U>(
        &self,
        column: &str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<U> {
        parse(self.get(column)?).ok_or_else(|| self.damaged(column))
    }

    /// Reads a column and converts its value unless it is `NULL`.
    pub(super) fn parse_optional<T: FromSql, U>(
        &self,
        column: &str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<Option<U>> {
        let value = self.get::<Option<T>>(column)?;
        value.map(|value| parse(value).ok_or_else(|| self.damaged(column))).transpose()
    }

    /// Returns the error of a column that cannot be read.
    pub(super) fn damaged(&self, column: &str) -> Error {
        use rusqlite::types::ValueRef;
        let value = match self.row.get_ref(column) {
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Text(text)) if text.len() <= MAX_SHOWN_BYTES => {
                format!("{:?}", String::from_utf8_lossy(text))
            }
            Ok(value) => format!("an unreadable {}", value.data_type()),
            Err(_) => "absent".to_owned(),
        };
        let place = format!("{}.{column}", self.table);
        let index = self.row.as_ref().column_index(column).unwrap_or_default();
        Error::FromSqlConversionFailure(index, Type::Null, Box::new(Damage { place, value }))
    }
}

/// The longest text that an error shows: names and numbers, never a payload.
const MAX_SHOWN_BYTES: usize = 64;
