//! Bodies and header values as text: by the charset that the response names, or the one that its
//! bytes show.

use bytes::Bytes;
use encoding_rs::{CoderResult, Encoding, UTF_8, WINDOWS_1252};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The most bytes that one byte of a legacy charset becomes in UTF-8.
const MAX_GROWTH: usize = 3;

/// Returns the body as UTF-8 where it is text in another charset, and as it is otherwise. A text
/// whose charset is not named, and that is not UTF-8, is read as Latin-1, as browsers read it.
/// `complete` is false for a body that was cut, perhaps inside a character.
pub(super) fn to_utf8(body: Vec<u8>, headers: &HeaderMap, complete: bool) -> Bytes {
    match encoding(&body, headers, complete) {
        Some(encoding) => decoded(&body, encoding, complete).into(),
        None => body.into_boxed_slice().into(),
    }
}

/// Returns a header value or reason phrase as text: UTF-8 where it is that, otherwise Latin-1, in
/// which each byte is a character.
pub(super) fn header_text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

/// Returns the encoding to undo; `None` when the bytes stay as they are.
fn encoding(body: &[u8], headers: &HeaderMap, complete: bool) -> Option<&'static Encoding> {
    if is_plain(body) {
        return None;
    }
    let (media_type, charset) = content_type(headers);
    if let Some((encoding, _)) = Encoding::for_bom(body)
        && media_type.as_deref().is_none_or(is_text)
    {
        return Some(encoding);
    }
    let named = charset.and_then(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    if let Some(named) = named.filter(|named| *named != UTF_8) {
        return Some(named);
    }
    if is_utf8(body, complete) || has_control_bytes(body) {
        return None;
    }
    media_type.as_deref().is_none_or(is_text).then_some(WINDOWS_1252)
}

/// Returns the media type and the charset of `Content-Type`, both in lower case.
fn content_type(headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let Some(value) = headers.get(CONTENT_TYPE) else { return (None, None) };
    let value = header_text(value.as_bytes()).to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().filter(|media_type| !media_type.is_empty()).map(str::to_owned);
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        (name.trim() == "charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    (media_type, charset)
}

/// Returns whether bodies of the media type, in lower case, are text.
fn is_text(media_type: &str) -> bool {
    let subtype = media_type.split_once('/').map_or("", |(_, subtype)| subtype);
    media_type.starts_with("text/")
        || subtype.ends_with("+json")
        || subtype.ends_with("+xml")
        || matches!(
            subtype,
            "json"
                | "xml"
                | "javascript"
                | "ecmascript"
                | "x-javascript"
                | "x-ndjson"
                | "ndjson"
                | "jsonlines"
                | "yaml"
                | "x-yaml"
                | "graphql"
                | "sql"
                | "x-www-form-urlencoded"
        )
}

/// Returns whether the bytes are the same text in every charset that servers use: most bodies need
/// no closer look.
fn is_plain(body: &[u8]) -> bool {
    body.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'}'))
}

fn is_utf8(body: &[u8], complete: bool) -> bool {
    match std::str::from_utf8(body) {
        Ok(_) => true,
        Err(error) => !complete && error.error_len().is_none(),
    }
}

/// Returns whether the bytes include some that no text has (the binary data bytes of the MIME
/// Sniffing Standard).
fn has_control_bytes(body: &[u8]) -> bool {
    body.iter().any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

fn decoded(body: &[u8], encoding: &'static Encoding, complete: bool) -> Vec<u8> {
    let mut decoder = encoding.new_decoder_with_bom_removal();
    let room = decoder.max_utf8_buffer_length(body.len());
    let mut text = String::with_capacity(room.unwrap_or(body.len().saturating_mul(MAX_GROWTH)));
    let (result, ..) = decoder.decode_to_string(body, &mut text, complete);
    debug_assert_eq!(result, CoderResult::InputEmpty);
    text.shrink_to_fit();
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &[u8], content_type: Option<&str>, complete: bool) -> Vec<u8> {
        let headers = content_type.map(|text| (CONTENT_TYPE, text.parse().unwrap()));
        to_utf8(body.to_vec(), &HeaderMap::from_iter(headers), complete).to_vec()
    }

    #[test]
    fn text_becomes_utf8_by_its_charset() {
        for (body, content_type, expected) in [
            (&b"caf\xe9"[..], Some("text/plain; charset=iso-8859-1"), "caf\u{e9}"),
            (b"caf\xe9", Some("text/plain;charset=\"Latin1\""), "caf\u{e9}"),
            (b"\x80 5", Some("text/html; charset=windows-1252"), "\u{20ac} 5"),
            (b"\x83e\x83X\x83g", Some("text/plain; charset=Shift_JIS"), "\u{30c6}\u{30b9}\u{30c8}"),
            (b"h\0i\0", Some("application/json; charset=utf-16le"), "hi"),
            (b"\xff\xfeh\0i\0", Some("text/plain"), "hi"),
            (b"\xef\xbb\xbfhi", Some("text/plain"), "hi"),
            (b"caf\xe9", Some("text/plain"), "caf\u{e9}"),
            (b"{\"a\":\"\xe9\"}", Some("application/problem+json"), "{\"a\":\"\u{e9}\"}"),
            (b"caf\xe9", Some("text/plain; charset=utf-8"), "caf\u{e9}"),
            (b"caf\xe9", Some("text/plain; charset=nonsense"), "caf\u{e9}"),
            (b"plain~", Some("text/plain; charset=hz-gb-2312"), "plain~"),
            (b"caf\xe9", None, "caf\u{e9}"),
            ("caf\u{e9}".as_bytes(), Some("text/plain"), "caf\u{e9}"),
            ("caf\u{e9}".as_bytes(), None, "caf\u{e9}"),
        ] {
            let text = String::from_utf8(shown(body, content_type, true));
            assert_eq!(text.unwrap(), expected, "{content_type:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_stay_as_they_are() {
        for (body, content_type) in [
            (&b"\x89PNG\r\n\x1a\n\0\xff"[..], Some("image/png")),
            (b"\x89PNG\r\n\x1a\n\0\xff", None),
            (b"\x1f\x8b\x08\0\xff", Some("text/plain")),
            (b"caf\xe9", Some("application/octet-stream")),
        ] {
            assert_eq!(shown(body, content_type, true), body);
        }
    }

    #[test]
    fn a_cut_character_is_not_taken_for_latin1() {
        assert_eq!(shown(b"caf\xc3", Some("text/plain"), false), b"caf\xc3");
        assert_eq!(
            shown(b"\x83e\x83", Some("text/plain; charset=shift_jis"), false),
            "\u{30c6}".as_bytes()
        );
        assert_eq!(shown(b"caf\xc3", Some("text/plain"), true), "caf\u{c3}".as_bytes());
    }

    #[test]
    fn header_values_are_utf8_or_latin1() {
        assert_eq!(header_text(b"caf\xe9"), "caf\u{e9}");
        assert_eq!(header_text("caf\u{e9}".as_bytes()), "caf\u{e9}");
    }
}
