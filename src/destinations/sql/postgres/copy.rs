//! Rows as the lines that `COPY` reads, in its text format. Pure.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS>

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::escapes::without_nul;
use super::super::json;
use super::super::types::{Field, Fields, Type};
use super::columns::Writing;

/// Levels of objects and arrays that PostgreSQL reads without running out of its stack, by far. What
/// is deeper becomes a text.
const MAX_DEPTH: usize = 1000;

/// Writes rows, one line each.
#[derive(Debug)]
pub(super) struct CopyLines<'a> {
    table: &'a Fields,
    /// The position in a line for each column of the table.
    places: Vec<Option<usize>>,
    /// The columns of a line, in order.
    pub columns: Vec<&'a Field>,
    /// Forms of values for columns that were created or changed by hand.
    own: Vec<Option<Writing>>,
}

impl<'a> CopyLines<'a> {
    /// Returns the lines for rows with the fields of a batch. `own` has the forms of values for
    /// columns that were created or changed by hand.
    pub(super) fn new(table: &'a Fields, batch: &Fields, own: &HashMap<Box<str>, Writing>) -> Self {
        let mut lines = Self { table, places: Vec::new(), columns: Vec::new(), own: Vec::new() };
        for (key, field) in &table.0 {
            let writing = own.get(&field.name).copied();
            let used = batch.0.contains_key(key) && writing != Some(Writing::Never);
            lines.places.push(used.then_some(lines.columns.len()));
            if used {
                lines.columns.push(field);
                lines.own.push(writing);
            }
        }
        lines
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
        for (place, raw) in cells.into_iter().enumerate() {
            if place > 0 {
                out.push('\t');
            }
            match raw {
                None | Some("null") => out.push_str("\\N"),
                Some(raw) => escape(&self.value(raw, place), out),
            }
        }
        out.push('\n');
    }

    /// Returns a value as the column at this place of a line reads it.
    fn value<'b>(&self, raw: &'b str, place: usize) -> Cow<'b, str> {
        match (self.own[place], &self.columns[place].of) {
            (Some(Writing::Json), _) | (None, Type::List(_) | Type::Struct(_)) => json_value(raw),
            (None, Type::Boolean | Type::Double) if !raw.starts_with('"') => Cow::Borrowed(raw),
            (Some(Writing::Text | Writing::Never), _)
            | (
                None,
                Type::Null
                | Type::Boolean
                | Type::Double
                | Type::Date
                | Type::Timestamp
                | Type::Varchar,
            ) => text_value(raw),
        }
    }
}

/// Returns a value as PostgreSQL reads JSON.
fn json_value(raw: &str) -> Cow<'_, str> {
    let raw = without_nul(raw);
    if depth(&raw) <= MAX_DEPTH {
        return raw;
    }
    Cow::Owned(serde_json::to_string(&*raw).unwrap_or_default())
}

/// Returns a value as text; other values than strings are their JSON text.
fn text_value(raw: &str) -> Cow<'_, str> {
    match json::decode(raw) {
        Some(text) if text.contains('\0') => Cow::Owned(text.replace('\0', "\u{fffd}")),
        Some(text) => text,
        None => Cow::Borrowed(raw),
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
        let lines = CopyLines::new(&fields, &fields, &HashMap::new());
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
    fn columns_of_people_get_text_or_json_or_nothing() {
        let row = r#"{"n":1,"j":"x","g":2,"t":{"a":"\t"}}"#;
        let mut fields = Fields::of(row, 0);
        super::super::dialect::NAMING.name_all(&mut fields);
        let own = [("n", Writing::Text), ("j", Writing::Json), ("g", Writing::Never)];
        let own = own.into_iter().chain([("t", Writing::Text)]);
        let own = own.map(|(name, how)| (name.into(), how)).collect();
        let lines = CopyLines::new(&fields, &fields, &own);
        assert_eq!(lines.columns.iter().map(|field| &*field.name).collect::<String>(), "njt");
        let mut out = String::new();
        lines.write(row, &mut out);
        assert_eq!(out, "1\t\"x\"\t{\"a\":\"\\\\t\"}\n");
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
