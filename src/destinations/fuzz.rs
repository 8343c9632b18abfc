//! The fuzz targets of what destinations read.

use super::{email, http, json, sql};
use crate::delivery::{Payload, with_built_in};

pub(crate) use email::fuzz::{addresses, dots, replies};
pub(crate) use http::fuzz::{body, charset, url};
pub(crate) use sql::fuzz::rows;

macro_rules! call {
    ($($variant:ident $name:ident,)+) => {
        /// Reads the text of a recorded call as each destination does.
        pub(crate) fn call(bytes: &[u8]) {
            let payload = Payload::from_text(bytes.to_vec());
            $(super::$name::fuzz::call(&payload);)+
        }
    };
}

with_built_in!(call);

/// Reads JSON. What the one reader finds in valid text, the other one finds.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let node = json::Node::parse(text);
    let members: Vec<_> = json::members(text).collect();
    let items: Vec<_> = json::items(text).collect();
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return };
    assert_eq!(items.len(), value.as_array().map_or(0, Vec::len), "{text}");
    for (item, expected) in items.iter().zip(value.as_array().into_iter().flatten()) {
        assert_eq!(serde_json::from_str(item).ok().as_ref(), Some(expected), "{text}");
    }
    if let Some(fields) = value.as_object() {
        // Of a key that is given twice the last one counts.
        let last = |key: &String| members.iter().rev().find(|(known, _)| known == key);
        for (key, expected) in fields {
            let found = last(key).and_then(|(_, raw)| serde_json::from_str(raw).ok());
            assert_eq!(found.as_ref(), Some(expected), "{text}");
        }
        assert!(members.iter().all(|(key, _)| fields.contains_key(&**key)), "{text}");
    }
    assert!(node.is_ok(), "{text}");
}
