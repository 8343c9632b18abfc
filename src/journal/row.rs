//! Rows of a database, read by the names of their columns.
//!
//! **Invariant:** a value that cannot be read is an error with its place, never a default.

/// A row as the client of a database returns it.
pub(super) trait DatabaseRow {
    /// The error of that client's journal.
    type Error;

    /// Returns the error of a column that cannot be read.
    fn damaged(&self, table: &'static str, column: &str) -> Self::Error;
}

/// A row whose columns are read as values of this type.
pub(super) trait ReadColumn<T>: DatabaseRow {
    /// Reads a column.
    ///
    /// # Errors
    /// The place, if the column has another type.
    fn read(&self, table: &'static str, column: &str) -> Result<T, Self::Error>;
}

/// A row of a table.
#[derive(Debug)]
pub(super) struct ColumnReader<'a, R> {
    row: &'a R,
    table: &'static str,
}

impl<R> Clone for ColumnReader<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for ColumnReader<'_, R> {}

impl<'a, R: DatabaseRow> ColumnReader<'a, R> {
    /// Reads a row of `table`.
    pub(super) const fn new(table: &'static str, row: &'a R) -> Self {
        Self { row, table }
    }

    /// Returns the row itself.
    pub(super) const fn row(&self) -> &'a R {
        self.row
    }

    /// Reads a column.
    ///
    /// # Errors
    /// The place, if the column has another type.
    pub(super) fn get<T>(&self, column: &str) -> Result<T, R::Error>
    where
        R: ReadColumn<T>,
    {
        self.row.read(self.table, column)
    }

    /// Reads a column and converts its value.
    ///
    /// # Errors
    /// The place, if the column has another type, or its value is not converted.
    pub(super) fn parse<T, U>(
        &self,
        column: &str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, R::Error>
    where
        R: ReadColumn<T>,
    {
        parse(self.get(column)?).ok_or_else(|| self.damaged(column))
    }

    /// Reads a column and converts its value unless it is `NULL`.
    ///
    /// # Errors
    /// The place, if the column has another type, or its value is not converted.
    pub(super) fn parse_optional<T, U>(
        &self,
        column: &str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<Option<U>, R::Error>
    where
        R: ReadColumn<Option<T>>,
    {
        let value: Option<T> = self.get(column)?;
        value.map(|value| parse(value).ok_or_else(|| self.damaged(column))).transpose()
    }

    /// Returns the error of a column that cannot be read.
    pub(super) fn damaged(&self, column: &str) -> R::Error {
        self.row.damaged(self.table, column)
    }
}
