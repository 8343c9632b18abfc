//! The fields of one `$send.sql` call.

use std::borrow::Cow;

use bytes::Bytes;

use super::escapes;
use super::json;
use crate::delivery::{Failure, Payload};
use crate::error::ErrorKind;

/// Bytes that the name of a table may have.
const MAX_TABLE: usize = 255;

/// Returns the table that a call is for, in lower case: names that differ by case alone are the
/// same table.
///
/// # Errors
/// `InvalidArgument`: no table can be called so.
pub(super) fn table(payload: &Payload) -> Result<String, Failure> {
    let text = text_of(payload)?;
    let table = json::field(text, "table").and_then(json::decode).ok_or_else(unreadable)?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !table.is_empty() && !table.starts_with('_') && table.bytes().all(fine) {
        if table.len() <= MAX_TABLE {
            return Ok(table.to_ascii_lowercase());
        }
        let rule = format!("table: the name has {} bytes, and may have {MAX_TABLE}", table.len());
        return Err(Failure::new(ErrorKind::InvalidArgument, rule));
    }
    let shown: String =
        table.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect();
    Err(Failure::new(
        ErrorKind::InvalidArgument,
        format!(
            "table: {shown:?} is not the name of a table: letters, digits and _, none of which may \
             be a _ at the beginning (/^(?!_)[a-z0-9_]+$/i)"
        ),
    ))
}

/// Returns the row, as the JSON text of an object.
///
/// # Errors
/// `InvalidArgument`: there is none.
pub(super) fn row(payload: &Payload) -> Result<Bytes, Failure> {
    let raw = json::field(text_of(payload)?, "payload").ok_or_else(unreadable)?;
    if !raw.starts_with('{') {
        let message = "payload: a row is an object, such as { name: 'Luke' }: its keys are the \
                       columns. Several rows are several calls";
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    Ok(without_surrogates(payload, raw))
}

/// Returns a part of a payload, which no warehouse takes with halves of characters.
pub(in crate::destinations) fn without_surrogates(payload: &Payload, raw: &str) -> Bytes {
    match escapes::without_surrogates(raw) {
        Cow::Borrowed(raw) => payload.text.slice_ref(raw.as_bytes()),
        Cow::Owned(text) => text.into(),
    }
}

fn text_of(payload: &Payload) -> Result<&str, Failure> {
    std::str::from_utf8(&payload.text).map_err(|_| unreadable())
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_name_by_the_rule() {
        let table = |name: &str| {
            let name = serde_json::to_string(name).unwrap();
            let payload = Payload::from_text(format!(r#"{{"payload":{{}},"table":{name}}}"#));
            table(&payload).map_err(|failure| failure.message)
        };
        for name in ["my_test_table", "Events", "1", "a_", &"x".repeat(255)] {
            assert_eq!(table(name), Ok(name.to_ascii_lowercase()));
        }
        for name in ["", "_a", "a b", "a.b", "a\"; drop", "ä", "a\n", "a-b"] {
            let message = table(name).unwrap_err();
            assert!(message.contains("/^(?!_)[a-z0-9_]+$/i"), "{name}: {message}");
        }
        assert!(table(&"x".repeat(256)).unwrap_err().contains("256 bytes"));
    }

    #[test]
    fn a_row_is_an_object() {
        for text in ["1", "\"x\"", "[{}]", "null", "true"] {
            let payload = Payload::from_text(format!(r#"{{"table":"t","payload":{text}}}"#));
            assert!(row(&payload).unwrap_err().message.contains("a row is an object"), "{text}");
        }
    }

    #[test]
    fn lone_surrogates_become_replacement_characters_and_nothing_else_changes() {
        for (raw, expected) in [
            (r#"{"a":"x"}"#, r#"{"a":"x"}"#),
            (r#"{"a\udfff":"\ud800\udbff."}"#, r#"{"a\ufffd":"\ufffd\ufffd."}"#),
            (r#"{"a":"\\ud800"}"#, r#"{"a":"\\ud800"}"#),
            (r#"{"a":"\\\ud800"}"#, r#"{"a":"\\\ufffd"}"#),
            (r#"{"a":"\ud7ff"}"#, r#"{"a":"\ud7ff"}"#),
        ] {
            assert_eq!(escapes::without_surrogates(raw), expected);
        }
    }
}
