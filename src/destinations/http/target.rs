//! The target of a request: its URL, checked, and its lane.

use std::borrow::Cow;
use std::cell::RefCell;

use url::{Position, Url};

use super::json;
use crate::delivery::{Failure, Payload};
use crate::error::ErrorKind;

/// The longest URL that the HTTP client can send, in bytes.
pub(super) const MAX_URL_BYTES: usize = 65_534;

/// The number of characters that are quoted of a URL that does not parse.
const QUOTED_CHARACTERS: usize = 100;

/// A user name and password, decoded.
pub(super) type UserInfo = (String, String);

/// Returns the key of the lane that a delivery belongs to: `scheme://host:port` of its URL, with
/// the port left out when it is the scheme's own. `None` when the URL does not parse.
#[must_use]
pub(super) fn origin(payload: &Payload) -> Option<String> {
    let text = std::str::from_utf8(&payload.text).ok()?;
    let url = json::decode(json::field(text, "url")?)?;
    let known = || LAST_PARSED.with_borrow(|last| last.as_ref()?.origin_of(&url));
    known().or_else(|| plain_origin(&url)).or_else(|| parse(&url).ok().map(|url| origin_of(&url)))
}

/// Returns the origin of a URL that is already in its normal form, without parsing the whole of it.
/// Whatever might be normalised (case, numeric hosts, user-info, odd ports, IDNA) is left to the
/// parser.
pub(super) fn plain_origin(url: &str) -> Option<String> {
    let (scheme, rest, own_port) = match url.split_once("://")? {
        ("http", rest) => ("http", rest, "80"),
        ("https", rest) => ("https", rest, "443"),
        _ => return None,
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let letters =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let last_label = host.rsplit('.').next()?;
    let plain = host.bytes().all(letters)
        && last_label.starts_with(|c: char| c.is_ascii_lowercase())
        && !host.contains("..")
        && !host.contains("--")
        && !host.starts_with('.');
    let port_is_plain = port.is_none_or(|port| {
        (1..=4).contains(&port.len())
            && !port.starts_with('0')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port != own_port
    });
    (plain && port_is_plain).then(|| format!("{scheme}://{authority}"))
}

/// Returns the origin. The parser has removed the default port.
pub(super) fn origin_of(url: &Url) -> String {
    format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort])
}

/// Returns whether two URLs share scheme, host and port.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Parses an absolute `http` or `https` URL. The fragment and an empty query are dropped: neither
/// is sent.
///
/// # Errors
/// `InvalidUrl`; the message shows neither user-info nor query.
pub(super) fn parse(text: &str) -> Result<Url, Failure> {
    LAST_PARSED.with_borrow_mut(|last| match last {
        Some(known) if *known.text == *text => Ok(known.url.clone()),
        _ => {
            let url = parsed(text)?;
            if text.len() <= REMEMBERED_BYTES {
                *last = Some(Parsed { text: text.into(), url: url.clone() });
            }
            Ok(url)
        }
    })
}

/// A URL as it was given, and what it is.
struct Parsed {
    text: Box<str>,
    url: Url,
}

impl Parsed {
    /// Returns the origin of the URL that is given, if it is this one.
    fn origin_of(&self, text: &str) -> Option<String> {
        (*self.text == *text).then(|| origin_of(&self.url))
    }
}

thread_local! {
    /// The URL that this thread parsed last: a call's is needed for its lane and for its request,
    /// and steps that loop over a list call one URL again and again. Parsing costs more than all
    /// else that preparing a small request takes.
    static LAST_PARSED: RefCell<Option<Parsed>> = const { RefCell::new(None) };
}

/// The longest URL that is remembered.
const REMEMBERED_BYTES: usize = 2048;

fn parsed(text: &str) -> Result<Url, Failure> {
    if lacks_slashes(text) {
        return Err(invalid(text, "the scheme is not followed by \"//\""));
    }
    let mut url = Url::parse(text).map_err(|error| invalid(text, &error.to_string()))?;
    finish(&mut url)?;
    Ok(url)
}

/// Brings a parsed URL to the form in which it is sent, and refuses what cannot be sent.
pub(super) fn finish(url: &mut Url) -> Result<(), Failure> {
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("the scheme of the URL is {}, not http or https", url.scheme());
        return Err(Failure::new(ErrorKind::InvalidUrl, message));
    }
    url.set_fragment(None);
    if url.query() == Some("") {
        url.set_query(None);
    }
    check_length(url)
}

/// Refuses a URL that the HTTP client cannot send.
pub(super) fn check_length(url: &Url) -> Result<(), Failure> {
    if url.as_str().len() > MAX_URL_BYTES { Err(too_long()) } else { Ok(()) }
}

/// Returns the failure of a URL that is too long.
pub(super) fn too_long() -> Failure {
    let message = format!("the URL with its params is longer than {MAX_URL_BYTES} bytes");
    Failure::new(ErrorKind::InvalidUrl, message)
}

/// Removes user name and password from the URL and gives them decoded, if there are any.
pub(super) fn take_user_info(url: &mut Url) -> Option<UserInfo> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let user_info = (decoded(url.username()), decoded(url.password().unwrap_or("")));
    // Only a URL without a host refuses these, and finish() let none pass.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Some(user_info)
}

/// Returns whether a `Host` header equals the URL's host, with or without its default port.
pub(super) fn is_host_of(url: &Url, header: &str) -> bool {
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let own_port = if url.scheme() == "https" { ":443" } else { ":80" };
    header.eq_ignore_ascii_case(authority)
        || (url.port().is_none()
            && header.strip_suffix(own_port).is_some_and(|h| h.eq_ignore_ascii_case(authority)))
}

