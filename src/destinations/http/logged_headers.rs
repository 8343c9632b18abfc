//! Headers as the log shows them: redacted, as text, and bounded.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_LOCATION, HeaderName, HeaderValue, LINK, LOCATION, REFERER, REFRESH};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::charset::header_text;
use crate::redact::{REDACTED, is_secret_header, redact_reference, redact_text};

/// Lines that the log keeps of one message.
const MAX_LINES: usize = 256;

/// Bytes of names and values that the log keeps of one message.
const MAX_BYTES: usize = 32 << 10;

/// Headers as a JSON object: repeated ones joined by a comma, secret ones redacted.
pub(super) struct LoggedHeaders<'a> {
    map: &'a HeaderMap,
    extra: &'a [String],
}

impl<'a> LoggedHeaders<'a> {
    /// Returns the headers of a message; those named in `extra` are secret, too.
    pub(super) const fn new(map: &'a HeaderMap, extra: &'a [String]) -> Self {
        Self { map, extra }
    }

    /// Returns whether the log does not show all of them.
    pub(super) fn are_cut(&self) -> bool {
        let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        self.map.len() > MAX_LINES || self.map.iter().map(bytes).sum::<usize>() > MAX_BYTES
    }

    fn shown<'v>(&self, name: &HeaderName, value: &'v HeaderValue) -> Cow<'v, str> {
        if is_secret_header(name, self.extra) { REDACTED.into() } else { shown(name, value) }
    }
}

impl Serialize for LoggedHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        let mut room = MAX_BYTES;
        // A map yields the values of one name next to each other.
        let mut headers = self.map.iter().take(MAX_LINES).peekable();
        while let Some((name, value)) = headers.next() {
            let Some(left) = room.checked_sub(name.as_str().len()) else { break };
            let mut text = self.shown(name, value);
            while let Some((_, more)) = headers.next_if(|(next, _)| *next == name) {
                if text.len() < left {
                    text = format!("{text}, {}", self.shown(name, more)).into();
                }
            }
            let text = cut(&text, left);
            room = left - text.len();
            object.serialize_entry(name.as_str(), text)?;
        }
        object.end()
    }
}

/// Returns the beginning of a text, of at most so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    &text[..(0..=bytes.min(text.len())).rev().find(fits).unwrap_or_default()]
}

/// Returns one value: text as it is, and headers with URLs without their secrets.
fn shown<'a>(name: &HeaderName, value: &'a HeaderValue) -> Cow<'a, str> {
    let text = value.to_str().map_or_else(|_| header_text(value.as_bytes()).into(), Cow::Borrowed);
    if [LOCATION, CONTENT_LOCATION, REFERER].contains(name) {
        return redact_reference(&text).into();
    }
    if [LINK, REFRESH].contains(name) {
        return redact_text(&text).into();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(lines: &[(&str, &[u8])]) -> (serde_json::Value, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let headers = LoggedHeaders::new(&map, &[]);
        (serde_json::to_value(&headers).unwrap(), headers.are_cut())
    }

    #[test]
    fn values_are_text_without_secrets() {
        let (shown, cut) = json(&[
            ("x-name", b"caf\xe9"),
            ("set-cookie", b"a=1"),
            ("set-cookie", b"b=2"),
            ("vary", b"a"),
            ("vary", b"b"),
            ("location", b"/x?token=1&a=2"),
            ("link", b"<https://u:p@h/?page=2&sig=x>; rel=\"next\", </y?key=1>"),
            ("refresh", b"5; url=https://h/?code=1"),
        ]);
        let expected = serde_json::json!({
            "x-name": "café",
            "set-cookie": "[redacted], [redacted]",
            "vary": "a, b",
            "location": "/x?token=[redacted]&a=2",
            "link": "<https://h/?page=2&sig=[redacted]>; rel=\"next\", </y?key=[redacted]>",
            "refresh": "5; url=https://h/?code=[redacted]",
        });
        assert_eq!((shown, cut), (expected, false));
    }

    #[test]
    fn more_than_fits_is_cut() {
        let long = vec![b'x'; 40 << 10];
        let (shown, cut) = json(&[("a", &long), ("b", b"1")]);
        assert!(cut);
        assert_eq!(shown["a"].as_str().map(str::len), Some(MAX_BYTES - 1));
        let names: Vec<_> = (0..300).map(|n| format!("x-{n}")).collect();
        let lines: Vec<_> = names.iter().map(|name| (name.as_str(), &b"v"[..])).collect();
        let (shown, cut) = json(&lines);
        assert_eq!((shown.as_object().unwrap().len(), cut), (MAX_LINES, true));
        let (shown, cut) = json(&[("a", &vec![0xe9; 20 << 10])]);
        assert_eq!((shown["a"].as_str().map(str::len), cut), (Some(MAX_BYTES - 2), false));
    }
}
