//! The fields of one `$send.http` call, found in its text without being read yet.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Text;
use crate::delivery::Failure;
use crate::error::ErrorKind;

/// The JSON text of each field that a request is made of. Other keys are ignored; of a key given
/// twice the last counts, as in `JSON.parse`.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub url: Option<&'a str>,
    pub method: Option<&'a str>,
    pub data: Option<&'a str>,
    pub headers: Option<&'a str>,
    pub params: Option<&'a str>,
    pub auth: Option<&'a str>,
    pub timeout: Option<&'a str>,
    pub max_redirects: Option<&'a str>,
    pub retry: Option<&'a str>,
}

impl<'a> Item<'a> {
    /// Checks that `text` is one JSON object, of any depth, and finds its fields.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(text).map_err(|_| unreadable())?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let item = deserializer.deserialize_map(FieldsVisitor).map_err(|_| unreadable())?;
        deserializer.end().map_err(|_| unreadable())?;
        Ok(item)
    }
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call is not the text of an object")
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut item = Item::default();
        while let Some(Text(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            let field = match key.as_ref() {
                "url" => &mut item.url,
                "method" => &mut item.method,
                "data" => &mut item.data,
                "headers" => &mut item.headers,
                "params" => &mut item.params,
                "auth" => &mut item.auth,
                "timeout" => &mut item.timeout,
                "maxRedirects" => &mut item.max_redirects,
                "retry" => &mut item.retry,
                _ => continue,
            };
            *field = Some(value.get());
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_slices_of_the_text() {
        let item = Item::parse(br#"{"x\ud800":1,"url":"u","data":{"a":"\ud800"},"url":"v"}"#);
        let item = item.unwrap();
        assert_eq!((item.url, item.data), (Some(r#""v""#), Some(r#"{"a":"\ud800"}"#)));
        assert!(item.method.is_none());
    }

    #[test]
    fn data_may_be_nested_beyond_any_limit() {
        let levels = 200_000;
        let data = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let text = format!(r#"{{"data":{data}}}"#);
        assert_eq!(Item::parse(text.as_bytes()).unwrap().data, Some(data.as_str()));
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for text in ["", "[]", "5", "\"x\"", "{", r#"{"a":1}x"#, r#"{"a":1,}"#, "{\"a\":\"\n\"}"] {
            assert_eq!(Item::parse(text.as_bytes()).unwrap_err().kind, ErrorKind::InvalidArgument);
        }
        assert!(Item::parse(b"{\"a\":\"\xff\"}").is_err());
    }
}