/// Returns whether a URL lacks its slashes. `http:/x` and `http:x` parse, but not as intended;
/// axios refuses them too.
fn lacks_slashes(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c <= ' ');
    let text: Cow<'_, str> = if text.contains(['\t', '\n', '\r']) {
        text.replace(['\t', '\n', '\r'], "").into()
    } else {
        text.into()
    };
    let after = |scheme: &str| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after("http:").or_else(|| after("https:")).is_some_and(|rest| !rest.starts_with("//"))
}

/// Decodes like `decodeURIComponent`; returns the text itself if that throws.
fn decoded(text: &str) -> String {
    percent_decoded(text).unwrap_or_else(|| text.to_owned())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = tail.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn invalid(text: &str, reason: &str) -> Failure {
    Failure::new(ErrorKind::InvalidUrl, format!("the URL{} is invalid: {reason}", quoted(text)))
}

/// Returns the printable part of a URL. In a URL that does not parse, a password cannot be located,
/// so one with an `@` is not shown at all.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains('@') {
        return String::new();
    }
    let shown = &text[..text.find(['?', '#']).unwrap_or(text.len())];
    let shown: String = shown.chars().take(QUOTED_CHARACTERS).collect();
    format!(" {shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn lane(url: &str) -> Option<String> {
        origin(&Payload::from_text(format!(r#"{{"data":{{"url":1}},"url":{url:?}}}"#)))
    }

    #[test]
    fn the_lane_is_the_origin() {
        for (url, expected) in [
            ("http://example.com", Some("http://example.com")),
            ("https://example.com/a?b#c", Some("https://example.com")),
            ("HTTPS://Example.COM:443/", Some("https://example.com")),
            ("http://example.com:80", Some("http://example.com")),
            ("http://127.0.0.1:8080/x", Some("http://127.0.0.1:8080")),
            ("http://0x7f.1/", Some("http://127.0.0.1")),
            ("http://[::1]:99/", Some("http://[::1]:99")),
            ("http://user:pass@h:81/", Some("http://h:81")),
            ("http://münchen.example/", Some("http://xn--mnchen-3ya.example")),
            ("http://h:080/", Some("http://h")),
            ("http://h?x", Some("http://h")),
            ("http:/h", None),
            ("ftp://h/", None),
            ("http://", None),
            ("http://h:99999/", None),
            ("/relative", None),
        ] {
            assert_eq!(lane(url).as_deref(), expected, "{url}");
        }
        assert_eq!(origin(&Payload::from_text("{}")), None);
        assert_eq!(origin(&Payload { text: Bytes::from_static(b"\xff"), body: None }), None);
    }

    #[test]
    fn the_short_way_to_an_origin_agrees_with_the_parser() {
        let hosts =
            ["a", "a.b", "a-b.c", "a.b.", "1.a", "a.1", "a1", "xn--a", "a..b", ".a", "-a", ""];
        for host in hosts {
            for rest in ["", ":", ":1", ":80", ":443", ":08", "/", "/@", "?@", "#", "\\x", ":1/:2"]
            {
                for scheme in ["http", "https"] {
                    let url = format!("{scheme}://{host}{rest}");
                    if let Some(plain) = plain_origin(&url) {
                        assert_eq!(
                            Some(plain),
                            parse(&url).ok().map(|url| url.origin().ascii_serialization()),
                            "{url}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn messages_show_neither_user_info_nor_query() {
        for url in [
            "http://user:hunter2@h:x/",
            "https://user:hunt#hunter2@h/",
            "h/p?token=hunter2",
            "http:/user:hunter2@h",
            "/x#hunter2",
            "ftp://hunter2@h/?hunter2",
        ] {
            let failure = parse(url).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidUrl);
            assert!(!failure.message.contains("hunter2"), "{}", failure.message);
        }
        let failure = parse("example.com/hook").unwrap_err();
        let expected = r#"the URL "example.com/hook" is invalid: relative URL without a base"#;
        assert_eq!(failure.message, expected);
    }

    #[test]
    fn user_info_is_decoded_and_removed() {
        for (url, user, password) in [
            ("http://a%40b:c%3Ad@h/", "a@b", "c:d"),
            ("http://a%zz:%ff@h/", "a%zz", "%ff"),
            ("http://:p@h/", "", "p"),
            ("http://u@h/", "u", ""),
        ] {
            let mut url = parse(url).unwrap();
            assert_eq!(take_user_info(&mut url), Some((user.to_owned(), password.to_owned())));
            assert_eq!(url.as_str(), "http://h/");
        }
        assert_eq!(take_user_info(&mut parse("http://h/").unwrap()), None);
    }

    #[test]
    fn a_host_header_may_repeat_the_url() {
        for (url, header, expected) in [
            ("http://example.com/", "Example.com", true),
            ("http://example.com/", "example.com:80", true),
            ("http://example.com:81/", "example.com:81", true),
            ("https://example.com/", "example.com:80", false),
            ("http://example.com:81/", "example.com", false),
            ("http://example.com/", "example.com/", false),
            ("http://[::1]/", "[::1]", true),
        ] {
            assert_eq!(is_host_of(&parse(url).unwrap(), header), expected, "{url} {header}");
        }
    }

    #[test]
    fn a_url_too_long_for_the_client_is_refused() {
        assert!(parse(&format!("http://h/{}", "a".repeat(MAX_URL_BYTES - 9))).is_ok());
        assert!(parse(&format!("http://h/{}", "a".repeat(MAX_URL_BYTES - 8))).is_err());
    }
}
