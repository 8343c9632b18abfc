//! Header fields: encoded for readers of any age, and folded. Pure.
//!
//! **Invariant:** no line is longer than 998 bytes, and none has a control character.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::{Mailbox, quoted};

/// Characters of a line that folding aims for.
const LINE: usize = 76;

/// Characters of a word that is not broken: past it, readers would see a line that is too long.
const MAX_WORD: usize = 900;

/// Bytes of text in one encoded word of at most 75 characters.
const ENCODED_BYTES: usize = 45;

/// Returns a field whose value is text for people, such as Subject.
pub(super) fn text(name: &str, value: &str) -> String {
    // Spaces at the ends are not part of what people read.
    let value = value.trim_matches(' ');
    if is_plain(value) {
        return folded(name, value.split_inclusive(' ').map(str::to_owned));
    }
    folded(name, encoded_words(value).into_iter().map(|word| word + " "))
}

/// Returns a field with mailboxes.
pub(super) fn mailboxes(name: &str, mailboxes: &[Mailbox]) -> String {
    let last = mailboxes.len().saturating_sub(1);
    let parts = mailboxes.iter().enumerate().flat_map(|(at, one)| {
        let mut parts = one.name.as_deref().map(phrase).unwrap_or_default();
        let separator = if at == last { "" } else { ", " };
        parts.push(match one.name {
            Some(_) => format!("<{}>{separator}", one.address),
            None => format!("{}{separator}", one.address),
        });
        parts
    });
    folded(name, parts)
}

/// Returns a field with words that must stay as they are, such as message ids.
pub(super) fn words(name: &str, words: &[String]) -> String {
    folded(name, words.iter().map(|word| format!("{word} ")))
}

/// Returns the parameter of a field that names a file, each part of it on a line of its own:
/// `name` in the form of RFC 2047 that old readers know, and `filename` in that of RFC 2231.
pub(super) fn file_name(parameter: &str, value: &str, is_old: bool) -> String {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    if value.is_ascii() && value.len() <= MAX_WORD && !value.contains("=?") {
        return format!(";\r\n {parameter}={}", quoted(&value));
    }
    if is_old {
        return format!(";\r\n {parameter}=\"{}\"", encoded_words(&value).join("\r\n "));
    }
    let mut parts = vec![String::new()];
    for c in value.chars() {
        let mut encoded = String::new();
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        match parts.last_mut() {
            Some(part) if part.len() + encoded.len() <= 50 => part.push_str(&encoded),
            _ => parts.push(encoded),
        }
    }
    if let [part] = &parts[..] {
        return format!(";\r\n {parameter}*=utf-8''{part}");
    }
    parts.iter().enumerate().fold(String::new(), |mut all, (at, part)| {
        let charset = if at == 0 { "utf-8''" } else { "" };
        let _ = write!(all, ";\r\n {parameter}*{at}*={charset}{part}");
        all
    })
}

/// Joins parts, with a line break before each that would make the line too long. Each part brings the
/// space behind it, which becomes the one that begins the next line.
fn folded(name: &str, parts: impl Iterator<Item = String>) -> String {
    let mut field = format!("{name}: ");
    let mut length = field.len();
    let mut is_first = true;
    for part in parts {
        let is_long = length + part.trim_end().len() > LINE && !is_first;
        // Before a space alone, a line break would make a line that looks empty.
        if is_long && field.ends_with(' ') && !part.trim().is_empty() && !field.ends_with("\r\n ") {
            field.pop();
            field.push_str("\r\n ");
            length = 1;
        }
        field.push_str(&part);
        length += part.len();
        is_first = false;
    }
    field.truncate(field.trim_end_matches(' ').len());
    if field.ends_with(':') {
        field.push(' ');
    }
    field.push_str("\r\n");
    field
}

/// Returns whether a text can stand in a header as it is.
fn is_plain(value: &str) -> bool {
    let is_printable = value.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    let is_stripped = value.trim_matches(' ').len() == value.len() && !value.contains("  ");
    is_printable
        && is_stripped
        && !value.contains("=?")
        && value.split(' ').all(|word| word.len() <= MAX_WORD)
}

