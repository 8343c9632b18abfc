//! Redaction for logs and error texts: replaces secrets by [`REDACTED`], by name. Pure.

use std::borrow::Cow;

use http::header::HeaderName;
use url::{Position, Url};

/// The replacement of a secret.
pub const REDACTED: &str = "[redacted]";

/// Secret wherever they stand in a name, once its separators and case are gone.
const SECRET_PARTS: [&str; 10] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "signature",
    "credential",
    "authorization",
    "apikey",
    "accesskey",
];

/// Secret as one word of a name.
const SECRET_WORDS: [&str; 8] = ["cookie", "cookies", "auth", "jwt", "pwd", "pass", "sig", "hmac"];

/// Words that make a `key` beside them a secret: `x-auth-key` is one, `idempotency-key` is not.
const SECRET_KEYS: [&str; 8] =
    ["api", "access", "auth", "private", "subscription", "functions", "account", "master"];

/// Secret as the whole name of a query parameter only: too common elsewhere.
const SECRET_PARAMETERS: [&str; 4] = ["key", "code", "sig", "hmac"];

/// Returns `true` if a header or field of this name holds a secret. Case does not matter.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    !is_common_name(name) && looks_secret(name)
}

/// Headers of nearly every message, none of them a secret: most names need no closer look.
fn is_common_name(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept-encoding"
            | "accept-ranges"
            | "cache-control"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "content-type"
            | "date"
            | "etag"
            | "expires"
            | "host"
            | "keep-alive"
            | "last-modified"
            | "location"
            | "server"
            | "transfer-encoding"
            | "user-agent"
            | "vary"
            | "via"
    )
}

fn looks_secret(name: &str) -> bool {
    let squeezed: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if SECRET_PARTS.iter().any(|part| squeezed.contains(part)) {
        return true;
    }
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(&SECRET_WORDS) || (has(&["key"]) && has(&SECRET_KEYS))
}

/// Returns `true` if a query parameter of this name, percent-decoded, holds a secret.
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    is_secret_name(name) || SECRET_PARAMETERS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// The URL without user-info and fragment, and with the values of secret-looking query parameters
/// replaced. Everything else is as in the URL.
#[must_use]
pub fn redact_url(url: &Url) -> String {
    let mut shown = String::with_capacity(url.as_str().len());
    shown.push_str(&url[..Position::BeforeUsername]);
    shown.push_str(&url[Position::BeforeHost..Position::AfterPath]);
    if let Some(query) = url.query() {
        push_query(&mut shown, query);
    }
    shown
}

/// A URL as a header holds it, which may be relative, without user-info and fragment and with the
/// values of secret-looking query parameters replaced.
#[must_use]
pub fn redact_reference(text: &str) -> String {
    if let Ok(url) = Url::parse(text)
        && url.has_host()
    {
        return redact_url(&url);
    }
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) =
        text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    // User-info stands after `//`, or where the scheme was forgotten; in a path, `@` is a letter.
    let mut shown = match path.rsplit_once('@') {
        Some((_, rest)) if path.starts_with("//") || !path.starts_with('/') => {
            format!("{REDACTED}@{rest}")
        }
        _ => path.to_owned(),
    };
    if let Some(query) = query {
        push_query(&mut shown, query);
    }
    shown
}

/// A text that may hold URLs, without their user-info, fragments and secret-looking query values.
#[must_use]
pub fn redact_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive([' ', '\t', '<', '>', '"', '\'']) {
        let word = part.trim_end_matches([' ', '\t', '<', '>', '"', '\'']);
        if word.contains('?') || word.contains("//") {
            shown.push_str(&redact_reference(word));
        } else {
            shown.push_str(word);
        }
        shown.push_str(&part[word.len()..]);
    }
    shown
}

fn push_query(shown: &mut String, query: &str) {
    shown.push('?');
    for part in query.split_inclusive(['&', ';']) {
        let pair = part.trim_end_matches(['&', ';']);
        match pair.split_once('=') {
            Some((name, value)) if is_secret_parameter(&decoded(name)) || holds_secret(value) => {
                shown.extend([name, "=", REDACTED]);
            }
            _ => shown.push_str(pair),
        }
        shown.push_str(&part[pair.len()..]);
    }
}

/// Returns `true` if a value is a URL or query that has a secret-looking parameter of its own.
fn holds_secret(value: &str) -> bool {
    if !value.contains(['=', '%']) {
        return false;
    }
    let value = decoded(value);
    let mut pairs = value.split(['?', '&', ';', '#']).filter_map(|pair| pair.split_once('='));
    pairs.any(|(name, _)| is_secret_parameter(name))
}

