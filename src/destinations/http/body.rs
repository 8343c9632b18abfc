//! `data`: the bytes of the request and the content type that goes with them.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::de::IgnoredAny;

use super::form;
use super::headers::{Headers, value};
use super::json::decode;
use crate::delivery::{Body, Failure, Payload};

/// The content type of URL-encoded forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const MULTIPART: &str = "multipart/form-data";

/// Encodes the body, and sets the content type as far as the body decides it. `None` is a request
/// without a body.
///
/// # Errors
/// `InvalidArgument` and `PayloadTooLarge` for an object that makes no form, `InvalidHeader` for a
/// content type of JavaScript's that is none.
pub(super) fn encode(
    payload: &Payload,
    data: Option<&str>,
    headers: &mut Headers,
) -> Result<Option<Bytes>, Failure> {
    if let Some(body) = &payload.body {
        return binary(body, headers);
    }
    let Some(data) = data else { return Ok(None) };
    match data.as_bytes().first() {
        Some(b'"') => Ok(string(payload, data, headers)),
        Some(b'{' | b'[') => object(payload, data, headers),
        // A number, boolean or null is what an object's own toJSON() made of it.
        _ => Ok(Some(json(payload, data, headers))),
    }
}

/// Bytes are sent as they are. A content type that carries a boundary belongs to the bytes and
/// wins over the user's; any other is a default.
fn binary(body: &Body, headers: &mut Headers) -> Result<Option<Bytes>, Failure> {
    if let Some(content_type) = &body.content_type {
        let content_type = value(&CONTENT_TYPE, content_type)?;
        if content_type.as_bytes().starts_with(MULTIPART.as_bytes()) {
            headers.require_content_type(content_type);
        } else {
            headers.default_content_type(content_type);
        }
    }
    let no_form = body.bytes.is_empty()
        && body.content_type.as_ref().is_some_and(|content_type| content_type.starts_with(FORM));
    Ok((!no_form).then(|| body.bytes.clone()))
}

/// Returns the body of a string. It is sent as given, unless its content type promises JSON: then a string that is
/// JSON is trimmed, and one that is not becomes a JSON string. The empty string is no body.
fn string(payload: &Payload, data: &str, headers: &Headers) -> Option<Bytes> {
    let text = decode(data).unwrap_or_default();
    if headers.content_type_mentions(JSON) {
        if serde_json::from_str::<IgnoredAny>(&text).is_err() {
            return Some(slice(payload, data));
        }
        // Only JSON's own white space can surround valid JSON.
        return Some(bytes(
            payload,
            match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
            },
        ));
    }
    (!text.is_empty()).then(|| bytes(payload, text))
}

fn object(payload: &Payload, data: &str, headers: &mut Headers) -> Result<Option<Bytes>, Failure> {
    if headers.content_type_mentions(FORM) {
        let form = form::urlencoded(data)?;
        return Ok((!form.is_empty()).then(|| form.into()));
    }
    if headers.content_type_mentions(MULTIPART) {
        let (form, content_type) = form::multipart(data)?;
        headers.require_content_type(content_type);
        return Ok(Some(form.into()));
    }
    Ok(Some(json(payload, data, headers)))
}

/// Returns the text that JavaScript wrote, byte for byte.
fn json(payload: &Payload, data: &str, headers: &mut Headers) -> Bytes {
    headers.default_content_type(HeaderValue::from_static(JSON));
    slice(payload, data)
}

fn bytes(payload: &Payload, text: Cow<'_, str>) -> Bytes {
    match text {
        Cow::Borrowed(text) => slice(payload, text),
        Cow::Owned(text) => text.into(),
    }
}

/// Shares the payload's memory instead of copying.
fn slice(payload: &Payload, part: &str) -> Bytes {
    payload.text.slice_ref(part.as_bytes())
}
