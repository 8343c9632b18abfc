//! The content of attachments, in the encodings that JavaScript and the interfaces of mail services
//! give it. Pure.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lettre::message::header::ContentType;

use crate::percent;

/// Base64 with or without padding, and with bits left over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decoded content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DecodedContent {
    pub bytes: Vec<u8>,
    /// The one that a `data:` URL names.
    pub mime: Option<String>,
    pub warning: Option<String>,
}

/// Decodes a text by the name of its encoding, as `Buffer.from()` does.
///
/// # Errors
/// The reason why there is nothing to attach.
///
/// # Errors
/// The reason why there is nothing to attach.
pub(super) fn decode(text: &str, encoding: Option<&str>) -> Result<DecodedContent, String> {
    if let Some(content) = data_url(text) {
        return Ok(content);
    }
    let Some(encoding) = encoding else { return Ok(plain(text.as_bytes().to_vec())) };
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" | "7bit" | "8bit" | "quoted-printable" => text.as_bytes().to_vec(),
        "base64" | "base64url" => base64(text).ok_or("its `content` is not base64")?,
        "hex" => hex(text).ok_or("its `content` is not hexadecimal")?,
        "latin1" | "binary" => latin1(text, 0xff),
        "ascii" | "us-ascii" => latin1(text, 0x7f),
        "utf16le" | "utf-16le" | "ucs2" | "ucs-2" => {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        _ => {
            let warning =
                Some("its `encoding` is not known: the content is attached as text".into());
            return Ok(DecodedContent { warning, ..plain(text.as_bytes().to_vec()) });
        }
    };
    Ok(plain(bytes))
}

fn plain(bytes: Vec<u8>) -> DecodedContent {
    DecodedContent { bytes, ..DecodedContent::default() }
}

/// Decodes base64 of both alphabets, in lines or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    LENIENT.decode(bare).ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16));
    let digits: Vec<u32> = digits.collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

/// Returns the low byte of each UTF-16 unit, as Node writes these encodings.
fn latin1(text: &str, mask: u16) -> Vec<u8> {
    text.encode_utf16().map(|unit| unit.to_le_bytes()[0] & mask.to_le_bytes()[0]).collect()
}

/// Decodes a `data:` URL in base64; another text that begins so is just text.
fn data_url(text: &str) -> Option<DecodedContent> {
    let text = text.trim();
    let scheme = text.get(..5).filter(|start| start.eq_ignore_ascii_case("data:"))?;
    let (head, data) = text[scheme.len()..].split_once(',')?;
    let head = head.trim();
    let content_type = head.get(head.len().checked_sub(7)?..);
    content_type.filter(|end| end.eq_ignore_ascii_case(";base64"))?;
    let content_type = &head[..head.len() - 7];
    let data = percent::decoded(data).ok()?;
    Some(DecodedContent {
        bytes: base64(&data)?,
        mime: self::content_type(content_type),
        warning: None,
    })
}

/// Returns a content type that mail readers understand, of a whole one or of a file's extension.
pub(super) fn content_type(text: &str) -> Option<String> {
    let text = text.trim();
    if text.chars().any(char::is_control) || !text.is_ascii() {
        return None;
    }
    if !text.contains('/') {
        let guess = mime_guess::from_ext(text.trim_start_matches('.'));
        return guess.first().map(|guess| guess.to_string());
    }
    ContentType::parse(text).ok().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_buffers_is_read() {
        for (text, encoding, expected) in [
            ("hi", None, &b"hi"[..]),
            ("hi", Some("UTF-8"), b"hi"),
            ("aGk=", Some("base64"), b"hi"),
            ("aGk", Some("BASE64"), b"hi"),
            ("a\r\nG k", Some("base64"), b"hi"),
            ("_-_-", Some("base64"), b"\xff\xef\xfe"),
            ("/+/+", Some("base64url"), b"\xff\xef\xfe"),
            ("aGl=", Some("base64"), b"hi"),
            ("6869", Some("hex"), b"hi"),
            ("FF 0a", Some("Hex"), b"\xff\x0a"),
            ("\u{e9}", Some("latin1"), b"\xe9"),
            ("\u{e9}", Some("binary"), b"\xe9"),
            ("\u{e9}", Some("ascii"), b"\x69"),
            ("h\u{e9}", Some("utf16le"), b"h\0\xe9\0"),
            ("data:text/plain;base64,aGk", None, b"hi"),
            ("data:;base64,aGk%3D", Some("base64"), b"hi"),
            ("data: 5", None, b"data: 5"),
            ("data:text/plain,hi", None, b"data:text/plain,hi"),
            ("é", None, "é".as_bytes()),
        ] {
            assert_eq!(decode(text, encoding).unwrap().bytes, expected, "{text} {encoding:?}");
        }
        let typed = decode("data:image/png;base64,aGk=", None).unwrap();
        assert_eq!(typed.mime.as_deref(), Some("image/png"));
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        assert!(decode("%", Some("base64")).unwrap_err().contains("base64"));
        for text in ["6", "6x", "686"] {
            assert!(decode(text, Some("hex")).unwrap_err().contains("hexadecimal"));
        }
        let odd = decode("x", Some("rot13")).unwrap();
        assert_eq!((odd.bytes, odd.warning.is_some()), (b"x".to_vec(), true));
    }

    #[test]
    fn content_types_are_whole_or_extensions() {
        for (text, expected) in [
            ("text/plain", Some("text/plain")),
            (" text/csv; charset=utf-8 ", Some("text/csv; charset=utf-8")),
            ("pdf", Some("application/pdf")),
            (".png", Some("image/png")),
            ("nonsense", None),
            ("x\ny", None),
            ("text/ü", None),
            ("a/b/c/", None),
        ] {
            assert_eq!(content_type(text).as_deref(), expected, "{text}");
        }
    }
}
