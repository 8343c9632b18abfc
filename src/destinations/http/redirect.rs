//! The request that follows a redirect: pure. The caller checks whether the hop is allowed, and
//! counts hops.

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::request::Prepared;
use super::target;
use crate::delivery::Failure;
use crate::error::ErrorKind;
use crate::redact::is_secret_header;

/// Returns the request that follows a response, or `None` when the response is the final one: its
/// status is not 301, 302, 303, 307 or 308, or it has no location.
///
/// 303 makes every method but HEAD a GET, 301 and 302 make a POST one; the body and the headers
/// about it go. Headers that the log would not show go when scheme, host or port change:
/// `Authorization`, `Cookie`, and those whose names look like secrets or are in `secret`. User-info
/// in the location is not used.
///
/// # Errors
/// `InvalidUrl` for a location that does not parse, or is neither http nor https.
pub(super) fn next(
    request: &Prepared,
    status: StatusCode,
    location: Option<&HeaderValue>,
    secret: &[String],
) -> Result<Option<Prepared>, Failure> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = location.filter(|location| !location.is_empty()) else { return Ok(None) };
    let url = resolve(&request.url, &text(location))?;
    let mut headers = request.headers.clone();
    if !target::same_origin(&request.url, &url) {
        drop_secrets(&mut headers, secret);
    }
    let mut following = Prepared {
        method: request.method.clone(),
        url,
        headers,
        names: request.names.clone(),
        body: request.body.clone(),
        timeout: request.timeout,
        max_redirects: request.max_redirects,
        retry: None,
        warnings: Vec::new(),
    };
    if becomes_get(status, &request.method) {
        following.method = Method::GET;
        following.body = None;
        drop_content(&mut following.headers);
    }
    Ok(Some(following))
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

fn resolve(base: &Url, location: &str) -> Result<Url, Failure> {
    // Nothing of the location is shown: it may hold a token, and if it does not parse, the token
    // cannot be located.
    let invalid = |reason: &dyn std::fmt::Display| {
        Failure::new(ErrorKind::InvalidUrl, format!("the redirect's location is invalid: {reason}"))
    };
    let mut url = base.join(location).map_err(|error| invalid(&error))?;
    target::finish(&mut url).map_err(|failure| invalid(&failure))?;
    target::take_user_info(&mut url);
    Ok(url)
}

/// Returns the location as text. Servers write UTF-8 where the standard requires ASCII; bytes that
/// are not UTF-8 are read as ISO 8859-1.
fn text(location: &HeaderValue) -> String {
    let bytes = location.as_bytes();
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

fn drop_secrets(headers: &mut HeaderMap, extra: &[String]) {
    drop_if(headers, |name| is_secret_header(name, extra));
}

fn drop_content(headers: &mut HeaderMap) {
    drop_if(headers, |name| name.as_str().starts_with("content-"));
}

fn drop_if(headers: &mut HeaderMap, condition: impl Fn(&HeaderName) -> bool) {
    let names: Vec<_> = headers.keys().filter(|name| condition(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Payload;
    use crate::destinations::http::request::Defaults;
    use crate::destinations::http::tests::prepare;

    const SENT: &str = r#"{"url":"http://a.example:81/x/y?q=1","data":{"a":1},
        "headers":{"Cookie":"c=1","X-Key":"k","X-Api-Key":"k","My-Token":"t","Client-Secret":"s",
        "X-Hub-Signature-256":"s","X-Own":"o","Idempotency-Key":"i","Content-Language":"en","Referer":"r"},
        "auth":{"username":"u","password":"p"},"timeout":7,"method":"#;

    fn request(method: &str) -> Prepared {
        let payload = Payload::from_text(format!("{SENT}{method:?}}}"));
        let defaults = Defaults {
            user_agent: HeaderValue::from_static("test"),
            retries: crate::destinations::http::Retries::default(),
            header_case: crate::egress::HeaderCase::Lower,
        };
        prepare(&payload, &defaults).unwrap()
    }

    fn follow(method: &str, status: u16, location: &str) -> Result<Option<Prepared>, Failure> {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        next(
            &request(method),
            StatusCode::from_u16(status).unwrap(),
            Some(&location),
            &["x-OWN".to_owned()],
        )
    }

    #[test]
    fn method_and_body_follow_the_status() {
        for (method, status, expected) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
            ("PUT", 301, "PUT"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("DELETE", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("GET", 302, "GET"),
        ] {
            let next = follow(method, status, "/z").unwrap().unwrap();
            assert_eq!(next.method.as_str(), expected, "{method} {status}");
            let kept = method == expected;
            assert_eq!(next.body.is_some(), kept, "{method} {status}");
            for name in ["content-type", "content-length", "content-language"] {
                assert_eq!(next.headers.contains_key(name), kept, "{method} {status} {name}");
            }
            assert_eq!(next.headers["referer"], "r");
        }
    }

    #[test]
    fn other_responses_are_final() {
        for status in [200, 204, 300, 304, 305, 306, 399, 400] {
            assert!(follow("GET", status, "/z").unwrap().is_none(), "{status}");
        }
        assert!(follow("GET", 302, "").unwrap().is_none());
        assert!(next(&request("GET"), StatusCode::FOUND, None, &[]).unwrap().is_none());
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for (location, kept) in [
            ("/z", true),
            ("?w", true),
            ("HTTP://A.example:81/z", true),
            ("http://a.example/z", false),
            ("https://a.example:81/z", false),
            ("//b.example:81/z", false),
            ("http://sub.a.example:81/", false),
        ] {
            let next = follow("POST", 307, location).unwrap().unwrap();
            for name in [
                "authorization",
                "cookie",
                "x-api-key",
                "my-token",
                "client-secret",
                "x-hub-signature-256",
                "x-own",
            ] {
                assert_eq!(next.headers.contains_key(name), kept, "{location} {name}");
            }
            assert_eq!(next.headers["x-key"], "k");
            assert_eq!(next.headers["idempotency-key"], "i");
            assert_eq!(next.timeout, Some(std::time::Duration::from_millis(7)));
        }
    }

    #[test]
    fn locations_are_resolved_and_cleaned() {
        for (location, expected) in [
            ("z", "http://a.example:81/x/z"),
            ("../z?w=2#f", "http://a.example:81/z?w=2"),
            ("?", "http://a.example:81/x/y"),
            ("http://u:p@b.example/", "http://b.example/"),
            ("/caf\u{e9}", "http://a.example:81/caf%C3%A9"),
        ] {
            let next = follow("GET", 302, location).unwrap().unwrap();
            assert_eq!(next.url.as_str(), expected);
        }
        let latin1 = HeaderValue::from_bytes(b"/caf\xe9").unwrap();
        let next = next(&request("GET"), StatusCode::FOUND, Some(&latin1), &[]).unwrap().unwrap();
        assert_eq!(next.url.as_str(), "http://a.example:81/caf%C3%A9");
    }

    #[test]
    fn an_invalid_location_fails_without_being_shown() {
        for location in
            ["http://", "http://secret:x/", "file:///secret", "javascript:secret", "ws://secret/"]
        {
            let failure = follow("GET", 302, location).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidUrl);
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
    }
}
