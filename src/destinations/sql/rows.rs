//! The rows of one batch, one line of JSON each, and the union of their fields.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::item;
use super::json;
use super::types::{Fields, MAX_COLUMNS, Type};
use crate::destinations::{Encoded, Failure, Payload};
use crate::error::ErrorKind;

/// The rows of a batch that grows.
#[derive(Debug)]
pub struct Rows {
    first: Uuid,
    lines: Vec<u8>,
    fields: Fields,
}

/// The fields that the rows of a closed batch have.
#[derive(Debug, Clone, Default)]
pub struct Shape(pub(super) Arc<Fields>);

impl Rows {
    /// No rows yet, of the batch whose first record has this id.
    pub(super) fn new(first: Uuid) -> Self {
        Self { first, lines: Vec::new(), fields: Fields::default() }
    }

    /// Bytes so far.
    pub(in crate::destinations) const fn encoded(&self) -> usize {
        self.lines.len()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `InvalidArgument`: it is none, or has more columns than a table may have.
    pub(super) fn add(&mut self, payload: &Payload) -> Result<(), Failure> {
        let row = item::row(payload)?;
        if !self.fields.hold(&row, 0) {
            admit(&mut self.fields, &row)?;
        }
        self.lines.reserve(row.len() + 1);
        self.lines.extend_from_slice(row.as_bytes());
        self.lines.push(b'\n');
        Ok(())
    }

    /// All of it, under the name `TABLE/ID`.
    pub(super) fn finish(self, table: &str) -> Encoded {
        Encoded {
            name: format!("{table}/{}", self.first),
            bytes: self.lines.into(),
            shape: Shape(Arc::new(self.fields)),
        }
    }
}

/// Takes on the fields of one more row.
///
/// # Errors
/// `InvalidArgument`: there would be more than a table may have.
pub(super) fn admit(fields: &mut Fields, row: &str) -> Result<(), Failure> {
    let new = Fields::of(row, 0);
    let columns = fields.columns_with(&new);
    if columns > MAX_COLUMNS {
        return Err(Failure::new(
            ErrorKind::InvalidArgument,
            format!(
                "the table would have {columns} columns with the keys of this payload, and may have \
                 {MAX_COLUMNS}, fields of nested objects counted. Keys that are data belong into \
                 values: {{ key, value }}"
            ),
        ));
    }
    fields.absorb(new);
    Ok(())
}

/// The lines of a batch.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split_terminator('\n')
}

/// Pieces of whole lines of about this many bytes each.
pub(super) fn pieces(bytes: &Bytes, size: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let from = bytes.len().min(start + size);
        let end = memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1);
        pieces.push(bytes.slice(start..end));
        start = end;
    }
    pieces
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
        let Encoded { name, bytes, shape } = rows.finish("t");
        assert_eq!(name, "t/00000000-0000-0000-0000-000000000007");
        assert_eq!(
            lines(&bytes).collect::<Vec<_>>(),
            [r#"{"a":1}"#, r#"{"b":"x\ny"}"#, r#"{"a":"one"}"#]
        );
        assert_eq!(*shape.0, Fields::of(r#"{"b":"x","a":"y"}"#, 0));
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
        assert_eq!(lines(&rows.finish("t").bytes).count(), 2);
    }

    #[test]
    fn pieces_are_whole_lines() {
        let bytes = Bytes::from("1\n22\n333\n4444\n".to_owned());
        for size in 1..20 {
            let pieces = pieces(&bytes, size);
            assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
            assert_eq!(pieces.concat(), bytes, "{size}");
        }
        assert!(pieces(&Bytes::new(), 5).is_empty());
    }

    #[test]
    fn renamed_rows_have_the_names_of_the_columns() {
        let row = r#"{"A":1,"a":{"x":"A","X":[{"y":1,"Y":{}}]},"":[]}"#;
        let mut fields = Fields::of(row, 0);
        Naming { max_bytes: 63, taken: &[], nested: true }.name_all(&mut fields);
        let mut out = String::new();
        rename(row, &fields, &mut out);
        assert_eq!(out, r#"{"A":1,"a_2":{"x":"A","X_2":[{"y":1,"Y_2":{}}]},"_":[]}"#);
    }
}
