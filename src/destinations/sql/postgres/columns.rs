//! The columns that a table really has, beside what was recorded of it. Pure.
//!
//! **Invariant:** a column that people made or changed keeps the type that they gave it: values are
//! passed to it as text, and a row that it does not take fails alone.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::types::{Field, Fields, Type};
use super::dialect::{ARRIVED, column_type, type_name};

/// One column, as the server describes it.
#[derive(Debug, Deserialize)]
pub(super) struct TableColumn {
    pub name: Box<str>,
    /// Its type, as the server spells it.
    #[serde(rename = "type")]
    pub of: Box<str>,
    /// True if its values are read as JSON.
    pub is_json: bool,
    /// True if the server computes its values.
    pub is_generated: bool,
}

/// A table as it is.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Its columns by their keys.
    pub fields: Fields,
    /// Forms of values for columns that were created or changed by hand, by name.
    pub own: HashMap<Box<str>, Writing>,
}

/// The form of values for a column that was created or changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// Text that the server parses.
    Text,
    /// JSON.
    Json,
    /// Not at all.
    Never,
}

impl Table {
    /// Returns the table with these columns, of which `shape` was recorded.
    pub(super) fn new(shape: Fields, columns: &[TableColumn]) -> Self {
        let mut real: HashMap<&str, &TableColumn> =
            columns.iter().map(|column| (&*column.name, column)).collect();
        real.remove(ARRIVED);
        let mut table = Self::default();
        for (key, field) in shape.0 {
            // A column that was dropped or renamed is not there: its key gets a new one.
            if let Some(column) = real.remove(&*field.name) {
                table.add(key, field, column);
            }
        }
        for column in columns {
            if real.contains_key(&*column.name) {
                let taken = table.fields.0.contains_key(&column.name);
                // No key leads to a column whose key has another one.
                let key =
                    if taken { format!("\0{}", column.name).into() } else { column.name.clone() };
                let field = Field { name: column.name.clone(), of: Type::Varchar };
                table.add(key, field, column);
            }
        }
        table
    }

    fn add(&mut self, key: Box<str>, mut field: Field, column: &TableColumn) {
        let is_ours = *column.of == *type_name(column_type(&field.of));
        if column.is_generated || !is_ours {
            let writing = match (column.is_generated, column.is_json) {
                (true, _) => Writing::Never,
                (false, true) => Writing::Json,
                (false, false) => Writing::Text,
            };
            self.own.insert(field.name.clone(), writing);
            // The type that changes for no value.
            field.of = Type::Varchar;
        }
        self.fields.0.insert(key, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, of: &str) -> TableColumn {
        let is_json = of.starts_with("json");
        TableColumn { name: name.into(), of: of.into(), is_json, is_generated: false }
    }

    fn shape(row: &str) -> Fields {
        let mut fields = Fields::of(row, 0);
        super::super::dialect::NAMING.name_all(&mut fields);
        fields
    }

    #[test]
    fn a_table_is_what_its_columns_are_now() {
        let shape = shape(r#"{"a":1,"b":"x","j":{},"t":"2021-01-01 00:00:00","n":1,"N":2}"#);
        let columns = [
            column("a", "bigint"),
            // `b` was renamed.
            column("c", "text"),
            column("j", "jsonb"),
            column("t", "timestamp without time zone"),
            column("n", "double precision"),
            column("N_2", "double precision"),
            column("N", "json"),
            TableColumn { is_generated: true, ..column("g", "text") },
            column("_arrived_at", "timestamp with time zone"),
        ];
        let table = Table::new(shape, &columns);
        let found: Vec<_> = table
            .fields
            .0
            .iter()
            .map(|(key, field)| (&**key, &*field.name, format!("{:?}", field.of)))
            .collect();
        let expected = [
            ("a", "a", "Varchar"),
            ("j", "j", "Struct(Fields({}))"),
            ("t", "t", "Timestamp"),
            ("n", "n", "Double"),
            ("N", "N_2", "Double"),
            ("c", "c", "Varchar"),
            ("\0N", "N", "Varchar"),
            ("g", "g", "Varchar"),
        ];
        assert_eq!(found, expected.map(|(key, name, of)| (key, name, of.to_owned())));
        let mut own: Vec<_> = table.own.iter().map(|(name, how)| (&**name, *how)).collect();
        own.sort_by_key(|(name, _)| *name);
        let expected = [("N", Writing::Json), ("a", Writing::Text), ("g", Writing::Never)];
        assert_eq!(own, expected);
    }
}
