//! Headers that a call may give: those of threads, and others by the operator's list.

use super::item::{Item, shown};
use super::json::{Node, NodeKind};
use crate::pattern;

/// Headers that the mail is composed of, and those about its origin: a call cannot set them.
const RESERVED: [&str; 18] = [
    "bcc",
    "cc",
    "date",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
    "dkim-signature",
    "authentication-results",
    "delivered-to",
    "disposition-notification-to",
    "in-reply-to",
    "references",
];

/// One entry of `email.allowHeaders`: a name in lower case, with `*` for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern(String);

impl HeaderPattern {
    /// Reads an entry.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_*".contains(c);
        if text.is_empty() || !text.chars().all(is_name) {
            return Err(format!("{text:?} is not the name of a header"));
        }
        let name = text.to_ascii_lowercase();
        if is_reserved(&name) {
            return Err(format!("{text:?} is a header that calls cannot give"));
        }
        Ok(Self(name))
    }
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
        || name.starts_with("content-")
        || name.starts_with("resent-")
        || name.starts_with("arc-")
}

/// Reads the member `headers` into the item.
pub(super) fn headers(node: &Node<'_>, allowed: &[HeaderPattern], item: &mut Item) {
    let NodeKind::Object(fields) = &node.kind else {
        item.warnings.push(format!("`headers`: {} is not an object", shown(node)));
        return;
    };
    for (name, value) in fields {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "in-reply-to" => {
                item.in_reply_to = ids("headers.In-Reply-To", value, &mut item.warnings);
            }
            "references" => {
                item.references = ids("headers.References", value, &mut item.warnings);
            }
            _ if !is_allowed(&lower, allowed) => {
                let plain: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                item.warnings.push(format!(
                    "the header `{plain}` is ignored: only those that begin with List- can be given, \
                     and those that email.allowHeaders names"
                ));
            }
            _ => match value_of(value) {
                Some(value) => item.headers.push((name.to_string(), value)),
                None => item.warnings.push(format!(
                    "the header `{name}` is ignored: its value is no text, or has a line break"
                )),
            },
        }
    }
}

fn is_allowed(name: &str, allowed: &[HeaderPattern]) -> bool {
    let is_name = !name.is_empty()
        && name.len() <= 70
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_listed = allowed.iter().any(|HeaderPattern(one)| pattern::matches(one, name));
    is_name && !is_reserved(name) && (name.starts_with("list-") || is_listed)
}

fn value_of(node: &Node<'_>) -> Option<String> {
    match &node.kind {
        NodeKind::Text(text) => {
            let text = text.trim();
            (!text.contains(['\r', '\n'])).then(|| text.to_owned())
        }
        NodeKind::Literal => Some(node.raw.to_owned()),
        NodeKind::Null | NodeKind::Array(_) | NodeKind::Object(_) => None,
    }
}

/// Reads message ids: a text with some, or a list of texts, each with or without its brackets.
pub(super) fn ids(path: &str, node: &Node<'_>, warnings: &mut Vec<String>) -> Vec<String> {
    let mut ids = Vec::new();
    let all = match &node.kind {
        NodeKind::Array(all) => &all[..],
        _ => std::slice::from_ref(node),
    };
    for one in all {
        let NodeKind::Text(text) = &one.kind else {
            if !matches!(one.kind, NodeKind::Null) {
                warnings.push(format!("`{path}`: {} is not a message id", shown(one)));
            }
            continue;
        };
        let spaced = text.replace("><", "> <").replace(',', " ");
        for word in spaced.split_whitespace() {
            match content_id(word) {
                Some(id) => ids.push(format!("<{id}>")),
                None => warnings.push(format!("`{path}`: {word:?} is not a message id")),
            }
        }
    }
    ids
}

/// Returns an id without its brackets; none if a header cannot hold it.
pub(super) fn content_id(text: &str) -> Option<String> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
    (!id.is_empty() && id.len() <= 900 && id.chars().all(is_plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_brackets_and_nothing_else() {
        let read = |text: &str| {
            let mut warnings = Vec::new();
            (ids("references", &Node::parse(text).unwrap(), &mut warnings), warnings.len())
        };
        for (text, expected, warnings) in [
            (r#""<a@b>""#, &["<a@b>"][..], 0),
            (r#""a@b""#, &["<a@b>"], 0),
            (r#""<a@b><c@d> e@f""#, &["<a@b>", "<c@d>", "<e@f>"], 0),
            (r#"["<a@b>", null, "c@d"]"#, &["<a@b>", "<c@d>"], 0),
            (r#""<a@b>\r\n <c@d>""#, &["<a@b>", "<c@d>"], 0),
            (r#""<a\u0000b>""#, &[], 1),
            (r#"[5, "ü@b"]"#, &[], 2),
        ] {
            assert_eq!(read(text), (expected.iter().map(|&id| id.to_owned()).collect(), warnings));
        }
    }

    #[test]
    fn headers_of_the_mail_itself_cannot_be_allowed() {
        for name in ["", "a b", "To", "BCC", "content-type", "Resent-To", "DKIM-Signature", "x:"] {
            assert!(HeaderPattern::parse(name).is_err(), "{name}");
        }
        assert_eq!(HeaderPattern::parse("X-*"), Ok(HeaderPattern("x-*".to_owned())));
    }
}
