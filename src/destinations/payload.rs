//! What one recorded call carries to its destination: the snapshot that JavaScript made.

use bytes::Bytes;

/// The argument of one `$send` call, as JavaScript handed it over.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// What `JSON.stringify` made of the whole argument: valid UTF-8, in which a lone surrogate is
    /// an escape such as `\ud800`.
    pub text: Bytes,
    /// What JavaScript took out of `data` because JSON cannot hold it.
    pub body: Option<Box<Body>>,
}

/// A binary or already encoded request body: a `Buffer`, `URLSearchParams`, `FormData` or `Blob`.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The bytes, sent as they are.
    pub bytes: Bytes,
    /// The content type that belongs to them; absent for plain bytes (`Buffer`, `Uint8Array`).
    pub content_type: Option<Box<str>>,
    /// What the request is signed with (`whsec_…`), as Standard Webhooks has it. JavaScript cannot
    /// set it.
    pub secret: Option<Box<str>>,
}

impl Payload {
    /// A payload that is text only.
    pub fn from_text(text: impl Into<Bytes>) -> Self {
        Self { text: text.into(), body: None }
    }

    /// Bytes of the text and of the body.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.body.as_ref().map_or(0, |body| body.bytes.len())
    }

    /// Whether there is nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