/// Returns `true` if a header holds a secret: by its name, or because it is one of `extra` (in any
/// case).
#[must_use]
pub fn is_secret_header(name: &HeaderName, extra: &[String]) -> bool {
    let name = name.as_str();
    is_secret_name(name) || extra.iter().any(|extra| extra.eq_ignore_ascii_case(name))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

/// The words of a name in lower case: `X-Auth-Key`, `x_auth_key` and `xAuthKey` have the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && after_lower) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_agrees_with_the_closer_look() {
        for name in ["accept", "content-type", "etag", "location", "server", "via"] {
            assert!(is_common_name(name) && !looks_secret(name), "{name}");
        }
    }

    #[test]
    fn references_are_redacted_whether_relative_or_not() {
        for (text, expected) in [
            ("/a@b/c?token=x&a=1#x", "/a@b/c?token=[redacted]&a=1"),
            ("?code=x", "?code=[redacted]"),
            ("//u:p@h/?key=x", "[redacted]@h/?key=[redacted]"),
            ("u:p@h/x", "[redacted]@h/x"),
            ("https://u:p@h/?a=1&sig=x#x", "https://h/?a=1&sig=[redacted]"),
        ] {
            assert_eq!(redact_reference(text), expected);
        }
    }

    #[test]
    fn urls_are_redacted_inside_a_text() {
        for (text, expected) in [
            (
                "<https://u:p@h/?token=x>; rel=\"next\"",
                "<https://h/?token=[redacted]>; rel=\"next\"",
            ),
            ("0;url='/x?sig=a&b=1'", "0;url='/x?sig=[redacted]&b=1'"),
            ("nothing to see, a/b 50%", "nothing to see, a/b 50%"),
            ("", ""),
        ] {
            assert_eq!(redact_text(text), expected);
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set-cookie",
            "X-Api-Key",
            "apikey",
            "api_key",
            "X-ApiKey",
            "apiKey",
            "x-access-token",
            "tokens",
            "client_secret",
            "X-Hub-Signature-256",
            "PASSWORD",
            "db_passwd",
            "x-auth-key",
            "xAuthKey",
            "X-Auth",
            "AWSAccessKeyId",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "x-functions-key",
            "Ocp-Apim-Subscription-Key",
            "user[pass]",
            "jwt",
            "privateKey",
            "SecretKey",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn innocent_names_are_left_alone() {
        for name in [
            "monkey",
            "Idempotency-Key",
            "key",
            "keyword",
            "author",
            "Content-Type",
            "compass",
            "X-Request-Id",
            "code",
            "passenger",
            "design",
            "authority",
            "x-zip-code",
            "signed-up",
            "Sec-WebSocket-Key",
            "turkey-access",
            "",
            "-",
            "é",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        for name in ["monkey", "zipcode", "keys", "encode", "country_code", "primary_key"] {
            assert!(!is_secret_parameter(name), "{name}");
        }
        assert!(["key", "Code", "sig", "auth"].into_iter().all(is_secret_parameter));
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("http://u:p@h:81/a/b?x=1#f", "http://h:81/a/b?x=1"),
            ("https://h/", "https://h/"),
            ("https://h/?token=a&b=c", "https://h/?token=[redacted]&b=c"),
            (
                "https://h/?%74oken=a&key=b=c&sig",
                "https://h/?%74oken=[redacted]&key=[redacted]&sig",
            ),
            ("https://h/?a&&=&monkey=1", "https://h/?a&&=&monkey=1"),
            ("https://h/?a=1;token=x;b=2", "https://h/?a=1;token=[redacted];b=2"),
            ("https://h/?next=%2Fx%3Ftoken%3Dx&b=c%3D1", "https://h/?next=[redacted]&b=c%3D1"),
            ("https://h/?next=/x?a=1%26key=x", "https://h/?next=[redacted]"),
            ("https://h/?auth[x]=a&q=%E9", "https://h/?auth[x]=[redacted]&q=%E9"),
            ("https://u@h?", "https://h/?"),
        ] {
            assert_eq!(redact_url(&Url::parse(url).unwrap()), shown);
        }
    }

    #[test]
    fn a_header_is_secret_by_its_name_or_because_it_is_listed() {
        let listed = ["X-Own".to_owned()];
        let is_secret = |name| is_secret_header(&HeaderName::from_static(name), &listed);
        assert_eq!(["set-cookie", "x-own", "accept"].map(is_secret), [true, true, false]);
    }
}
