//! The parts of a mail: text, html and files. Pure.

use lettre::message::header::{
    ContentTransferEncoding as Encoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Body, SinglePart};

use super::header;
use super::item::MailFile;
use super::message::Charset;

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that a line may have.
const MAX_LINE: usize = 998;

/// One file as a part.
#[derive(Debug)]
pub(super) struct MailPart {
    pub single: SinglePart,
    /// The content type for the log, without parameters that contain the file's name.
    pub content_type: String,
    /// True if the html shows it.
    pub is_inline: bool,
    /// True if it has bytes of eight bits.
    pub is_eight_bit: bool,
}

/// Returns a part of plain text.
pub(super) fn text(text: &str) -> SinglePart {
    readable(ContentType::TEXT_PLAIN, text)
}

/// Returns a part of HTML text.
pub(super) fn html(html: &str) -> SinglePart {
    readable(ContentType::TEXT_HTML, html)
}

fn readable(content_type: ContentType, text: &str) -> SinglePart {
    let text = lines(text);
    let builder = SinglePart::builder().header(content_type);
    let has_control = text.chars().any(|c| c.is_ascii_control() && !"\t\r\n".contains(c));
    let encoded = has_control
        .then(|| Body::new_with_encoding(text.clone(), Encoding::QuotedPrintable).ok())
        .flatten();
    builder.body(encoded.unwrap_or_else(|| Body::new(text)))
}

/// Returns a file, by its place among the attachments.
pub(super) fn attachment(at: usize, file: &MailFile, has_html: bool, charset: Charset) -> MailPart {
    let name =
        if file.name.is_empty() { format!("attachment-{}", at + 1) } else { file.name.clone() };
    let content_type = match &file.content_type {
        Some(given) => given.clone(),
        None => mime_guess::from_path(&name).first_or_octet_stream().to_string(),
    };
    let (content_type, body) = encoded(file, content_type, charset);
    let is_whole = is_composite(&content_type);
    let cid = file.cid.as_ref().filter(|_| has_html && !is_whole);
    let disposition = if cid.is_some() { "inline" } else { "attachment" };
    let has_name = content_type.to_ascii_lowercase().contains("name=");
    let named = if has_name { String::new() } else { header::file_name("name", &name, true) };
    let is_eight_bit = body.encoding() == Encoding::EightBit;
    let mut builder = SinglePart::builder()
        .header(Raw::<0>(format!("{content_type}{named}")))
        .header(Raw::<1>(format!("{disposition}{}", header::file_name("filename", &name, false))));
    if let Some(cid) = cid {
        builder = builder.header(Raw::<2>(format!("<{cid}>")));
    }
    MailPart { single: builder.body(body), content_type, is_inline: cid.is_some(), is_eight_bit }
}

/// Returns the bytes of a file for the way. Base64, because nothing on the way may take bytes for
/// line ends; but mails and lists of parts are read by what is in them, so these stay as they are
/// (RFC 2046 5.2.1), or are a plain file where the server could not take them.
fn encoded(file: &MailFile, content_type: String, charset: Charset) -> (String, Body) {
    let content_type = if is_composite(&content_type) {
        let content = with_line_ends(&file.content);
        if is_sendable(&content, charset) {
            let encoding = if content.is_ascii() { Encoding::SevenBit } else { Encoding::EightBit };
            return (content_type, Body::dangerous_pre_encoded(content, encoding));
        }
        "application/octet-stream".to_owned()
    } else {
        content_type
    };
    let body = Body::new_with_encoding(file.content.clone(), Encoding::Base64);
    (content_type, body.unwrap_or_else(|_| Body::new(file.content.clone())))
}

fn is_composite(content_type: &str) -> bool {
    let lower = content_type.to_ascii_lowercase();
    lower.starts_with("message/") || lower.starts_with("multipart/")
}

/// Returns whether bytes can be sent as they are. With eight bits they must be in the declared
/// charset, which servers check.
fn is_sendable(content: &[u8], charset: Charset) -> bool {
    let says_eight_bit = || {
        let lower = content.to_ascii_lowercase();
        memchr::memmem::find(&lower, b"content-transfer-encoding: 8bit").is_some()
    };
    (content.is_ascii() || (charset == Charset::Any && says_eight_bit()))
        && !content.contains(&0)
        && content.split(|byte| *byte == b'\n').all(|line| line.len() <= MAX_LINE)
}

/// Bytes with every line end as mail has it.
fn with_line_ends(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 32);
    let mut rest = content;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(b"\r\n");
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    out.extend_from_slice(rest);
    out
}

/// Returns the text with every line end as mail has it, a bare `\r` among them.
fn lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                lines.push_str("\r\n");
            }
            '\n' => lines.push_str("\r\n"),
            other => lines.push(other),
        }
    }
    lines
}

/// A field that is encoded and folded already, by the place of its name.
#[derive(Clone)]
struct Raw<const NAME: usize>(String);

const NAMES: [&str; 3] = ["Content-Type", "Content-Disposition", "Content-ID"];

impl<const NAME: usize> Header for Raw<NAME> {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str(NAMES[NAME])
    }

    fn parse(value: &str) -> Result<Self, BoxedError> {
        Ok(Self(value.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], content_type: &str) -> MailFile {
        MailFile {
            name: "a.eml".to_owned(),
            content: content.to_vec(),
            content_type: Some(content_type.to_owned()),
            cid: None,
        }
    }

    fn formatted(content: &[u8], content_type: &str, charset: Charset) -> String {
        let part = attachment(0, &file(content, content_type), false, charset);
        String::from_utf8_lossy(&part.single.formatted()).into_owned()
    }

    #[test]
    fn mails_are_attached_as_they_are_where_they_can_be() {
        let plain = formatted(b"Subject: x\n\nhi\n", "message/rfc822", Charset::Ascii);
        assert!(plain.contains("Content-Transfer-Encoding: 7bit"), "{plain}");
        assert!(plain.contains("Subject: x\r\n\r\nhi"), "{plain}");
        let eight = "Subject: x\nContent-Transfer-Encoding: 8BIT\n\n\u{fc}".as_bytes();
        assert!(formatted(eight, "message/rfc822", Charset::Any).contains("8bit"));
        for (content, content_type) in [
            (eight, "message/rfc822"),
            ("Subject: \u{fc}\n\n".as_bytes(), "message/rfc822"),
            (&[b'x'; 1500][..], "message/rfc822"),
            (b"\0", "Multipart/mixed"),
        ] {
            let text = formatted(content, content_type, Charset::Ascii);
            assert!(text.contains("application/octet-stream") && text.contains("base64"), "{text}");
        }
    }

    #[test]
    fn control_characters_in_texts_are_encoded() {
        for plain in ["a\0b", "a\u{7}\u{e4}", "a\u{1b}[0m", "\u{7f}"] {
            let part = String::from_utf8(text(plain).formatted()).unwrap();
            let body = part.split("\r\n\r\n").nth(1).unwrap();
            assert!(!body.contains(|c: char| c.is_control() && c != '\r' && c != '\n'), "{part:?}");
        }
        let part = String::from_utf8(text("a\tb\r\n").formatted()).unwrap();
        assert!(part.contains("7bit") && part.contains("a\tb"));
    }

    #[test]
    fn base64_is_folded() {
        let text = formatted(&[7; 1000], "image/png", Charset::Any);
        assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
    }
}
