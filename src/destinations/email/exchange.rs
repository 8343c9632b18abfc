//! What the log keeps of a mail and of what became of it.

use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::response::Response;
use serde::Serialize;

use super::config::Config;
use super::item::Item;
use super::message::Mail;
use super::recipients::People;
use super::server::Server;
use crate::observability::log::{RequestLog, ResponseLog};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
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
    attachments: Vec<Attachment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment<'a> {
    filename: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    bytes: usize,
}

/// A mail as it was sent.
pub(super) fn sent(item: &Item, people: &People, mail: &Mail, config: &Config) -> RequestLog {
    let names = |people: &[Mailbox]| people.iter().map(ToString::to_string).collect();
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

/// A call that was not sent.
pub(super) fn recorded(item: &Item, limit: usize) -> RequestLog {
    RequestLog::new(&request(item, limit), None)
}

fn request(item: &Item, limit: usize) -> Request<'_> {
    let cut = |text: &'_ Option<String>| text.as_ref().is_some_and(|text| text.len() > limit);
    let attachments = item.attachments.iter().map(|file| Attachment {
        filename: &file.name,
        content_type: file.content_type.as_deref(),
        bytes: file.content.len(),
    });
    Request {
        message_id: None,
        from: item.from.clone(),
        to: item.to.clone(),
        cc: item.cc.clone(),
        bcc: item.bcc.clone(),
        reply_to: item.reply_to.clone(),
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

fn beginning(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// What the server answered.
pub(super) fn answered(server: &Server, response: &Response, took: Duration) -> ResponseLog {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        code: u16,
        message: String,
        server: &'a str,
        duration_ms: f64,
    }
    let message = response.message().collect::<Vec<_>>().join("\n");
    let answer = Answer {
        code: response.code().into(),
        message,
        server: &server.host,
        duration_ms: millis(took),
    };
    ResponseLog::new(&answer, None)
}

/// Where the mail was written.
pub(super) fn written(file: &Path, took: Duration) -> ResponseLog {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        file: String,
        duration_ms: f64,
    }
    let written = Written { file: file.display().to_string(), duration_ms: millis(took) };
    ResponseLog::new(&written, None)
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}