/// Returns the name of a mailbox, in parts that may stand on lines of their own.
fn phrase(name: &str) -> Vec<String> {
    if is_plain(name) && name.len() <= MAX_WORD {
        return vec![format!("{} ", quoted(name))];
    }
    encoded_words(name).into_iter().map(|word| word + " ").collect()
}

/// Returns a text as encoded words (RFC 2047), which are read as if nothing were between them.
fn encoded_words(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in text.chars() {
        match pieces.last_mut() {
            Some(piece) if piece.len() + c.len_utf8() <= ENCODED_BYTES => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces.iter().map(|piece| format!("=?utf-8?B?{}?=", STANDARD.encode(piece))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::address::EmailAddress;
    use super::*;

    fn assert_lines(field: &str) {
        assert!(field.ends_with("\r\n"));
        for line in field.trim_end_matches("\r\n").split("\r\n") {
            assert!(line.len() <= 998 && !line.trim().is_empty(), "{line:?}");
            assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        }
        assert!(!field.contains("\r\n\r\n"));
    }

    #[test]
    fn texts_are_folded_at_spaces_and_encoded_where_they_have_to_be() {
        assert_eq!(text("Subject", "Hello"), "Subject: Hello\r\n");
        assert_eq!(text("Subject", ""), "Subject: \r\n");
        assert_eq!(text("Subject", "ä"), "Subject: =?utf-8?B?w6Q=?=\r\n");
        let long = text("Subject", "word ".repeat(100).trim_end());
        assert_lines(&long);
        assert!(long.split("\r\n").all(|line| line.len() <= LINE + 2));
        assert_eq!(
            long.replace("\r\n", ""),
            format!("Subject: {}", "word ".repeat(100).trim_end())
        );
        for odd in ["a\0b", "=?utf-8?B?w6Q=?=", "a  b", &"x".repeat(3000), &"世".repeat(500)] {
            let field = text("Subject", odd);
            assert_lines(&field);
            assert!(field.starts_with("Subject: =?utf-8?B?"), "{field}");
        }
    }

    #[test]
    fn lists_of_mailboxes_are_folded() {
        let many: Vec<_> = (0..100)
            .map(|at| {
                let address = EmailAddress::parse(&format!("recipient-{at}@example.com")).unwrap();
                let name = ["", "Name", "Zoë, \"Z\"", "a \"b\""][at % 4];
                Mailbox::new(Some(name.to_owned()), address)
            })
            .collect();
        let field = mailboxes("To", &many);
        assert_lines(&field);
        assert!(field.split("\r\n").all(|line| line.len() <= 100));
        let whole = field.replace("\r\n ", " ");
        assert!(whole.contains("\"a \\\"b\\\"\" <recipient-3@example.com>,"), "{field}");
        assert_eq!(field.matches('@').count(), 100);
    }

    #[test]
    fn ids_are_never_broken() {
        let ids: Vec<_> = (0..50).map(|at| format!("<{at}{}@x>", "a".repeat(100))).collect();
        let field = words("References", &ids);
        assert_lines(&field);
        assert_eq!(field.replace("\r\n", ""), format!("References: {}", ids.join(" ")));
    }

    #[test]
    fn file_names_have_a_form_for_every_reader() {
        assert_eq!(
            file_name("filename", "a \"b\".txt", false),
            ";\r\n filename=\"a \\\"b\\\".txt\""
        );
        assert_eq!(file_name("name", "ü.txt", true), ";\r\n name=\"=?utf-8?B?w7wudHh0?=\"");
        assert_eq!(
            file_name("filename", "ü 1.txt", false),
            ";\r\n filename*=utf-8''%C3%BC%201.txt"
        );
        let long = file_name("filename", &"ü".repeat(40), false);
        assert!(
            long.contains(";\r\n filename*0*=utf-8''%C3") && long.contains(";\r\n filename*1*=%C3")
        );
        assert_eq!(file_name("filename", "a\r\nb", false), ";\r\n filename=\"ab\"");
    }
}
