//! The MIME text of a mail.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::message::header::ContentTransferEncoding;
use lettre::message::{MultiPart, SinglePart};
use uuid::Uuid;

use super::address::Mailbox;
use super::header;
use super::item::Item;
use super::part::{self, MailPart};
use super::recipients::People;
use crate::delivery::Failure;
use crate::error::ErrorKind;

/// The characters that a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// Other characters than ASCII in addresses, and bytes of eight bits in attached mails.
    Any,
    /// ASCII alone.
    Ascii,
}

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Mail {
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    pub message_id: String,
    pub bytes: Vec<u8>,
    /// The attachments' content types, in their order.
    pub content_types: Vec<String>,
    /// True if an address has other characters than ASCII.
    pub needs_utf8: bool,
    /// Warnings about parts that are left out or changed.
    pub warnings: Vec<String>,
}

impl Mail {
    /// Returns whether the mail has bytes of eight bits.
    pub(super) fn needs_eight_bit(&self) -> bool {
        !self.bytes.is_ascii()
    }
}

/// Makes the mail of a delivery: the same id and date whenever it is made again.
pub(super) fn build(
    item: &Item,
    people: &People,
    id: Uuid,
    date: SystemTime,
    charset: Charset,
) -> Mail {
    let message_id = format!("<{id}@{}>", people.from.address.domain());
    let mut warnings = Vec::new();
    let mut usable = |name: &str, all: &[Mailbox]| -> Vec<Mailbox> {
        let is_usable = |one: &&Mailbox| {
            let is_usable = charset == Charset::Any || one.address.is_ascii();
            if !is_usable {
                warnings.push(format!(
                    "`{name}`: {} is left out, because the server does not offer SMTPUTF8",
                    one.address
                ));
            }
            is_usable
        };
        all.iter().filter(is_usable).cloned().collect()
    };
    let to = usable("to", &people.to);
    let cc = usable("cc", &people.cc);
    let bcc = usable("bcc", &people.bcc);
    let reply_to = usable("replyTo", &people.reply_to);
    let mut parts = Vec::with_capacity(item.attachments.len());
    for (at, file) in item.attachments.iter().enumerate() {
        parts.push(part::attachment(at, file, item.html.is_some(), charset));
    }
    let content_types = parts.iter().map(|part| part.content_type.clone()).collect();
    let mut text = format!("Date: {}\r\n", DateTime::<Utc>::from(date).to_rfc2822());
    for piece in ["Message-ID: ", &message_id, "\r\n"] {
        text.push_str(piece);
    }
    text.push_str(&header::mailboxes("From", std::slice::from_ref(&people.from)));
    for (name, mailboxes) in [("To", &to), ("Cc", &cc), ("Reply-To", &reply_to)] {
        if !mailboxes.is_empty() {
            text.push_str(&header::mailboxes(name, mailboxes));
        }
    }
    if to.is_empty() && cc.is_empty() {
        text.push_str("To: undisclosed-recipients:;\r\n");
    }
    text.push_str(&header::text("Subject", &item.subject));
    for (name, ids) in [("In-Reply-To", &item.in_reply_to), ("References", &item.references)] {
        if !ids.is_empty() {
            text.push_str(&header::words(name, ids));
        }
    }
    for (name, value) in &item.headers {
        text.push_str(&header::text(name, value));
    }
    text.push_str("MIME-Version: 1.0\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend(body(item, parts));
    let from = people.from.address.to_string();
    let envelope = People::envelope_of([&to, &cc, &bcc]);
    let addresses = to.iter().chain(&cc).chain(&bcc).chain(&reply_to);
    let needs_utf8 = addresses.chain([&people.from]).any(|one| !one.address.is_ascii());
    Mail { from, to: envelope, message_id, bytes, content_types, needs_utf8, warnings }
}

enum Parts {
    One(SinglePart),
    Several(MultiPart),
}

/// Returns the text, the html with the images that it shows, and the other files, as few levels
/// deep as can be.
fn body(item: &Item, parts: Vec<MailPart>) -> Vec<u8> {
    let (inline, attached): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.is_inline);
    let html = item.html.as_deref().map(|html| {
        let html = part::html(html);
        if inline.is_empty() {
            return Parts::One(html);
        }
        let related = MultiPart::related().singlepart(html);
        Parts::Several(inline.into_iter().fold(related, |all, part| all.singlepart(part.single)))
    });
    let text = item.text.as_deref().map(part::text);
    let body = match (text, html) {
        (Some(text), Some(html)) => {
            let both = MultiPart::alternative().singlepart(text);
            Parts::Several(match html {
                Parts::One(html) => both.singlepart(html),
                Parts::Several(html) => both.multipart(html),
            })
        }
        (Some(text), None) => Parts::One(text),
        (None, Some(html)) => html,
        (None, None) => Parts::One(part::text("")),
    };
    if attached.is_empty() {
        return match body {
            Parts::One(part) => part.formatted(),
            Parts::Several(parts) => parts.formatted(),
        };
    }
    let mut mixed = MultiPart::mixed();
    if attached.iter().any(|part| part.is_eight_bit) {
        mixed = mixed.header(ContentTransferEncoding::EightBit);
    }
    let mixed = mixed.build();
    let mixed = match body {
        Parts::One(body) => mixed.singlepart(body),
        Parts::Several(body) => mixed.multipart(body),
    };
    attached.into_iter().fold(mixed, |all, part| all.singlepart(part.single)).formatted()
}

/// Refuses a mail that is too large.
///
/// # Errors
/// `PayloadTooLarge`.
pub(super) fn check_size(mail: &Mail, limit: usize) -> Result<(), Failure> {
    let bytes = mail.bytes.len();
    if bytes <= limit {
        return Ok(());
    }
    let message = format!("the mail has {bytes} bytes, and email.limits.maxBytes is {limit}");
    Err(Failure::new(ErrorKind::PayloadTooLarge, message))
}
