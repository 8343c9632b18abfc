//! The Inspector: the page at `/` and its assets, which the build embeds compressed.
//!
//! **Invariant:** the files hold no data of an engine, so that they need no token. All data comes
//! from the REST API, under its rules.

use std::io::Read;

use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;

use super::response::ApiError;

/// An embedded file.
struct File {
    path: &'static str,
    kind: &'static str,
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/inspector.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// Names of assets contain a hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const NOT_BUILT: &str = "The Inspector is not part of this build. Build the addon with \
                         `npm run build` in a checkout of dollar-send.\n";

/// Returns the page.
pub(super) async fn index(request: Request) -> Response {
    match find("/index.html") {
        Some(file) => respond(file, request.headers(), "no-cache"),
        None => (StatusCode::NOT_FOUND, NOT_BUILT).into_response(),
    }
}

/// Returns an asset of the page.
pub(super) async fn asset(request: Request) -> Response {
    match find(request.uri().path()) {
        Some(file) => respond(file, request.headers(), IMMUTABLE),
        None => ApiError::not_found("the Inspector has no such file").into_response(),
    }
}

fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

fn respond(file: &File, asked: &HeaderMap, cache: &'static str) -> Response {
    let fixed = HeaderValue::from_static;
    let mut response = if accepts_gzip(asked) {
        let mut response = file.gzip.into_response();
        response.headers_mut().insert(CONTENT_ENCODING, fixed("gzip"));
        response
    } else {
        match unpacked(file.gzip) {
            Ok(bytes) => bytes.into_response(),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    for (name, value) in [
        (CONTENT_TYPE, fixed(file.kind)),
        (CACHE_CONTROL, fixed(cache)),
        (VARY, fixed("accept-encoding")),
        (CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (REFERRER_POLICY, fixed("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin")),
    ] {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Returns whether `Accept-Encoding` has gzip with a weight above zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn unpacked(gzip: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[test]
    fn gzip_is_sent_to_those_that_accept_it() {
        for (encoding, expected) in [
            ("gzip, deflate, br", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&asking(encoding)), expected, "{encoding}");
        }
    }

    #[test]
    fn a_file_is_the_same_with_and_without_compression() {
        for file in FILES {
            let content = unpacked(file.gzip).unwrap();
            assert!(!content.is_empty(), "{}", file.path);
            let plain = respond(file, &asking("identity"), IMMUTABLE);
            assert!(!plain.headers().contains_key(CONTENT_ENCODING));
            let packed = respond(file, &asking("gzip"), IMMUTABLE);
            assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
            assert_eq!(packed.headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
    }
}
