//! The fields of one `$send.email` call.
//!
//! **Invariant:** an optional field that cannot be used leaves a warning and never costs the mail.
//! The one exception is a line break in the subject, which looks like an injected header.

use std::fmt;

use super::address::{EmailAddress, Mailbox};
use super::addresses::Addresses;
use super::content::{self, DecodedContent};
use super::extra::{self, HeaderPattern};
use super::json::{Node, NodeKind};
use crate::delivery::{Failure, Payload};
use crate::error::ErrorKind;

/// One call, read.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub include_collaborators: bool,
    pub from: Option<Sender>,
    pub to: RawItem,
    pub cc: RawItem,
    pub bcc: RawItem,
    pub reply_to: RawItem,
    pub attachments: Vec<MailFile>,
    /// The ids of the mails that this one replies to.
    pub in_reply_to: Vec<String>,
    /// The ids of the thread.
    pub references: Vec<String>,
    /// Names and values that are allowed.
    pub headers: Vec<(String, String)>,
    /// Warnings about ignored members.
    pub warnings: Vec<String>,
}

/// The mailboxes that a field names.
#[derive(Debug, Default)]
pub(super) struct RawItem {
    pub mailboxes: Vec<Mailbox>,
    /// True if the field has anything in it, usable or not.
    pub is_given: bool,
}

/// The sender in the call: a name, an address or both.
#[derive(Debug)]
pub(super) struct Sender {
    pub name: Option<String>,
    pub address: Option<EmailAddress>,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.address) {
            (name, Some(address)) => Mailbox::new(name.clone(), address.clone()).fmt(f),
            (name, None) => f.write_str(name.as_deref().unwrap_or_default()),
        }
    }
}

/// One attachment.
#[derive(Debug)]
pub(super) struct MailFile {
    pub name: String,
    pub content: Vec<u8>,
    /// One that can be used.
    pub content_type: Option<String>,
    /// By which the html refers to it.
    pub cid: Option<String>,
}

impl Item {
    /// Parses a call.
    ///
    /// # Errors
    /// `InvalidArgument`, with the path of the invalid member.
    pub(super) fn parse(payload: &Payload, allowed: &[HeaderPattern]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(&payload.text).map_err(|_| unreadable())?;
        let node = Node::parse(text).map_err(|_| unreadable())?;
        let NodeKind::Object(fields) = node.kind else { return Err(unreadable()) };
        let mut item = Self::default();
        for (key, node) in fields {
            if matches!(node.kind, NodeKind::Null) {
                continue;
            }
            match &*key {
                "subject" => item.subject = subject(&node)?,
                "text" => item.text = Some(text_of("text", &node)?),
                "html" => item.html = Some(text_of("html", &node)?),
                "include_collaborators" => item.include_collaborators = node.raw == "true",
                "from" => item.from = sender(&node, &mut item.warnings),
                "to" => item.to = given("to", &node, &mut item.warnings),
                "cc" => item.cc = given("cc", &node, &mut item.warnings),
                "bcc" => item.bcc = given("bcc", &node, &mut item.warnings),
                "replyTo" => item.reply_to = given("replyTo", &node, &mut item.warnings),
                "attachments" => item.attachments = files(&node, &mut item.warnings),
                "inReplyTo" => {
                    item.in_reply_to = extra::ids("inReplyTo", &node, &mut item.warnings);
                }
                "references" => {
                    item.references = extra::ids("references", &node, &mut item.warnings);
                }
                "headers" => extra::headers(&node, allowed, &mut item),
                _ => {}
            }
        }
        Ok(item)
    }
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call is not the text of an object")
}

/// Returns a refusal of what is at `path`.
pub(super) fn invalid(path: &str, reason: impl fmt::Display) -> Failure {
    Failure::new(ErrorKind::InvalidArgument, format!("{path} {reason}"))
}

fn text_of(path: &str, node: &Node<'_>) -> Result<String, Failure> {
    match &node.kind {
        NodeKind::Text(text) => Ok(text.clone().into_owned()),
        _ => Err(invalid(path, "is not text")),
    }
}

fn subject(node: &Node<'_>) -> Result<String, Failure> {
    let text = text_of("subject", node)?;
    if text.contains(['\r', '\n']) {
        return Err(invalid("subject", "has a line break in it"));
    }
    Ok(text)
}

/// Returns a value as a warning shows it.
pub(super) fn shown(node: &Node<'_>) -> String {
    shortened(&node.to_text())
}

fn shortened(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect();
    format!("{:?}", plain.trim())
}

/// Reads mailboxes: a text, an object with `address` or `email` and perhaps `name`, or a list of these.
fn given(path: &str, node: &Node<'_>, warnings: &mut Vec<String>) -> RawItem {
    let mut addresses = Addresses::default();
    collect(node, &mut addresses);
    for text in &addresses.unusable {
        warnings.push(format!("`{path}`: {} is not an address and is left out", shortened(text)));
    }
    let is_given = !addresses.mailboxes.is_empty() || !addresses.unusable.is_empty();
    RawItem { mailboxes: addresses.mailboxes, is_given }
}

