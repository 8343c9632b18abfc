//! JSON text read as the JavaScript values it was made of.
//!
//! `serde_json` refuses a lone surrogate and turns numbers into binary; a request or a mail needs the first
//! as U+FFFD, as Node writes it, and the second as the text that `String(number)` gives, which is
//! what `JSON.stringify` wrote. So this reader keeps every value's own text. It is linear, and
//! bounded in depth by [`MAX_DEPTH`]. It never validates: the text is what `JSON.stringify` made.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The maximum depth of objects and arrays inside the outermost one. The bound of axios for
/// parameters and forms; a JSON body is passed through and has no bound.
pub(super) const MAX_DEPTH: usize = 100;

/// One value, with the text it was written as.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The value's JSON text.
    pub raw: &'a str,
    /// The kind of the value.
    pub kind: NodeKind<'a>,
}

/// The kinds of value that a request distinguishes.
#[derive(Debug)]
pub(super) enum NodeKind<'a> {
    /// `null`, which also stands for `undefined` inside an array.
    Null,
    /// A number, `true` or `false`: its JSON text is its JavaScript text.
    Literal,
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object, in its own key order.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// The reason why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// It is not JSON.
    Malformed,
}

impl<'a> Node<'a> {
    /// Reads one value.
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        Reader { text, at: 0 }.node(0)
    }

    /// Returns whether JavaScript takes the value for absent in `if (value)`.
    pub(super) fn is_falsy(&self) -> bool {
        match &self.kind {
            NodeKind::Null => true,
            NodeKind::Literal => matches!(self.raw, "false" | "0"),
            NodeKind::Text(text) => text.is_empty(),
            NodeKind::Array(_) | NodeKind::Object(_) => false,
        }
    }

    /// Returns whether it is an object or an array.
    pub(super) fn is_container(&self) -> bool {
        matches!(self.kind, NodeKind::Array(_) | NodeKind::Object(_))
    }

    /// Returns the text that `String(value)` gives.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match &self.kind {
            NodeKind::Null | NodeKind::Literal => Cow::Borrowed(self.raw),
            NodeKind::Text(text) => Cow::Borrowed(text),
            NodeKind::Object(_) => Cow::Borrowed("[object Object]"),
            NodeKind::Array(items) => {
                Cow::Owned(items.iter().map(joined).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Returns an element as `Array.prototype.join` writes it.
fn joined<'n>(node: &'n Node<'_>) -> Cow<'n, str> {
    if matches!(node.kind, NodeKind::Null) { Cow::Borrowed("") } else { node.to_text() }
}

/// Returns the text of the outermost object's field `name`, found without reading the others.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut reader = Reader { text, at: 0 };
    reader.expect(b'{').ok()?;
    while !reader.leave(b'}') {
        let key = decode(reader.token().ok()?)?;
        reader.expect(b':').ok()?;
        let value = reader.skip().ok()?;
        if key == name {
            return Some(value);
        }
    }
    None
}

/// Returns the keys of an object and the texts of their values, without looking into these.
pub(super) fn members(text: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let mut reader = Reader { text, at: 0 };
    let mut open = reader.expect(b'{').is_ok();
    std::iter::from_fn(move || {
        open = open && !reader.leave(b'}');
        if !open {
            return None;
        }
        let key = decode(reader.token().ok()?)?;
        reader.expect(b':').ok()?;
        Some((key, reader.skip().ok()?))
    })
}

/// Returns the texts of an array's elements, without looking into these.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut reader = Reader { text, at: 0 };
    let mut open = reader.expect(b'[').is_ok();
    std::iter::from_fn(move || {
        open = open && !reader.leave(b']');
        if open { reader.skip().ok() } else { None }
    })
}

/// Returns the text of a JSON string; `None` when the value is something else.
pub(super) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    Text::deserialize(&mut deserializer).ok().map(|text| text.0)
}

/// A position in text that is known to be JSON.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn node(&mut self, depth: usize) -> Result<Node<'a>, Unreadable> {
        let first = self.peek().ok_or(Unreadable::Malformed)?;
        let start = self.at;
        if depth > MAX_DEPTH && matches!(first, b'{' | b'[') {
            return Err(Unreadable::TooDeep);
        }
        let kind = match first {
            b'{' => NodeKind::Object(self.object(depth)?),
            b'[' => NodeKind::Array(self.array(depth)?),
            b'"' => NodeKind::Text(decode(self.token()?).ok_or(Unreadable::Malformed)?),
            b'n' => {
                self.token()?;
                NodeKind::Null
            }
            _ => {
                self.token()?;
                NodeKind::Literal
            }
        };
        Ok(Node { raw: self.since(start)?, kind })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(Cow<'a, str>, Node<'a>)>, Unreadable> {
        let mut fields = Vec::new();
        self.expect(b'{')?;
        while !self.leave(b'}') {
            let key = decode(self.token()?).ok_or(Unreadable::Malformed)?;
            self.expect(b':')?;
            fields.push((key, self.node(depth + 1)?));
        }
        Ok(fields)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node<'a>>, Unreadable> {
        let mut items = Vec::new();
        self.expect(b'[')?;
        while !self.leave(b']') {
            items.push(self.node(depth + 1)?);
        }
        Ok(items)
    }

    /// Passes one value of any depth, without recursion.
    fn skip(&mut self) -> Result<&'a str, Unreadable> {
        if !matches!(self.peek(), Some(b'{' | b'[')) {
            return self.token();
        }
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut open = 0_usize;
        loop {
            let byte = *bytes.get(self.at).ok_or(Unreadable::Malformed)?;
            self.at += match byte {
                b'"' => string_length(&bytes[self.at..]).ok_or(Unreadable::Malformed)?,
                _ => 1,
            };
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' if open == 1 => return self.since(start),
                b'}' | b']' => open -= 1,
                _ => {}
            }
        }
    }

    /// Returns a string with its quotes, or a literal.
    fn token(&mut self) -> Result<&'a str, Unreadable> {
        let first = self.peek().ok_or(Unreadable::Malformed)?;
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = if first == b'"' { string_length(rest) } else { literal_length(rest) };
        self.at += length.ok_or(Unreadable::Malformed)?;
        self.since(start)
    }

    /// Returns the next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes the end of a container, or the comma before its next entry.
    fn leave(&mut self, close: u8) -> bool {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                false
            }
            Some(byte) if byte == close => {
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(Unreadable::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn since(&self, start: usize) -> Result<&'a str, Unreadable> {
        self.text.get(start..self.at).ok_or(Unreadable::Malformed)
    }
}

