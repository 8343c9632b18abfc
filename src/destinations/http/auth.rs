//! Basic authentication, from `auth` or from the URL's user-info.

use http::HeaderValue;

use super::json::{Node, NodeKind};
use super::query::unreadable;
use super::target::UserInfo;
use crate::delivery::Failure;
use crate::error::ErrorKind;

/// Returns the `Authorization` header from `auth`, or else from the URL's user-info; `None` when
/// there is neither. It replaces the one in `headers`.
///
/// # Errors
/// `InvalidArgument` when `auth` is not an object.
///
/// # Errors
/// `InvalidArgument` when `auth` is not an object.
pub(super) fn basic(
    auth: Option<&str>,
    user_info: Option<UserInfo>,
) -> Result<Option<HeaderValue>, Failure> {
    let credentials = match auth {
        Some(raw) => given(raw)?.or(user_info),
        None => user_info,
    };
    credentials.map(|(user, password)| header(&user, &password)).transpose()
}

/// Reads the members of `auth`. Missing and falsy fields are empty; all others become text, as in
/// axios.
fn given(raw: &str) -> Result<Option<UserInfo>, Failure> {
    let node = Node::parse(raw).map_err(|error| unreadable("auth", error))?;
    let NodeKind::Object(fields) = &node.kind else {
        if node.is_falsy() {
            return Ok(None);
        }
        return Err(Failure::new(ErrorKind::InvalidArgument, "auth is not an object"));
    };
    let text = |name: &str| {
        let field = fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
        field.filter(|value| !value.is_falsy()).map_or_else(String::new, |v| v.to_text().into())
    };
    Ok(Some((text("username"), text("password"))))
}

fn header(user: &str, password: &str) -> Result<HeaderValue, Failure> {
    let mut text = String::from("Basic ");
    base64(format!("{user}:{password}").as_bytes(), &mut text);
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Failure::new(ErrorKind::Internal, "base64 text is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Appends Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (group >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit > chunk.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_matches_the_vectors_of_rfc_4648() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{7ff}?~", "378/fg=="),
        ] {
            let mut out = String::new();
            base64(text.as_bytes(), &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn auth_precedes_the_user_info_of_the_url() {
        let user_info = || Some(("u".to_owned(), "p".to_owned()));
        for (auth, info, expected) in [
            (Some(r#"{"username":"a","password":"b"}"#), user_info(), Some("Basic YTpi")),
            (Some(r#"{"username":"a","password":null}"#), None, Some("Basic YTo=")),
            (Some("{}"), user_info(), Some("Basic Og==")),
            (Some("null"), user_info(), Some("Basic dTpw")),
            (None, user_info(), Some("Basic dTpw")),
            (None, None, None),
        ] {
            let header = basic(auth, info).unwrap();
            assert!(header.as_ref().is_none_or(HeaderValue::is_sensitive));
            assert_eq!(header.as_ref().map(|value| value.to_str().unwrap()), expected);
        }
        assert_eq!(basic(Some("5"), None).unwrap_err().kind, ErrorKind::InvalidArgument);
    }
}
