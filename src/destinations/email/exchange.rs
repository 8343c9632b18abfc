//! Log entries of mails and their responses.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::address::Mailbox;
use super::config::Config;
use super::item::{Item, RawItem};
use super::message::Mail;
use super::recipients::People;
use super::server::SmtpServer;
use super::smtp::Reply;
use crate::execution::{RequestLog, ResponseLog};
use crate::time::millis;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedMail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to: Vec<String>,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_bytes: Option<usize>,
    truncated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<LoggedAttachment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedAttachment<'a> {
    filename: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    bytes: usize,
}

/// Returns the log entry of a mail in its sent form.
pub(super) fn sent(item: &Item, people: &People, mail: &Mail, config: &Config) -> RequestLog {
    let mut request = request(item, config.log_body_bytes);
    request.message_id = Some(&mail.message_id);
    request.from = Some(people.from.to_string());
    request.to = names(&people.to);
    request.cc = names(&people.cc);
    request.bcc = names(&people.bcc);
    request.reply_to = names(&people.reply_to);
    request.bytes = Some(mail.bytes.len());
    for (attachment, content_type) in request.attachments.iter_mut().zip(&mail.content_types) {
        attachment.content_type = Some(content_type);
    }
    RequestLog::new(&request, None)
}

/// Returns the log entry of a call that was not sent.
pub(super) fn recorded(item: &Item, limit: usize) -> RequestLog {
    RequestLog::new(&request(item, limit), None)
}

fn request(item: &Item, limit: usize) -> LoggedMail<'_> {
    let cut = |text: &'_ Option<String>| text.as_ref().is_some_and(|text| text.len() > limit);
    let attachments = item.attachments.iter().map(|file| LoggedAttachment {
        filename: &file.name,
        content_type: file.content_type.as_deref(),
        bytes: file.content.len(),
    });
    LoggedMail {
        message_id: None,
        from: item.from.as_ref().map(ToString::to_string),
        to: given(&item.to),
        cc: given(&item.cc),
        bcc: given(&item.bcc),
        reply_to: given(&item.reply_to),
        subject: &item.subject,
        text: item.text.as_deref().map(|text| beginning(text, limit)),
        text_bytes: item.text.as_ref().map(String::len),
        html: item.html.as_deref().map(|html| beginning(html, limit)),
        html_bytes: item.html.as_ref().map(String::len),
        truncated: cut(&item.text) || cut(&item.html),
        attachments: attachments.collect(),
        bytes: None,
    }
}

fn given(given: &RawItem) -> Vec<String> {
    names(&given.mailboxes)
}

fn names(mailboxes: &[Mailbox]) -> Vec<String> {
    mailboxes.iter().map(ToString::to_string).collect()
}

fn beginning(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// Returns the log entry of the server's reply.
pub(super) fn answered(server: &SmtpServer, reply: &Reply, took: Duration) -> ResponseLog {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        code: u16,
        message: String,
        server: &'a str,
        duration_ms: f64,
    }
    let message = reply.lines.join("\n");
    let answer =
        Answer { code: reply.code, message, server: &server.host, duration_ms: millis(took) };
    ResponseLog::new(&answer, None)
}

/// Returns the log entry of a mail written to a file.
pub(super) fn written(file: &Path, took: Duration) -> ResponseLog {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        transport: &'static str,
        file: String,
        duration_ms: f64,
    }
    let (file, duration_ms) = (file.display().to_string(), millis(took));
    let written = Written { transport: "file", file, duration_ms };
    ResponseLog::new(&written, None)
}