/// Returns the length of the string at the front, quotes included.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Returns the length of the number or word at the front.
fn literal_length(bytes: &[u8]) -> Option<usize> {
    let end = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
    let length = bytes.iter().position(end).unwrap_or(bytes.len());
    (length > 0).then_some(length)
}

/// A string or key, in which every lone surrogate has become one U+FFFD.
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asking for bytes is what makes serde_json hand out lone surrogates at all.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Text(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(well_formed(bytes)),
        }))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(well_formed(bytes))))
    }
}

/// Bytes of UTF-8 in which a surrogate may take three bytes; each becomes one U+FFFD.
fn well_formed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut after_surrogate = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.valid().is_empty() {
            after_surrogate = 0;
        }
        // The three bytes of a surrogate come as three invalid chunks of one byte each.
        for _ in chunk.invalid() {
            if after_surrogate % 3 == 0 {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            after_surrogate += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let text = r#"[a-c"\\\\{}\\[\\],: é🚀\n]{0,6}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(text, inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_member_and_item_is_found_whole(value in values()) {
            let text = value.to_string();
            let fields = value.as_object().into_iter().flatten();
            let expected: Vec<_> =
                fields.map(|(key, value)| (Cow::from(key), value.to_string())).collect();
            let found: Vec<_> = members(&text).map(|(key, raw)| (key, raw.to_owned())).collect();
            prop_assert_eq!(&found, &expected);
            for (key, value) in &expected {
                prop_assert_eq!(field(&text, key), Some(value.as_str()));
            }
            let expected: Vec<_> =
                value.as_array().into_iter().flatten().map(Value::to_string).collect();
            prop_assert_eq!(items(&text).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn each_lone_surrogate_becomes_one_replacement_character() {
        for (raw, expected) in [
            (r#""plain""#, "plain"),
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\ud800\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\udc00\ud83d\ude00\ud83d""#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#""é\udfffé""#, "é\u{fffd}é"),
            (r#""tab\t\u0041""#, "tab\tA"),
        ] {
            assert_eq!(decode(raw).as_deref(), Some(expected), "{raw}");
        }
        assert!(decode("5").is_none());
    }

    #[test]
    fn values_keep_their_own_text() {
        let node = Node::parse(r#" { "a" : [1e+21, null, true, "x,]"], "b{}":{"c":"\"}"} } "#);
        let node = node.unwrap();
        let NodeKind::Object(fields) = &node.kind else { panic!("not an object") };
        assert_eq!(fields[0].1.raw, r#"[1e+21, null, true, "x,]"]"#);
        assert_eq!(fields[0].1.to_text(), "1e+21,,true,x,]");
        assert_eq!((fields[1].0.as_ref(), fields[1].1.raw), ("b{}", r#"{"c":"\"}"}"#));
    }

    #[test]
    fn a_field_is_found_behind_any_other() {
        let deep = format!(
            r#"{{"data":{}{},"k":"}},\"url","url":"x"}}"#,
            "[".repeat(9000),
            "]".repeat(9000)
        );
        assert_eq!(field(&deep, "url"), Some(r#""x""#));
        assert_eq!(field(r#"{"data":{"url":"no"}}"#, "url"), None);
    }

    #[test]
    fn members_and_items_are_found_one_by_one() {
        let found: Vec<_> = members(r#"{"a":{"b":[1]},"c\n":"x,}","":null}"#).collect();
        let expected = [("a", r#"{"b":[1]}"#), ("c\n", r#""x,}""#), ("", "null")];
        assert_eq!(found, expected.map(|(key, value)| (Cow::Borrowed(key), value)));
        let found: Vec<_> = items(r#"[1,[2,3],{"a":"]"}]"#).collect();
        assert_eq!(found, ["1", "[2,3]", r#"{"a":"]"}"#]);
        for text in ["[]", "{}", "1", "", "[", r#"{"a"#] {
            assert_eq!((items(text).count(), members(text).count()), (0, 0), "{text}");
        }
    }

    #[test]
    fn what_is_too_deep_or_no_json_is_refused_without_recursion() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Node::parse(&nested(MAX_DEPTH + 1)).is_ok());
        for levels in [MAX_DEPTH + 2, 1_000_000] {
            assert_eq!(Node::parse(&nested(levels)).unwrap_err(), Unreadable::TooDeep);
        }
        for text in ["", "{", "[1", r#"{"a"}"#, r#"{"a":"#, "\"", r#""\"#, "{1:2}", "]", "é"] {
            assert_eq!(Node::parse(text).unwrap_err(), Unreadable::Malformed, "{text}");
            assert_eq!(field(text, "a"), None, "{text}");
        }
    }
}
