//! The fuzz targets of requests and responses.

use std::ops::ControlFlow;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::charset::to_utf8;
use super::decode::{Decoder, Fault};
use super::item::Item;
use super::redirect;
use super::request::{self, Defaults, Prepared};
use super::target;
use super::{Retries, headers};
use crate::delivery::Payload;
use crate::egress::HeaderCase;

/// Codings that bodies are decoded from.
const CODINGS: [&str; 8] =
    ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate", "identity", "deflate, gzip, x"];

/// Bytes that are decoded at most.
const ENOUGH: usize = 256 << 10;

/// Makes a request of a call: one that keeps to its destination and to its headers.
pub(crate) fn call(payload: &Payload) {
    let defaults = Defaults {
        user_agent: HeaderValue::from_static("fuzz"),
        retries: Retries::default(),
        header_case: HeaderCase::AsGiven,
    };
    let Ok(item) = Item::parse(&payload.text) else { return };
    let Ok(request) = request::prepare(&item, payload, &defaults) else { return };
    check(&request);
    let lane = target::origin(payload);
    assert_eq!(lane.as_deref(), Some(&*target::origin_of(&request.url)), "the lane is another one");
}

/// Reads a URL. The short way to its origin is the long one, it is read again as itself, and
/// redirects to it are requests as well.
pub(crate) fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parsed = target::parse(&text);
    if let Ok(url) = &parsed {
        check_url(url);
        let plain = target::plain_origin(&text);
        assert!(plain.is_none_or(|plain| plain == target::origin_of(url)), "{text:?}");
        assert_eq!(target::parse(url.as_str()).as_ref().ok(), Some(url), "{text:?}");
    }
    let Ok(base) = Url::parse("https://example.com/a/b?c") else { return };
    let Ok(location) = HeaderValue::from_bytes(bytes) else { return };
    let request = Prepared {
        method: Method::POST,
        url: base,
        headers: HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("0"))]),
        names: headers::names(None),
        body: None,
        timeout: None,
        max_redirects: None,
        retry: None,
        warnings: Vec::new(),
    };
    if let Ok(Some(next)) = redirect::next(&request, StatusCode::FOUND, Some(&location), &[]) {
        check(&next);
    }
}

/// Decodes a body, whose first byte chooses its coding and whose second byte the size of its pieces.
/// The result is the same for pieces of any size.
pub(crate) fn body(bytes: &[u8]) {
    let [coding, size, body @ ..] = bytes else { return };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let (whole, end) = decoded(coding, body, body.len().max(1));
    for size in [1 + usize::from(*size), 1] {
        let (found, found_end) = decoded(coding, body, size);
        if end.is_ok() && found_end.is_ok() {
            assert_eq!(found, whole, "{coding} in pieces of {size}");
        }
        // What a fault leaves depends on where the pieces end.
        let shared = found.len().min(whole.len());
        assert_eq!(found[..shared], whole[..shared], "{coding} in pieces of {size}");
        // Of two codings that are damaged, the pieces decide which one is found first.
        let same = found_end == end || (coding.contains(',') && found_end.is_err() && end.is_err());
        let cut = found.len().max(whole.len()) == ENOUGH;
        assert!(same || cut, "{coding} in pieces of {size}: {found_end:?}, not {end:?}");
    }
}

/// Converts a body, whose first line is its content type, to UTF-8.
pub(crate) fn charset(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (kind, body) = bytes.split_at(end);
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_bytes(kind) {
        headers.insert(http::header::CONTENT_TYPE, kind);
    }
    for complete in [true, false] {
        let text = to_utf8(body.to_vec(), &headers, complete);
        assert!(text.len() <= 3 * body.len() + 3, "{} bytes become {}", body.len(), text.len());
    }
}

/// Returns what is decoded, how it ended, and up to which limit.
fn decoded(coding: &str, body: &[u8], size: usize) -> (Vec<u8>, Result<(), Fault>) {
    let value = HeaderValue::from_str(coding).into_iter();
    let mut decoder = Decoder::of(&value.map(|value| (CONTENT_ENCODING, value)).collect());
    let mut all = Vec::new();
    for piece in body.chunks(size) {
        let mut sink = |bytes: &[u8]| {
            all.extend_from_slice(bytes);
            if all.len() < ENOUGH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        match decoder.push(piece, &mut sink) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => {
                all.truncate(ENOUGH);
                return (all, Ok(()));
            }
            Err(fault) => return (all, Err(fault)),
        }
    }
    (all, decoder.finish())
}

fn check(request: &Prepared) {
    check_url(&request.url);
    assert!(request.url.username().is_empty() && request.url.password().is_none());
    assert_ne!(request.method, Method::CONNECT);
    for name in [HOST, TRANSFER_ENCODING] {
        assert!(!request.headers.contains_key(&name), "{name} is of the connection");
    }
    let breaks = |value: &HeaderValue| value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte));
    assert!(!request.headers.values().any(breaks), "a header breaks its line");
}

fn check_url(url: &Url) {
    assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
    assert!(url.fragment().is_none() && url.as_str().is_ascii(), "{url}");
    assert!(url.as_str().len() <= target::MAX_URL_BYTES);
}
