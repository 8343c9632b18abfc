//! Escapes in JSON text that a warehouse does not take. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;

/// Bytes of an escape such as `\u0000`.
const LENGTH: usize = 6;
/// U+FFFD, which replaces unpaired surrogates.
const REPLACEMENT: &str = "\\ufffd";

/// Returns the same text with U+FFFD in place of each lone surrogate. `JSON.stringify` escapes
/// those and no other ones.
pub(super) fn without_surrogates(raw: &str) -> Cow<'_, str> {
    replaced(raw, b"\\ud", |escape| escape[3] >= b'8')
}

/// Returns the same text with U+FFFD in place of each NUL.
pub(super) fn without_nul(raw: &str) -> Cow<'_, str> {
    replaced(raw, b"\\u0000", |_| true)
}

/// Replaces the escapes that begin so. A backslash that is escaped itself begins none.
fn replaced<'a>(raw: &'a str, begin: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Cow<'a, str> {
    let bytes = raw.as_bytes();
    let mut places = memmem::find_iter(bytes, begin).filter(|place| {
        let before = bytes[..*place].iter().rev().take_while(|byte| **byte == b'\\').count();
        let escape = bytes.get(*place..place + LENGTH);
        before.is_multiple_of(2) && escape.is_some_and(&wanted)
    });
    let Some(first) = places.next() else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    let mut done = 0;
    for place in std::iter::once(first).chain(places) {
        text.push_str(&raw[done..place]);
        text.push_str(REPLACEMENT);
        done = place + LENGTH;
    }
    text.push_str(raw.get(done..).unwrap_or_default());
    Cow::Owned(text)
}

/// Returns the same JSON in ASCII: other characters are escaped.
pub(super) fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            // Into a text nothing fails.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_escape_is_replaced() {
        for (raw, expected) in [
            (r#""\u0000""#, r#""\ufffd""#),
            (r#""a\u0000b\u0000""#, r#""a\ufffdb\ufffd""#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
            (r#""\u0001""#, r#""\u0001""#),
        ] {
            assert_eq!(without_nul(raw), expected, "{raw}");
        }
        let text = "\"é😀\\n\"";
        assert_eq!(ascii(text), r#""\u00e9\ud83d\ude00\n""#);
        let back: Result<String, _> = serde_json::from_str(&ascii(text));
        assert_eq!(back.ok().as_deref(), Some("é😀\n"));
        assert_eq!(without_surrogates(r#""\ud83d\ud7ff\\ud800""#), r#""\ufffd\ud7ff\\ud800""#);
    }
}
