//! `params`, appended to the URL's own query.

use std::fmt::Write;

use url::Url;

use super::flatten::flatten;
use super::json::{Node, NodeKind, Unreadable};
use super::target::{MAX_URL_BYTES, too_long};
use crate::delivery::Failure;
use crate::error::ErrorKind;

/// Appends `params`, the JSON text of an object, an array, or a ready query string.
///
/// # Errors
/// `InvalidArgument` when it is something else or nested too deep; `InvalidUrl` when the URL
/// becomes longer than [`MAX_URL_BYTES`].
pub(super) fn append(url: &mut Url, params: Option<&str>) -> Result<(), Failure> {
    let Some(raw) = params else { return Ok(()) };
    let node = Node::parse(raw).map_err(|error| unreadable("params", error))?;
    let query = match &node.kind {
        _ if node.is_falsy() => return Ok(()),
        // A URLSearchParams that JavaScript has already written out.
        NodeKind::Text(text) => text.to_string(),
        NodeKind::Object(_) | NodeKind::Array(_) => encode(&node)?,
        NodeKind::Null | NodeKind::Literal => {
            return Err(Failure::new(ErrorKind::InvalidArgument, "params is not an object"));
        }
    };
    if query.is_empty() {
        return Ok(());
    }
    let whole = match url.query() {
        None | Some("") => query,
        Some(own) => format!("{own}&{query}"),
    };
    url.set_query(Some(&whole));
    Ok(())
}

/// Returns the failure of an argument that [`Node::parse`] refused.
pub(super) fn unreadable(name: &str, error: Unreadable) -> Failure {
    let reason = match error {
        Unreadable::TooDeep => "is nested more than 100 levels deep",
        Unreadable::Malformed => "is not JSON",
    };
    Failure::new(ErrorKind::InvalidArgument, format!("{name} {reason}"))
}

fn encode(node: &Node<'_>) -> Result<String, Failure> {
    let mut query = String::new();
    flatten(node, &mut |name, value| {
        if query.len() + name.len() + value.len() > MAX_URL_BYTES {
            return Err(too_long());
        }
        if !query.is_empty() {
            query.push('&');
        }
        escape(name, &mut query);
        query.push('=');
        escape(value, &mut query);
        Ok(())
    })?;
    Ok(query)
}

/// Escapes like `encodeURIComponent`, but with `:`, `$` and `,` left as they are and a space
/// written as `+`.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b':' | b'$' | b',' => {
                out.push(char::from(byte));
            }
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(url: &str, params: &str) -> Result<String, ErrorKind> {
        let mut url = Url::parse(url).unwrap();
        append(&mut url, Some(params)).map_err(|failure| failure.kind)?;
        Ok(url.into())
    }

    #[test]
    fn params_follow_the_query_of_the_url() {
        for (url, params, expected) in [
            ("http://h/p", r#"{"a":1}"#, "http://h/p?a=1"),
            ("http://h/p?", r#"{"a":1}"#, "http://h/p?a=1"),
            ("http://h/p?x=1", r#"{"a":[1,2]}"#, "http://h/p?x=1&a%5B%5D=1&a%5B%5D=2"),
            ("http://h/p?x&", r#""a=1&b=2""#, "http://h/p?x&&a=1&b=2"),
            ("http://h/p", "{}", "http://h/p"),
            ("http://h/p", r#""""#, "http://h/p"),
            ("http://h/p", "null", "http://h/p"),
        ] {
            assert_eq!(appended(url, params).unwrap(), expected);
        }
    }

    #[test]
    fn escapes_are_those_of_axios() {
        let expected = "http://h/?q=a+b%2B:$,!~*()%26%3D%23%25%2F%3F@%C3%A9".replace('@', "%40");
        assert_eq!(appended("http://h/", r#"{"q":"a b+:$,!~*()&=#%/?@é"}"#).unwrap(), expected);
    }

    #[test]
    fn hostile_params_are_refused() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
        assert_eq!(appended("http://h/", &deep), Err(ErrorKind::InvalidArgument));
        assert_eq!(appended("http://h/", "5"), Err(ErrorKind::InvalidArgument));
        // One long name repeated for each of many leaves would be gigabytes.
        let wide = format!(r#"{{"{}":{{{}"z":1}}}}"#, "n".repeat(60_000), r#""a":1,"#.repeat(9999));
        assert_eq!(appended("http://h/", &wide), Err(ErrorKind::InvalidUrl));
    }
}
