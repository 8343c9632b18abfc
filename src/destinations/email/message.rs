//! The MIME text of a mail.

use std::time::SystemTime;

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MessageBuilder, MultiPart, SinglePart};
use uuid::Uuid;

use super::item::{File, Item, invalid};
use super::recipients::People;
use crate::destinations::Failure;
use crate::error::ErrorKind;

/// A mail, ready to be sent.
#[derive(Debug)]
pub(super) struct Mail {
    pub envelope: Envelope,
    pub message_id: String,
    pub bytes: Vec<u8>,
    /// The attachments' content types, in their order.
    pub content_types: Vec<String>,
}

/// Makes the mail of a delivery: the same id and date whenever it is made again.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn build(
    item: &Item,
    people: &People,
    id: Uuid,
    date: SystemTime,
) -> Result<Mail, Failure> {
    let message_id = format!("<{id}@{}>", people.from.email.domain());
    let unusable =
        |error: &dyn std::fmt::Display| invalid("the mail", format!("cannot be made: {error}"));
    let envelope = Envelope::new(Some(people.from.email.clone()), people.envelope())
        .map_err(|error| unusable(&error))?;
    let mut builder = Message::builder()
        .message_id(Some(message_id.clone()))
        .date(date)
        .from(people.from.clone())
        .subject(item.subject.clone())
        .envelope(envelope.clone());
    builder = each(builder, &people.to, MessageBuilder::to);
    builder = each(builder, &people.cc, MessageBuilder::cc);
    builder = each(builder, &people.reply_to, MessageBuilder::reply_to);
    let (parts, content_types) = parts(item)?;
    let built = match parts {
        Parts::One(part) => builder.singlepart(part),
        Parts::Several(parts) => builder.multipart(parts),
    };
    let mut message = built.map_err(|error| unusable(&error))?;
    for (name, value) in &item.headers {
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| invalid(&format!("headers.{name}"), "is not the name of a header"))?;
        message.headers_mut().insert_raw(HeaderValue::new(name, value.clone()));
    }
    Ok(Mail { envelope, message_id, bytes: message.formatted(), content_types })
}

fn each(
    builder: MessageBuilder,
    people: &[Mailbox],
    add: impl Fn(MessageBuilder, Mailbox) -> MessageBuilder,
) -> MessageBuilder {
    people.iter().cloned().fold(builder, add)
}

enum Parts {
    One(SinglePart),
    Several(MultiPart),
}

/// The text, the html with the images that it shows, and the other files, as few levels deep as
/// can be.
fn parts(item: &Item) -> Result<(Parts, Vec<String>), Failure> {
    let mut inline = Vec::new();
    let mut attached = Vec::new();
    let mut content_types = Vec::new();
    for (at, file) in item.attachments.iter().enumerate() {
        let (part, content_type) = attachment(at, file, item.html.is_some())?;
        content_types.push(content_type);
        let shown = file.cid.is_some() && item.html.is_some();
        if shown { inline.push(part) } else { attached.push(part) }
    }
    let html = item.html.as_deref().map(|html| {
        let html = SinglePart::html(lines(html));
        if inline.is_empty() {
            return Parts::One(html);
        }
        let related = MultiPart::related().singlepart(html);
        Parts::Several(inline.into_iter().fold(related, MultiPart::singlepart))
    });
    let text = item.text.as_deref().map(|text| SinglePart::plain(lines(text)));
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
        (None, None) => Parts::One(SinglePart::plain(String::new())),
    };
    if attached.is_empty() {
        return Ok((body, content_types));
    }
    let mixed = MultiPart::mixed().build();
    let mixed = match body {
        Parts::One(body) => mixed.singlepart(body),
        Parts::Several(body) => mixed.multipart(body),
    };
    Ok((Parts::Several(attached.into_iter().fold(mixed, MultiPart::singlepart)), content_types))
}

fn attachment(at: usize, file: &File, html: bool) -> Result<(SinglePart, String), Failure> {
    let name =
        if file.name.is_empty() { format!("attachment-{}", at + 1) } else { file.name.clone() };
    let content_type = match &file.content_type {
        Some(given) => given.clone(),
        None => mime_guess::from_path(&name).first_or_octet_stream().to_string(),
    };
    let path = |member: &str| format!("attachments.{at}.{member}");
    let parsed = ContentType::parse(&content_type)
        .map_err(|_| invalid(&path("contentType"), "is not a content type"))?;
    let attachment = match &file.cid {
        Some(cid) if html => {
            let cid = cid.trim_start_matches('<').trim_end_matches('>');
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
            if cid.is_empty() || !cid.chars().all(plain) {
                return Err(invalid(&path("cid"), "is not a content id: letters, digits and dots"));
            }
            Attachment::new_inline_with_name(cid.to_owned(), name)
        }
        _ => Attachment::new(name),
    };
    // Base64 whatever it is: nothing on the way may take bytes for line ends.
    let content = Body::new_with_encoding(file.content.clone(), ContentTransferEncoding::Base64);
    let content = content.map_err(|_| invalid(&path("content"), "cannot be encoded"))?;
    Ok((attachment.body(content, parsed), content_type))
}

/// The text with every line end as mail has it, a bare `\r` among them.
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
