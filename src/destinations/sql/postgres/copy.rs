//! Rows as the lines that `COPY` reads, in its text format. Pure.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

use std::borrow::Cow;

use super::super::escapes::without_nul;
use super::super::json;
use super::super::types::{Field, Fields, Type};

/// Levels of objects and arrays that PostgreSQL reads without running out of its stack, by far. What
/// is deeper becomes a text.
const MAX_DEPTH: usize = 1000;

/// Writes rows, one line each.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    table: &'a Fields,
    /// For each column of the table, its place in a line.
    places: Vec<Option<usize>>,
    /// The columns of a line, in order.
    pub columns: Vec<&'a Field>,
}

impl<'a> Lines<'a> {
    /// Lines for rows with the fields of a batch.
    pub(super) fn new(table: &'a Fields, batch: &Fields) -> Self {
        let mut columns = Vec::new();
        let mut places = Vec::with_capacity(table.0.len());
        for (key, field) in &table.0 {
            let used = batch.0.contains_key(key);
            places.push(used.then_some(columns.len()));
            if used {
                columns.push(field);
            }
        }
        Self { table, places, columns }
    }

    /// Writes one row, given as its JSON text.
    pub(super) fn write(&self, row: &str, out: &mut String) {
        if self.columns.is_empty() {
            // There is no line without a column: the one for the time of arrival.
            out.push_str("now\n");
            return;
        }
        let mut cells = vec![None; self.columns.len()];
        for (key, raw) in json::members(row) {
            let column = self.table.0.get_index_of(key.as_ref());
            if let Some(place) = column.and_then(|column| self.places[column]) {
                cells[place] = Some(raw);
            }
        }
        for (place, (raw, column)) in cells.into_iter().zip(&self.columns).enumerate() {
            if place > 0 {
                out.push('\t');
            }
            match raw {
                None | Some("null") => out.push_str("\\N"),
                Some(raw) => escape(&value(raw, &column.of), out),
            }
        }
        out.push('\n');
    }
}

/// A value as PostgreSQL reads one of its type.
fn value<'a>(raw: &'a str, of: &Type) -> Cow<'a, str> {
    match of {
        Type::Boolean | Type::Double => Cow::Borrowed(raw),
        Type::List(_) | Type::Struct(_) => {
            let raw = without_nul(raw);
            if depth(&raw) <= MAX_DEPTH {
                return raw;
            }
            Cow::Owned(serde_json::to_string(&*raw).unwrap_or_default())
        }
        Type::Null | Type::Date | Type::Timestamp | Type::Varchar => match json::decode(raw) {
            Some(text) if text.contains('\0') => Cow::Owned(text.replace('\0', "\u{fffd}")),
            Some(text) => text,
            // Whatever else it is, its JSON text.
            None => Cow::Borrowed(raw),
        },
    }
}

/// Levels of objects and arrays.
fn depth(raw: &str) -> usize {
    let (mut deepest, mut here, mut in_text, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                here += 1;
                deepest = deepest.max(here);
            }
            b']' | b'}' if !in_text => here = here.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Writes a text as one cell.
fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(place) = rest.find(['\\', '\n', '\r', '\t']) {
        let (before, after) = rest.split_at(place);
        out.push_str(before);
        out.push_str(match after.as_bytes()[0] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\t",
        });
        rest = &after[1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: &[&str]) -> String {
        let mut fields = Fields::default();
        for row in rows {
            fields.absorb(Fields::of(row, 0));
        }
        let lines = Lines::new(&fields, &fields);
        let mut out = String::new();
        for row in rows {
            lines.write(row, &mut out);
        }
        out
    }

    #[test]
    fn a_row_is_one_line_whatever_is_in_it() {
        for (rows, expected) in [
            (&[r#"{"a":1.5,"b":true,"c":null}"#][..], "1.5\ttrue\t\\N\n"),
            (&[r#"{"b":1}"#, r#"{"a":"x"}"#], "1\t\\N\n\\N\tx\n"),
            (&[r#"{"a":"x\ty\n\r\\N\\."}"#], "x\\ty\\n\\r\\\\N\\\\.\n"),
            (&[r#"{"a":""}"#], "\n"),
            (&[r#"{"a":{"b":[1,"\n"]}}"#], "{\"b\":[1,\"\\\\n\"]}\n"),
            (&[r#"{"a":1}"#, r#"{"a":"x"}"#, r#"{"a":{"b":1}}"#], "1\nx\n{\"b\":1}\n"),
            (&[r#"{"a":"x\u0000y","b":["\u0000"]}"#], "x\u{fffd}y\t[\"\\\\ufffd\"]\n"),
            (&["{}", "{}"], "now\nnow\n"),
        ] {
            assert_eq!(lines(rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn what_lies_too_deep_is_a_text() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let line = |levels| lines(&[&format!("{{\"a\":{}}}", nested(levels))]);
        assert_eq!(line(MAX_DEPTH), format!("{}\n", nested(MAX_DEPTH)));
        assert_eq!(line(MAX_DEPTH + 1), format!("\"{}\"\n", nested(MAX_DEPTH + 1)));
        assert_eq!(depth(r#"["[[[\"[[["]"#), 1);
    }
}
