//! The fields of one `$send.s3` call.

use std::borrow::Cow;

use bytes::Bytes;

use super::json;
use super::key::MAX_PREFIX_BYTES;
use crate::delivery::{Failure, Payload};
use crate::destinations::sql::without_surrogates;
use crate::error::ErrorKind;

/// The target of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectTarget<'a> {
    pub bucket: Cow<'a, str>,
    pub prefix: Cow<'a, str>,
}

impl<'a> ObjectTarget<'a> {
    /// Reads a call.
    ///
    /// # Errors
    /// `InvalidArgument`: an object cannot be stored there.
    pub(super) fn of(payload: &'a Payload) -> Result<Self, Failure> {
        let text = text_of(payload)?;
        let member = |name| json::field(text, name).filter(|raw| *raw != "null");
        let bucket = member("bucket").and_then(json::decode).ok_or_else(unreadable)?;
        let prefix = match member("prefix") {
            Some(raw) => json::decode(raw).ok_or_else(unreadable)?,
            None => Cow::Borrowed(""),
        };
        check_bucket(&bucket)?;
        check_prefix(&prefix)?;
        Ok(Self { bucket, prefix })
    }

    /// Returns bucket and prefix in one text; a bucket has no `/`.
    pub(super) fn lane(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix)
    }
}

/// Returns the record as one line. A text is its own line; one that is empty or has line breaks
/// stays the JSON text that it was, in which they are escaped.
///
/// # Errors
/// `InvalidArgument`: there is none.
pub(super) fn line(payload: &Payload) -> Result<Cow<'_, str>, Failure> {
    let raw = json::field(text_of(payload)?, "payload").ok_or_else(unreadable)?;
    if !raw.starts_with('"') {
        return Ok(Cow::Borrowed(raw));
    }
    let text = json::decode(raw).ok_or_else(unreadable)?;
    let splits = text.is_empty() || memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some();
    Ok(if splits { Cow::Borrowed(raw) } else { text })
}

/// Returns the record as a row, the JSON text of an object.
///
/// # Errors
/// `InvalidArgument`: it is none.
pub(super) fn row(payload: &Payload) -> Result<Bytes, Failure> {
    let raw = json::field(text_of(payload)?, "payload").ok_or_else(unreadable)?;
    if !raw.starts_with('{') {
        let message = "payload: with s3.format 'parquet' a record is an object, such as { name: 'Luke' }: its \
                       keys are the columns";
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    Ok(without_surrogates(payload, raw))
}

fn text_of(payload: &Payload) -> Result<&str, Failure> {
    std::str::from_utf8(&payload.text).map_err(|_| unreadable())
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}

fn invalid(what: &str, value: &str, rule: &str) -> Failure {
    let shown: String =
        value.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect();
    Failure::new(ErrorKind::InvalidArgument, format!("{what}: {shown:?} {rule}"))
}

/// Checks a bucket's name by the union of the rules of Amazon S3 and compatible servers.
fn check_bucket(bucket: &str) -> Result<(), Failure> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let begins_well = bucket.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_well && bucket.len() <= 255 && bucket.bytes().all(fine) && !bucket.contains("..") {
        return Ok(());
    }
    let rule = "is not the name of a bucket: letters, digits, dots and hyphens, at most 255";
    Err(invalid("bucket", bucket, rule))
}

fn check_prefix(prefix: &str) -> Result<(), Failure> {
    let rule = if prefix.split('/').any(|part| matches!(part, "." | "..")) {
        "has a part that is `.` or `..`"
    } else if prefix.chars().any(char::is_control) {
        "has control characters in it"
    } else if prefix.len() > MAX_PREFIX_BYTES {
        return Err(invalid(
            "prefix",
            prefix,
            &format!(
                "has {} bytes, and at most {MAX_PREFIX_BYTES} leave room for the rest of a key",
                prefix.len()
            ),
        ));
    } else {
        return Ok(());
    };
    Err(invalid("prefix", prefix, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(json: &str) -> Result<String, String> {
        let payload = Payload::from_text(json.to_owned());
        let target = ObjectTarget::of(&payload);
        target.map(|target| target.lane()).map_err(|failure| failure.message)
    }

    #[test]
    fn bucket_and_prefix_are_the_lane() {
        for (json, lane) in [
            (r#"{"bucket":"b","prefix":"p/","payload":{}}"#, "b/p/"),
            (r#"{"payload":{"bucket":"no"},"bucket":"b"}"#, "b/"),
            (r#"{"bucket":"my.bucket-1","prefix":"a b/é","payload":1}"#, "my.bucket-1/a b/é"),
            (r#"{"bucket":"b","prefix":"/a//b..c/.d/"}"#, "b//a//b..c/.d/"),
        ] {
            assert_eq!(target(json).as_deref(), Ok(lane), "{json}");
        }
    }

    #[test]
    fn what_no_object_can_be_called_is_refused_by_name() {
        let long = format!(r#"{{"bucket":"b","prefix":"{}"}}"#, "x".repeat(2048));
        for (json, reason) in [
            (r#"{"bucket":""}"#, "bucket: \"\" is not the name"),
            (r#"{"bucket":"a/b"}"#, "bucket: \"a/b\" is not the name"),
            (r#"{"bucket":".."}"#, "bucket: \"..\" is not the name"),
            (r#"{"bucket":"b","prefix":"../x"}"#, "a part that is `.` or `..`"),
            (r#"{"bucket":"b","prefix":"a/../x"}"#, "a part that is `.` or `..`"),
            (r#"{"bucket":"b","prefix":"a/.."}"#, "a part that is `.` or `..`"),
            (r#"{"bucket":"b","prefix":"./b"}"#, "a part that is `.` or `..`"),
            (r#"{"bucket":"b","prefix":"a\u0000b"}"#, "control characters"),
            (r#"{"bucket":"b","prefix":"a\nb"}"#, "control characters"),
            (&long, "has 2048 bytes"),
        ] {
            let message = target(json).unwrap_err();
            assert!(message.contains(reason), "{json}: {message}");
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        for (json, expected) in [
            (r#"{"payload":{"a":"x\ny"}}"#, r#"{"a":"x\ny"}"#),
            (r#"{"payload":[1,2]}"#, "[1,2]"),
            (r#"{"payload":"plain \"text\""}"#, r#"plain "text""#),
            (r#"{"payload":"{\"json\":1}"}"#, r#"{"json":1}"#),
            (r#"{"payload":"two\nlines"}"#, r#""two\nlines""#),
            (r#"{"payload":"two\rlines"}"#, r#""two\rlines""#),
            (r#"{"payload":""}"#, r#""""#),
        ] {
            let payload = Payload::from_text(json);
            assert_eq!(line(&payload).unwrap(), expected, "{json}");
        }
    }
}