fn collect(node: &Node<'_>, addresses: &mut Addresses) {
    match &node.kind {
        NodeKind::Null => {}
        NodeKind::Literal => addresses.unusable.push(node.raw.to_owned()),
        NodeKind::Text(text) => addresses.extend(Addresses::parse(text)),
        NodeKind::Array(all) => all.iter().for_each(|one| collect(one, addresses)),
        NodeKind::Object(fields) => {
            let member = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, n)| n);
            // The lists of mail parsers and of groups.
            if let Some(list) = member("value").or_else(|| member("group"))
                && matches!(list.kind, NodeKind::Array(_))
            {
                return collect(list, addresses);
            }
            let text = ["address", "email"].into_iter().find_map(|name| text_in(member(name)?));
            let Some(text) = text else {
                return addresses.unusable.push("an object without `address`".to_owned());
            };
            let mut own = Addresses::parse(&text);
            if let ([only], Some(name)) = (&mut own.mailboxes[..], member("name").and_then(text_in))
                && !name.trim().is_empty()
            {
                *only = Mailbox::new(Some(name), only.address.clone());
            }
            addresses.extend(own);
        }
    }
}

fn text_in(node: &Node<'_>) -> Option<String> {
    match &node.kind {
        NodeKind::Text(text) => Some(text.clone().into_owned()),
        _ => None,
    }
}

impl Addresses {
    fn extend(&mut self, other: Self) {
        self.mailboxes.extend(other.mailboxes);
        self.unusable.extend(other.unusable);
    }
}

/// Reads `from`: text without an address is a name.
fn sender(node: &Node<'_>, warnings: &mut Vec<String>) -> Option<Sender> {
    let text = text_in(node).filter(|text| !text.contains('@'));
    if let Some(text) = &text
        && !text.contains(['\r', '\n'])
    {
        let name = text.trim().trim_matches(['<', '>', ' ']).trim_matches('"').to_owned();
        return (!name.is_empty()).then_some(Sender { name: Some(name), address: None });
    }
    if let NodeKind::Object(fields) = &node.kind
        && !fields.iter().any(|(key, _)| key == "address" || key == "email")
        && let Some((_, name)) = fields.iter().find(|(key, _)| key == "name")
        && let Some(name) = text_in(name)
    {
        return Some(Sender { name: Some(name), address: None });
    }
    let mut own = Vec::new();
    let given = given("from", node, &mut own);
    warnings.append(&mut own);
    let first = given.mailboxes.into_iter().next()?;
    Some(Sender { name: first.name, address: Some(first.address) })
}

fn files(node: &Node<'_>, warnings: &mut Vec<String>) -> Vec<MailFile> {
    let all = match &node.kind {
        NodeKind::Array(all) => &all[..],
        NodeKind::Object(_) => std::slice::from_ref(node),
        _ => {
            warnings.push(format!("`attachments`: {} is not a list of files", shown(node)));
            return Vec::new();
        }
    };
    let each = all.iter().enumerate().filter(|(_, one)| !matches!(one.kind, NodeKind::Null));
    each.filter_map(|(at, one)| {
        let path = format!("attachments.{at}");
        file(&path, one, warnings)
            .map_err(|reason| {
                warnings.push(format!("`{path}` is left out: {reason}"));
            })
            .ok()
    })
    .collect()
}

fn file(path: &str, node: &Node<'_>, warnings: &mut Vec<String>) -> Result<MailFile, String> {
    let NodeKind::Object(fields) = &node.kind else { return Err("it is not an object".to_owned()) };
    let member = |name: &str| {
        let found = fields.iter().find(|(key, _)| key == name);
        found.map(|(_, node)| node).filter(|node| !matches!(node.kind, NodeKind::Null))
    };
    let named = |name: &str| member(name).and_then(text_in).filter(|text| !text.trim().is_empty());
    let content = member("content").ok_or("it has no `content`")?;
    let text = text_in(content).ok_or("its `content` is neither text nor a Buffer")?;
    let DecodedContent { bytes, mime, warning } =
        content::decode(&text, named("encoding").as_deref())?;
    warnings.extend(warning.map(|warning| format!("`{path}`: {warning}")));
    let name = named("filename").or_else(|| named("name")).unwrap_or_default();
    // A path on the sender's machine is useless to the recipient.
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let content_type = match named("contentType") {
        None => mime,
        Some(given) => content::content_type(&given).or_else(|| {
            let warning = format!("`{path}`: {} is not a content type", shortened(&given));
            warnings.push(warning);
            None
        }),
    };
    let cid = named("cid").and_then(|cid| {
        let plain = extra::content_id(&cid);
        if plain.is_none() {
            warnings.push(format!("`{path}`: the cid {} cannot be used", shortened(&cid)));
        }
        plain
    });
    Ok(MailFile { name, content: bytes, content_type, cid })
}
