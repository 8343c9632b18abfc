//! The rows of one batch, and the union of their fields.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::item;
use super::json;
use super::types::{Fields, MAX_COLUMNS, Type};
use crate::delivery::{Failure, Payload};
use crate::destinations::{Encoded, OpenBatch, Origin};
use crate::error::ErrorKind;
use crate::time::Timestamp;

/// The rows of a batch that grows. They are parts of the recorded calls, not copies of them.
#[derive(Debug)]
pub(super) struct RowBatch {
    /// Empty if the calls name none.
    table: String,
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

impl RowBatch {
    /// Returns an empty batch of a table whose first record has this id.
    pub(super) fn new(table: &str, first: Uuid) -> Self {
        Self { table: table.to_owned(), first, set: RowSet::default() }
    }
}

impl OpenBatch for RowBatch {
    fn encoded(&self) -> usize {
        self.set.bytes
    }

    fn add(&mut self, payload: &Payload, _: Origin<'_>) -> Result<(), Failure> {
        if self.table.is_empty() {
            item::table(payload)?;
        }
        self.set.add(item::row(payload)?)
    }

    /// Closes it under the name `TABLE/ID`.
    fn close(self: Box<Self>, _: Timestamp) -> Result<Encoded, Failure> {
        let name = format!("{}/{}", self.table, self.first);
        Ok(Encoded { name, bytes: Bytes::new(), rows: Some(Arc::new(self.set)) })
    }
}

impl RowSet {
    /// Adds a row, given as its JSON text.
    ///
    /// # Errors
    /// `InvalidArgument`: it has more columns than a table may have.
    pub(in crate::destinations) fn add(&mut self, row: Bytes) -> Result<(), Failure> {
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

    /// Returns each row as its JSON text.
    pub(in crate::destinations) fn texts(&self) -> impl Iterator<Item = &str> {
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

/// Writes an object with the names of the columns in place of its keys, and as texts the values that
/// are to be texts. What no column is for is left out.
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
        // Any other value than a text keeps its digits and its spelling as a text.
        (Type::Varchar, Some(first)) if !matches!(first, b'"' | b'n') => {
            out.push_str(&serde_json::to_string(raw).unwrap_or_default());
        }
        _ => out.push_str(raw),
    }
}

/// Returns whether a value may have to be written otherwise than it came: a text may be anything.
pub(super) fn may_rewrite(fields: &Fields) -> bool {
    fields.0.iter().any(|(key, field)| *key != field.name || may_rewrite_below(&field.of))
}

fn may_rewrite_below(of: &Type) -> bool {
    match of {
        Type::Varchar => true,
        Type::List(element) => may_rewrite_below(element),
        Type::Struct(fields) => may_rewrite(fields),
        Type::Null | Type::Boolean | Type::Double | Type::Date | Type::Timestamp => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Naming;
    use super::*;

    fn call(payload: &str) -> Payload {
        Payload::from_text(format!(r#"{{"table":"t","payload":{payload}}}"#))
    }

    fn add(rows: &mut RowBatch, payload: &Payload) -> Result<(), Failure> {
        let origin = Origin {
            id: Uuid::nil(),
            call: Uuid::nil(),
            workflow_id: "w",
            recorded_at: Timestamp::now(),
        };
        rows.add(payload, origin)
    }

    #[test]
    fn a_batch_is_its_rows_and_the_union_of_their_fields() {
        let mut rows = RowBatch::new("t", Uuid::from_u128(7));
        for payload in [r#"{"a":1}"#, r#"{"b":"x\ny"}"#, r#"{"a":"one"}"#] {
            add(&mut rows, &call(payload)).unwrap();
        }
        add(&mut rows, &call("[1]")).unwrap_err();
        let Encoded { name, rows, .. } = Box::new(rows).close(Timestamp::now()).unwrap();
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
        let mut rows = RowBatch::new("t", Uuid::nil());
        add(&mut rows, &wide("a", 1500)).unwrap();
        let message = add(&mut rows, &wide("b", 501)).unwrap_err().message;
        assert!(message.contains("2001 columns"), "{message}");
        add(&mut rows, &wide("b", 500)).unwrap();
        assert_eq!(rows.set.texts().count(), 2);
    }

    #[test]
    fn renamed_rows_have_the_names_of_the_columns() {
        let row = r#"{"A":1,"a":{"x":"A","X":[{"y":1,"Y":{}}]},"":[]}"#;
        let mut fields = Fields::of(row, 0);
        Naming { max_bytes: 63, taken: &[], reserved: &[], last: char::MAX, nested: true }
            .name_all(&mut fields);
        let mut out = String::new();
        rename(row, &fields, &mut out);
        assert_eq!(out, r#"{"A":1,"a_2":{"x":"A","X_2":[{"y":1,"Y_2":{}}]},"_":[]}"#);
    }

    #[test]
    fn values_that_are_to_be_texts_keep_their_digits() {
        let row = r#"{"n":1e+21,"l":[1e-7,null,"x"],"o":{"a":[1, 2]},"d":1e-7}"#;
        let mut fields = Fields::of(row, 0);
        fields.absorb(Fields::of(r#"{"n":"x","o":{"a":true}}"#, 0));
        Naming { max_bytes: 63, taken: &[], reserved: &[], last: char::MAX, nested: true }
            .name_all(&mut fields);
        let mut out = String::new();
        rename(row, &fields, &mut out);
        assert_eq!(out, r#"{"n":"1e+21","l":["1e-7",null,"x"],"o":{"a":"[1, 2]"},"d":1e-7}"#);
        let mut plain = Fields::of(r#"{"a":[1]}"#, 0);
        Naming { max_bytes: 63, taken: &[], reserved: &[], last: char::MAX, nested: true }
            .name_all(&mut plain);
        assert!(may_rewrite(&fields) && !may_rewrite(&plain));
    }
}
