//! Requests and responses as the log keeps them: redacted and capped before they arrive here.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::json;
use crate::delivery::Payload;

/// A body as the log keeps it: the first bytes, and how many there were.
#[derive(Debug, Clone, Default)]
pub struct LoggedBody {
    bytes: Bytes,
    total: u64,
    complete: bool,
}

impl LoggedBody {
    /// Keeps at most `limit` bytes of a whole body. A body over the limit is copied, so that the
    /// log does not hold on to the rest of it.
    #[must_use]
    pub fn capped(body: &Bytes, limit: usize) -> Self {
        let total = body.len() as u64;
        if body.len() <= limit {
            return Self { bytes: body.clone(), total, complete: true };
        }
        Self { bytes: Bytes::copy_from_slice(&body[..limit]), total, complete: false }
    }

    /// Creates a body from the `bytes` kept of the `total` bytes received; `complete` if that was
    /// all of it.
    #[must_use]
    pub const fn partial(bytes: Bytes, total: u64, complete: bool) -> Self {
        Self { bytes, total, complete }
    }

    /// Returns the number of bytes kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes kept.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the number of bytes received.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns `true` if all bytes were kept.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }
}

/// One side of an exchange: a JSON object of what is known about it, and its body.
#[derive(Debug, Clone)]
pub struct Logged {
    head: Arc<str>,
    /// The line that this describes, from 1, if `head` is shared by many; 0 if it is not shared.
    line: u32,
    body: Option<Box<LoggedBody>>,
}

/// The request as it was sent.
pub type RequestLog = Logged;
/// The response as it was received.
pub type ResponseLog = Logged;

/// The members that a body adds to the object that describes its message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyMembers<'a> {
    body: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<&'static str>,
    body_bytes: u64,
    truncated: bool,
}

impl Logged {
    /// An exchange's side from a serialisable head (a JSON object) and a body.
    pub fn new(head: &impl Serialize, body: Option<LoggedBody>) -> Self {
        Self { head: to_json(head), line: 0, body: body.map(Box::new) }
    }

    /// Restores a stored side from the text of its head, a JSON object, and its body.
    /// `None`: the head is not an object.
    #[must_use]
    pub fn restored(head: &str, body: Option<LoggedBody>) -> Option<Self> {
        let is_json = |text| serde_json::from_str::<&RawValue>(text).is_ok();
        let is_object = head.starts_with('{') && head.ends_with('}') && is_json(head);
        is_object.then(|| Self { head: head.into(), line: 0, body: body.map(Box::new) })
    }

    /// A side that many deliveries have in common, but for the line that each of them is, from 1:
    /// it becomes the member `line`. `head` is a JSON object.
    #[must_use]
    pub const fn shared(head: Arc<str>, line: u32) -> Self {
        Self { head, line, body: None }
    }

    /// The JSON object that describes it.
    #[must_use]
    pub fn head(&self) -> Cow<'_, str> {
        if self.line == 0 {
            return Cow::Borrowed(&self.head);
        }
        let comma = if &*self.head == "{}" { "" } else { "," };
        let open = self.head.strip_suffix('}').unwrap_or("{");
        Cow::Owned(format!("{open}{comma}\"line\":{}}}", self.line))
    }

    /// Its body, if it has one.
    #[must_use]
    pub const fn body(&self) -> Option<&LoggedBody> {
        match &self.body {
            Some(body) => Some(body),
            None => None,
        }
    }

    /// A call shown as it was recorded: the JSON text itself up to `limit` bytes; past it, a body
    /// that holds the beginning of the text.
    #[must_use]
    pub fn recorded(payload: &Payload, limit: usize) -> Self {
        match std::str::from_utf8(&payload.text) {
            Ok(text) if text.len() <= limit && text.starts_with('{') => {
                Self { head: text.into(), line: 0, body: None }
            }
            _ => {
                let body = LoggedBody::capped(&payload.text, limit);
                Self { head: "{}".into(), line: 0, body: Some(Box::new(body)) }
            }
        }
    }

    /// Bytes that this side holds in memory, for the log's limit.
    #[must_use]
    pub fn size(&self) -> usize {
        let head = if self.line == 0 { self.head.len() } else { 0 };
        head + self.body().map_or(0, LoggedBody::kept)
    }

    /// Drops the body's bytes, keeping its length: what is left when the log is full.
    pub fn strip(&mut self) {
        if let Some(body) = &mut self.body {
            body.bytes = Bytes::new();
            body.complete = body.total == 0;
        }
    }

    /// Removes the body: only the head is shown.
    pub fn leave_out_body(&mut self) {
        self.body = None;
    }

    /// Writes the JSON object: the head's members and those of the body.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let head = self.head();
        let Some(body) = &self.body else { return out.extend_from_slice(head.as_bytes()) };
        let (text, body_encoding) = text_of(&body.bytes, body.complete);
        let members = BodyMembers {
            body: text,
            body_encoding,
            body_bytes: body.total,
            truncated: !body.complete,
        };
        if head == "{}" {
            return json::write(out, &members);
        }
        out.extend_from_slice(head.as_bytes());
        json::reopen(out);
        json::write_more(out, &members);
    }
}

thread_local! {
    /// A scratch buffer, so that a kept text is allocated once and at its size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn to_json(value: &impl Serialize) -> Arc<str> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.shrink_to(MAX_SCRATCH_BYTES);
        let written = serde_json::to_writer(&mut *scratch, value);
        match (written, std::str::from_utf8(scratch)) {
            (Ok(()), Ok(text)) => text.into(),
            _ => "{}".into(),
        }
    })
}

/// The capacity that the scratch buffer keeps for the next text.
const MAX_SCRATCH_BYTES: usize = 64 << 10;

/// UTF-8 as it is, anything else as base64, with the name of the encoding. A text that was cut
/// inside a character goes without the beginning of it.
fn text_of(bytes: &[u8], complete: bool) -> (Cow<'_, str>, Option<&'static str>) {
    use base64::Engine as _;
    let end = match std::str::from_utf8(bytes) {
        Err(error) if !complete && error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    std::str::from_utf8(&bytes[..end]).map_or_else(
        |_| (base64::engine::general_purpose::STANDARD.encode(bytes).into(), Some("base64")),
        |text| (text.into(), None),
    )
}
