//! `data` as a form: `application/x-www-form-urlencoded` or `multipart/form-data`.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderValue;
use url::form_urlencoded::byte_serialize;

use super::flatten::flatten;
use super::json::Node;
use super::query::unreadable;
use crate::delivery::Failure;
use crate::error::ErrorKind;

/// The largest form that is encoded, in bytes. Nested names repeat their path in every field, so a
/// small object can stand for a very large form.
const MAX_FORM_BYTES: usize = 64 << 20;

/// Encodes the JSON text of an object or array as a URL-encoded form.
///
/// # Errors
/// `InvalidArgument` when it is nested too deep, `PayloadTooLarge` past [`MAX_FORM_BYTES`].
pub(super) fn urlencoded(data: &str) -> Result<String, Failure> {
    let node = Node::parse(data).map_err(|error| unreadable("data", error))?;
    let mut form = String::new();
    flatten(&node, &mut |name, value| {
        check_size(form.len(), name, value)?;
        if !form.is_empty() {
            form.push('&');
        }
        form.extend(byte_serialize(name.as_bytes()));
        form.push('=');
        form.extend(byte_serialize(value.as_bytes()));
        Ok(())
    })?;
    Ok(form)
}

/// Encodes the same as a multipart form; also gives the content type that names its boundary.
///
/// The boundary depends on nothing but the data, so every attempt of a delivery sends the same
/// bytes.
///
/// # Errors
/// As [`urlencoded`].
pub(super) fn multipart(data: &str) -> Result<(String, HeaderValue), Failure> {
    let node = Node::parse(data).map_err(|error| unreadable("data", error))?;
    let mut mark = digest(data);
    // Each further turn needs yet another mark spelled out in the data, so the loop ends.
    loop {
        let boundary = format!("------------------------dollarsend{mark:016x}");
        if let Some(form) = parts(&node, &boundary)? {
            let content_type = format!("multipart/form-data; boundary={boundary}");
            let content_type = HeaderValue::try_from(content_type).map_err(|_| {
                Failure::new(ErrorKind::Internal, "the boundary is no header value")
            })?;
            return Ok((form, content_type));
        }
        mark = mark.wrapping_add(1);
    }
}

/// Returns the form, or `None` when a name or value contains the boundary.
fn parts(node: &Node<'_>, boundary: &str) -> Result<Option<String>, Failure> {
    const DISPOSITION: &str = "\r\nContent-Disposition: form-data; name=\"";
    let (mut form, mut fields) = (String::new(), 0_usize);
    flatten(node, &mut |name, value| {
        check_size(form.len(), name, value)?;
        let name = name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
        form.extend(["--", boundary, DISPOSITION, &name, "\"\r\n\r\n", value, "\r\n"]);
        fields += 1;
        Ok(())
    })?;
    if fields > 0 {
        form.extend(["--", boundary, "--\r\n"]);
        fields += 1;
    }
    Ok((form.matches(boundary).count() == fields).then_some(form))
}

fn digest(data: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

fn check_size(length: usize, name: &str, value: &str) -> Result<(), Failure> {
    if length + name.len() + value.len() <= MAX_FORM_BYTES {
        return Ok(());
    }
    let limit = MAX_FORM_BYTES >> 20;
    Err(Failure::new(
        ErrorKind::PayloadTooLarge,
        format!("data makes a form of more than {limit} MiB"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urlencoded_form_escapes_as_urlsearchparams() {
        let form = urlencoded(r#"{"a b":"~!'()*-._ é+&","l":[1,null],"n":{"x":true},"e":[]}"#);
        let expected = "a+b=%7E%21%27%28%29*-._+%C3%A9%2B%26&l%5B%5D=1&n%5Bx%5D=true";
        assert_eq!(form.unwrap(), expected);
    }

    #[test]
    fn a_multipart_form_repeats_the_boundary_of_its_content_type() {
        let (form, content_type) = multipart(r#"{"a\r\n\"":"x","b":[1]}"#).unwrap();
        let boundary = content_type.to_str().unwrap().split_once("boundary=").unwrap().1;
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a%0D%0A%22\"\r\n\r\nx\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"b[]\"\r\n\r\n1\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(form, expected);
    }

    #[test]
    fn a_boundary_that_the_data_contains_is_not_used() {
        let node = Node::parse(r#"{"a":"x\u0079z","b":"1"}"#).unwrap();
        assert!(parts(&node, "xyz").unwrap().is_none());
        assert!(parts(&node, "other").unwrap().is_some());
        assert_eq!(multipart("{}").unwrap(), multipart("{}").unwrap());
        assert_eq!(multipart("{}").unwrap().0, "");
    }

    #[test]
    fn a_form_far_larger_than_its_data_is_refused() {
        let data = format!(r#"{{"{}":{{{}"z":1}}}}"#, "n".repeat(99_999), r#""a":1,"#.repeat(9999));
        assert_eq!(urlencoded(&data).unwrap_err().kind, ErrorKind::PayloadTooLarge);
        assert_eq!(multipart(&data).unwrap_err().kind, ErrorKind::PayloadTooLarge);
    }
}
