//! The data of one recorded call: the snapshot that JavaScript made.

use bytes::Bytes;

/// The argument of one `$send` call, as JavaScript handed it over.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// The result of `JSON.stringify` for the whole argument: valid UTF-8, in which a lone
    /// surrogate is an escape such as `\ud800`.
    pub text: Bytes,
    /// The part of `data` that JSON cannot represent.
    pub body: Option<Box<Body>>,
}

/// A binary or already encoded request body: a `Buffer`, `URLSearchParams`, `FormData` or `Blob`.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The bytes, sent as they are.
    pub bytes: Bytes,
    /// The content type that belongs to them; absent for plain bytes (`Buffer`, `Uint8Array`).
    pub content_type: Option<Box<str>>,
    /// The secrets that the request is signed with (`whsec_…`), as Standard Webhooks has it: newest
    /// first, separated by spaces. JavaScript cannot set them.
    pub secret: Option<Box<str>>,
    /// The id of the webhook that the request is for. JavaScript cannot set it.
    pub webhook: Option<Box<str>>,
}

/// Bytes of memory that a call takes beside its payload until it is terminal: its record, its entry
/// in the log, and the queue of its host, which it may have to itself.
pub const CALL_BYTES: usize = 768;

impl Payload {
    /// Creates a payload that is text only.
    pub fn from_text(text: impl Into<Bytes>) -> Self {
        Self { text: text.into(), body: None }
    }

    /// Returns the bytes of the text and of the body.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.body.as_ref().map_or(0, |body| body.bytes.len())
    }

    /// Bytes of memory that a call with this payload takes.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.len() + CALL_BYTES
    }

    /// Returns the id of the webhook that the call is for.
    #[must_use]
    pub fn webhook(&self) -> Option<&str> {
        self.body.as_ref()?.webhook.as_deref()
    }

    /// Returns `true` if text and body are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
