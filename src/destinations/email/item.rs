//! The fields of one `$send.email` call.

use base64::Engine as _;

use super::json::{Kind, Node};
use crate::destinations::{Failure, Payload};
use crate::error::ErrorKind;

/// One call, read.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub include_collaborators: bool,
    /// The name, or the name and address, that the call wants to be from.
    pub from: Option<String>,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub reply_to: Vec<String>,
    pub attachments: Vec<File>,
    /// Names and values, `List-…` alone.
    pub headers: Vec<(String, String)>,
    /// What is ignored.
    pub warnings: Vec<String>,
}

/// One attachment.
#[derive(Debug)]
pub(super) struct File {
    pub name: String,
    pub content: Vec<u8>,
    pub content_type: Option<String>,
    /// By which the html refers to it.
    pub cid: Option<String>,
}

impl Item {
    /// # Errors
    /// `InvalidArgument`, with the path of what cannot be used.
    pub(super) fn parse(payload: &Payload) -> Result<Self, Failure> {
        let text = std::str::from_utf8(&payload.text).map_err(|_| unreadable())?;
        let node = Node::parse(text).map_err(|_| unreadable())?;
        let Kind::Object(fields) = node.kind else { return Err(unreadable()) };
        let mut item = Self::default();
        for (key, node) in fields {
            if matches!(node.kind, Kind::Null) {
                continue;
            }
            match &*key {
                "subject" => item.subject = line("subject", &node)?,
                "text" => item.text = Some(text_of("text", &node)?),
                "html" => item.html = Some(text_of("html", &node)?),
                "include_collaborators" => item.include_collaborators = node.raw == "true",
                "from" => item.from = Some(line("from", &node)?),
                "to" => item.to = people("to", &node)?,
                "cc" => item.cc = people("cc", &node)?,
                "bcc" => item.bcc = people("bcc", &node)?,
                "replyTo" => item.reply_to = people("replyTo", &node)?,
                "attachments" => item.attachments = files(&node)?,
                "headers" => item.read_headers(&node)?,
                _ => {}
            }
        }
        Ok(item)
    }

    fn read_headers(&mut self, node: &Node<'_>) -> Result<(), Failure> {
        let Kind::Object(fields) = &node.kind else {
            return Err(invalid("headers", "is not an object"));
        };
        for (name, value) in fields {
            let is_list = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("list-"));
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if is_list && is_name {
                self.headers.push((name.to_string(), line(&format!("headers.{name}"), value)?));
            } else {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                self.warnings.push(format!(
                    "the header `{shown}` is ignored: only those that begin with List- can be given"
                ));
            }
        }
        Ok(())
    }
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call is not the text of an object")
}

/// A refusal of what is at `path`.
pub(super) fn invalid(path: &str, reason: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::InvalidArgument, format!("{path} {reason}"))
}

fn text_of(path: &str, node: &Node<'_>) -> Result<String, Failure> {
    match &node.kind {
        Kind::Text(text) => Ok(text.clone().into_owned()),
        _ => Err(invalid(path, "is not text")),
    }
}

/// Text that becomes part of a header: one line.
fn line(path: &str, node: &Node<'_>) -> Result<String, Failure> {
    let text = text_of(path, node)?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(invalid(path, "has a line break or another control character in it"));
    }
    Ok(text)
}

/// Addresses: text with commas, an object with `name` and `address`, or a list of these.
fn people(path: &str, node: &Node<'_>) -> Result<Vec<String>, Failure> {
    match &node.kind {
        Kind::Text(_) => Ok(vec![line(path, node)?]),
        Kind::Array(all) => {
            let each = all.iter().enumerate().map(|(at, one)| people(&format!("{path}.{at}"), one));
            Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        Kind::Object(fields) => {
            let member = |name: &str| fields.iter().find(|(key, _)| key == name);
            let Some((_, address)) = member("address") else {
                return Err(invalid(path, "has no `address`"));
            };
            let address = line(&format!("{path}.address"), address)?;
            match member("name") {
                Some((_, name)) if !matches!(name.kind, Kind::Null) => {
                    let name = line(&format!("{path}.name"), name)?;
                    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
                    Ok(vec![format!("\"{quoted}\" <{address}>")])
                }
                _ => Ok(vec![address]),
            }
        }
        _ => Err(invalid(path, "is neither text nor a list of addresses")),
    }
}

fn files(node: &Node<'_>) -> Result<Vec<File>, Failure> {
    let Kind::Array(all) = &node.kind else {
        return Err(invalid("attachments", "is not a list"));
    };
    all.iter().enumerate().map(|(at, one)| file(&format!("attachments.{at}"), one)).collect()
}

fn file(path: &str, node: &Node<'_>) -> Result<File, Failure> {
    let Kind::Object(fields) = &node.kind else { return Err(invalid(path, "is not an object")) };
    let member = |name: &str| {
        let found = fields.iter().find(|(key, _)| key == name);
        found.map(|(_, node)| node).filter(|node| !matches!(node.kind, Kind::Null))
    };
    let named =
        |name: &str| member(name).map(|node| line(&format!("{path}.{name}"), node)).transpose();
    let content_path = format!("{path}.content");
    let content = member("content").ok_or_else(|| invalid(&content_path, "is missing"))?;
    let content = text_of(&content_path, content)
        .map_err(|_| invalid(&content_path, "is neither text nor a Buffer"))?;
    let content = match named("encoding")?.as_deref() {
        None | Some("utf8" | "utf-8") => content.into_bytes(),
        Some("base64") => {
            let bare: String = content.split_ascii_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(bare)
                .map_err(|error| invalid(&content_path, format_args!("is not base64: {error}")))?
        }
        Some(_) => {
            let path = format!("{path}.encoding");
            return Err(invalid(&path, "is neither 'base64' nor 'utf8'"));
        }
    };
    Ok(File {
        name: named("filename")?.unwrap_or_default(),
        content,
        content_type: named("contentType")?,
        cid: named("cid")?,
    })
}
