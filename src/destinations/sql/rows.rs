//! The rows of one batch, and the union of their fields.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::item;
use super::json;
use super::types::{Fields, MAX_COLUMNS, Type};
use crate::destinations::{Encoded, Failure, Payload};
use crate::error::ErrorKind;

/// The rows of a batch that grows. They are parts of the recorded calls, not copies of them.
#[derive(Debug)]
pub struct Rows {
    first: Uuid,
    set: RowSet,
}

/// The rows of a closed batch.
#[derive(Debug, Clone, Default)]
pub struct RowSet {
    /// The union of their fields.
    pub(super) fields: Fields,
    /// Each as the JSON text of an object, which has no line breaks.
    rows: Vec<Bytes>,
    bytes: usize,
}

impl Rows {
    /// No rows yet, of the batch whose first record has this id.
    pub(super) fn new(first: Uuid) -> Self {
        Self { first, set: RowSet::default() }
    }

    /// Bytes so far.
    pub(in crate::destinations) const fn encoded(&self) -> usize {
        self.set.bytes
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `InvalidArgument`: it is none, or has more columns than a table may have.
    pub(super) fn add(&mut self, payload: &Payload) -> Result<(), Failure> {
        self.set.add(item::row(payload)?)
    }

    /// All of it, under the name `TABLE/ID`.
    pub(super) fn finish(self, table: &str) -> Encoded {
        let name = format!("{table}/{}", self.first);
        Encoded { name, bytes: Bytes::new(), rows: Some(Arc::new(self.set)) }
    }
}

impl RowSet {
    /// Adds a row, given as its JSON text.
    ///
    /// # Errors
    /// `InvalidArgument`: it has more columns than a table may have.
    pub(super) fn add(&mut self, row: Bytes) -> Result<(), Failure> {
        let text = std::str::from_utf8(&row).unwrap_or_default();
        if !self.fields.hold(text, 0) {
            admit(&mut self.fields, text, MAX_COLUMNS)?;
        }
        // With its line break.
        self.bytes += row.len() + 1;
        self.rows.push(row);
        Ok(())
    }

    /// Bytes of all, one line each.
    pub(in crate::destinations) const fn len(&self) -> usize {
        self.bytes
    }

    /// Each row as its JSON text.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| std::str::from_utf8(row).unwrap_or_default())
    }
}

/// Takes on the fields of one more row.
///
/// # Errors
/// `InvalidArgument`: there would be more than a table may have.
pub(super) fn admit(fields: &mut Fields, row: &str, max_columns: usize) -> Result<(), Failure> {
    let new = Fields::of(row, 0);
    let columns = fields.columns_with(&new);
    if columns > max_columns {
        return Err(Failure::new(
            ErrorKind::InvalidArgument,
            format!(
                "the table would have {columns} columns with the keys of this payload, and may have \
                 {max_columns}, fields of nested objects counted. Keys that are data belong into \
                 values: {{ key, value }}"
            ),
        ));
    }
    fields.absorb(new);
    Ok(())
}

/// Writes an object with the names of the columns in place of its keys. What no column is for is
/// left out.
pub(super) fn rename(raw: &str, fields: &Fields, out: &mut String) {
    let mut comma = "{";
    for (key, value) in json::members(raw) {
        let Some(field) = fields.0.get(key.as_ref()) else { continue };
        out.push_str(comma);
        out.push_str(&serde_json::to_string(&field.name).unwrap_or_default());
        out.push(':');
        rename_below(value, &field.of, out);
        comma = ",";
    }
    out.push_str(if comma == "{" { "{}" } else { "}" });
}

fn rename_below(raw: &str, of: &Type, out: &mut String) {
    match (of, raw.as_bytes().first()) {
        (Type::Struct(fields), Some(b'{')) => rename(raw, fields, out),
        (Type::List(element), Some(b'[')) => {
            let mut comma = "[";
            for item in json::items(raw) {
                out.push_str(comma);
                rename_below(item, element, out);
                comma = ",";
            }
            out.push_str(if comma == "[" { "[]" } else { "]" });
        }
        _ => out.push_str(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Naming;
    use super::*;

    fn call(payload: &str) -> Payload {
        Payload::from_text(format!(r#"{{"table":"t","payload":{payload}}}"#))
    }

    #[test]
    fn a_batch_is_its_rows_and_the_union_of_their_fields() {
        let mut rows = Rows::new(Uuid::from_u128(7));
        for payload in [r#"{"a":1}"#, r#"{"b":"x\ny"}"#, r#"{"a":"one"}"#] {
            rows.add(&call(payload)).unwrap();
        }
        rows.add(&call("[1]")).unwrap_err();
        let Encoded { name, rows, .. } = rows.finish("t");
        assert_eq!(name, "t/00000000-0000-0000-0000-000000000007");
        let rows = rows.unwrap();
        let expected = [r#"{"a":1}"#, r#"{"b":"x\ny"}"#, r#"{"a":"one"}"#];
        assert_eq!(rows.texts().collect::<Vec<_>>(), expected);
        assert_eq!(rows.len(), expected.join("\n").len() + 1);
        assert_eq!(rows.fields, Fields::of(r#"{"b":"x","a":"y"}"#, 0));
    }

    #[test]
    fn a_row_with_too_many_columns_is_refused_and_the_others_stay() {
        let wide = |prefix: &str, count: usize| {
            let all: Vec<_> = (0..count).map(|n| format!(r#""{prefix}{n}":{{"x":1}}"#)).collect();
            call(&format!("{{{}}}", all.join(",")))
        };
        let mut rows = Rows::new(Uuid::nil());
        rows.add(&wide("a", 1500)).unwrap();
        let message = rows.add(&wide("b", 501)).unwrap_err().message;
        assert!(message.contains("2001 columns"), "{message}");
        rows.add(&wide("b", 500)).unwrap();
        assert_eq!(rows.set.texts().count(), 2);
    }

    #[test]
    fn renamed_rows_have_the_names_of_the_columns() {
        let row = r#"{"A":1,"a":{"x":"A","X":[{"y":1,"Y":{}}]},"":[]}"#;
        let mut fields = Fields::of(row, 0);
        Naming { max_bytes: 63, taken: &[], reserved: &[], nested: true }.name_all(&mut fields);
        let mut out = String::new();
        rename(row, &fields, &mut out);
        assert_eq!(out, r#"{"A":1,"a_2":{"x":"A","X_2":[{"y":1,"Y_2":{}}]},"_":[]}"#);
    }
}
