//! The snapshot of a common call, as JavaScript tapes it, made into JSON.
//!
//! A tape is a row of numbers: for each value what it is, and the number itself, or how long the text
//! or the array is. The texts of the call come beside it, put together to one. Keys stay on either
//! side: a [`Shape`] is told once, and an object is the number of its shape and its members.
//! `js/tape.cjs` writes tapes.
//!
//! What is made is what `JSON.stringify` makes (ECMA-262, 25.5.2), byte by byte.

use std::cell::RefCell;

use memchr::memmem::Finder;
use once_cell::sync::Lazy;

use super::text::narrowed;

const UNDEFINED: usize = 0;
const NULL: usize = 1;
const FALSE: usize = 2;
const TRUE: usize = 3;
const NUMBER: usize = 4;
const STRING: usize = 5;
const JSON_TEXT: usize = 6;
const ARRAY: usize = 7;
const FIRST_SHAPE: usize = 8;

/// Shapes that a thread may tell: a few hundred bytes each, here and in JavaScript.
const MAX_SHAPES: usize = 1024;

/// Scratch above this is given back.
const MAX_SCRATCH: usize = 256 << 10;

/// The keys of an object in their order, each as it stands in JSON behind another member: `,"key":`.
pub(super) struct Shape(Box<[Box<str>]>);

impl Shape {
    /// The shape of these keys, each as it stands in JSON, with its colon.
    pub(super) fn of(keys: Vec<String>) -> Self {
        Self(keys.into_iter().map(|key| format!(",{key}").into_boxed_str()).collect())
    }
}

thread_local! {
    static SHAPES: RefCell<Vec<Shape>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Room that the calls of a thread share.
struct Scratch {
    /// Texts without anything that JSON escapes or UTF-8 spells otherwise.
    plain: Vec<u8>,
    /// Where JSON is made, so that what is kept of it has no more room than it needs.
    json: Vec<u8>,
}

impl Scratch {
    const fn new() -> Self {
        Self { plain: Vec::new(), json: Vec::new() }
    }
}

/// Keeps a shape of this thread; the answer is its number, or nothing when there are enough.
pub(super) fn learn(shape: Shape) -> Option<usize> {
    SHAPES.with_borrow_mut(|shapes| {
        let number = shapes.len();
        (number < MAX_SHAPES).then(|| shapes.push(shape)).map(|()| number)
    })
}

/// The JSON of what was taped with the shapes of this thread. `units` are the texts, in UTF-16.
/// Nothing where JSON on the tape has a `{}`, which may stand for something that `JSON.stringify`
/// saw nothing in, and where the tape is none.
pub(super) fn json(entries: &[f64], units: &[u16]) -> Option<Vec<u8>> {
    SHAPES.with_borrow(|shapes| {
        SCRATCH.with_borrow_mut(|Scratch { plain, json }| {
            json.clear();
            let made = if is_plain(units) {
                plain.clear();
                plain.extend(units.iter().map(|unit| unit.to_le_bytes()[0]));
                Tape { entries, text: plain.as_slice(), shapes }.read(json)
            } else {
                Tape { entries, text: units, shapes }.read(json)
            };
            let kept = made.map(|()| json.as_slice().to_vec());
            json.shrink_to(MAX_SCRATCH);
            kept
        })
    })
}

/// Whether JSON text has a `{}`: what `JSON.stringify` makes of a Map, a Set and everything else that
/// it sees nothing in.
pub(super) fn may_lack_something(json: &[u8]) -> bool {
    static EMPTY_OBJECT: Lazy<Finder<'static>> = Lazy::new(|| Finder::new("{}"));
    EMPTY_OBJECT.find(json).is_some()
}

/// What is left to read.
struct Tape<'a, Unit> {
    entries: &'a [f64],
    text: &'a [Unit],
    shapes: &'a [Shape],
}

impl<Unit: Text> Tape<'_, Unit> {
    /// All of it, which is one value.
    fn read(mut self, json: &mut Vec<u8>) -> Option<()> {
        let tag = self.next()?;
        self.value(tag, json)?;
        (self.entries.is_empty() && self.text.is_empty()).then_some(())
    }

    fn number(&mut self) -> Option<f64> {
        let (number, rest) = self.entries.split_first()?;
        self.entries = rest;
        Some(*number)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "JavaScript wrote a whole number; of any other the nearest is as wrong"
    )]
    fn next(&mut self) -> Option<usize> {
        self.number().map(|number| number as usize)
    }

    fn text(&mut self) -> Option<&[Unit]> {
        let length = self.next()?;
        let (text, rest) = self.text.split_at_checked(length)?;
        self.text = rest;
        Some(text)
    }

    fn value(&mut self, tag: usize, json: &mut Vec<u8>) -> Option<()> {
        match tag {
            // As an item; members that are undefined are none.
            UNDEFINED | NULL => json.extend_from_slice(b"null"),
            FALSE => json.extend_from_slice(b"false"),
            TRUE => json.extend_from_slice(b"true"),
            NUMBER => write_number(self.number()?, json),
            STRING => {
                json.push(b'"');
                Unit::write_escaped(self.text()?, json);
                json.push(b'"');
            }
            JSON_TEXT => {
                let start = json.len();
                Unit::write(self.text()?, json);
                if may_lack_something(&json[start..]) {
                    return None;
                }
            }
            ARRAY => self.array(json)?,
            shape => self.object(self.shapes.get(shape - FIRST_SHAPE)?, json)?,
        }
        Some(())
    }

    fn array(&mut self, json: &mut Vec<u8>) -> Option<()> {
        json.push(b'[');
        for index in 0..self.next()? {
            if index > 0 {
                json.push(b',');
            }
            let tag = self.next()?;
            self.value(tag, json)?;
        }
        json.push(b']');
        Some(())
    }

    fn object(&mut self, Shape(keys): &Shape, json: &mut Vec<u8>) -> Option<()> {
        json.push(b'{');
        // The first has no comma before it.
        let mut start = 1;
        for key in keys {
            let tag = self.next()?;
            if tag != UNDEFINED {
                json.extend_from_slice(&key.as_bytes()[start..]);
                self.value(tag, json)?;
                start = 0;
            }
        }
        json.push(b'}');
        Some(())
    }
}

/// The units that the texts of a call come in.
trait Text: Copy {
    /// Writes text that is JSON.
    fn write(text: &[Self], json: &mut Vec<u8>);

    /// Writes what stands between the quotes of a JSON string.
    fn write_escaped(text: &[Self], json: &mut Vec<u8>);
}

/// ASCII that JSON does not escape.
impl Text for u8 {
    fn write(text: &[Self], json: &mut Vec<u8>) {
        json.extend_from_slice(text);
    }

    fn write_escaped(text: &[Self], json: &mut Vec<u8>) {
        json.extend_from_slice(text);
    }
}

/// UTF-16.
impl Text for u16 {
    fn write(text: &[Self], json: &mut Vec<u8>) {
        json.extend_from_slice(&narrowed(text));
    }

    fn write_escaped(text: &[Self], json: &mut Vec<u8>) {
        if is_plain(text) {
            return json.extend(narrow(text));
        }
        for unit in char::decode_utf16(text.iter().copied()) {
            match unit {
                Ok('"') => json.extend_from_slice(b"\\\""),
                Ok('\\') => json.extend_from_slice(b"\\\\"),
                Ok('\u{8}') => json.extend_from_slice(b"\\b"),
                Ok('\t') => json.extend_from_slice(b"\\t"),
                Ok('\n') => json.extend_from_slice(b"\\n"),
                Ok('\u{c}') => json.extend_from_slice(b"\\f"),
                Ok('\r') => json.extend_from_slice(b"\\r"),
                Ok(control @ '\0'..='\u{1f}') => write_code(u32::from(control), json),
                Ok(other) => json.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(lone) => write_code(lone.unpaired_surrogate().into(), json),
            }
        }
    }
}

/// Without a branch for each unit, so that it becomes vector instructions.
fn is_plain(units: &[u16]) -> bool {
    let special = |unit: u16| {
        let outside = u16::from(!(0x20..0x80).contains(&unit));
        outside | u16::from(unit == u16::from(b'"')) | u16::from(unit == u16::from(b'\\'))
    };
    units.iter().fold(0, |found, &unit| found | special(unit)) == 0
}

fn narrow(units: &[u16]) -> impl Iterator<Item = u8> {
    units.iter().map(|unit| unit.to_le_bytes()[0])
}

fn write_code(unit: u32, json: &mut Vec<u8>) {
    json.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

fn write_number(number: f64, json: &mut Vec<u8>) {
    /// 2^53: whole numbers below are exact, and written without an exponent.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off shows in the comparison")]
    let whole = number as i64;
    #[expect(
        clippy::float_cmp,
        clippy::cast_precision_loss,
        reason = "equal is exactly equal here"
    )]
    let is_whole = number.abs() < WHOLE && whole as f64 == number;
    if is_whole {
        json.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if number.is_finite() {
        json.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    } else {
        json.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What was taped of a value: its tape, and its texts.
    #[derive(Debug, Clone, Default)]
    struct Taped {
        entries: Vec<f64>,
        units: Vec<u16>,
    }

    impl Taped {
        fn entry(mut self, entry: u32) -> Self {
            self.entries.push(entry.into());
            self
        }

        fn part(mut self, tag: u32, text: &str) -> Self {
            let length = u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX);
            self.units.extend(text.encode_utf16());
            self.entry(tag).entry(length)
        }

        fn number(mut self, number: f64) -> Self {
            self.entries.extend([4.0, number]);
            self
        }

        fn then(mut self, other: &Self) -> Self {
            self.entries.extend(&other.entries);
            self.units.extend(&other.units);
            self
        }

        fn json(&self) -> Option<String> {
            let json = json(&self.entries, &self.units);
            json.map(|json| String::from_utf8_lossy(&json).into_owned())
        }
    }

    fn told(keys: &[&str]) -> u32 {
        let keys = keys.iter().map(|key| format!("{}:", serde_json::json!(key))).collect();
        8 + u32::try_from(learn(Shape::of(keys)).expect("there is room")).expect("few")
    }

    #[test]
    fn values_become_what_json_stringify_makes_of_them() {
        let taped = Taped::default;
        let pair = told(&["a", "say \"b\""]);
        for (tape, expected) in [
            (taped().entry(1), "null"),
            (taped().entry(2), "false"),
            (taped().entry(3), "true"),
            (taped().number(-0.0), "0"),
            (taped().number(-12.0), "-12"),
            (taped().number(9_007_199_254_740_993.0), "9007199254740992"),
            (taped().number(1e21), "1e+21"),
            (taped().number(1.5e-7), "1.5e-7"),
            (taped().number(0.000_001), "0.000001"),
            (taped().number(f64::NAN), "null"),
            (taped().part(5, ""), r#""""#),
            (
                taped().part(5, "\"\\\u{8}\t\n\u{c}\r\0\u{1f}\u{7f}é🚀"),
                "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}é🚀\"",
            ),
            (taped().part(6, r#"{"é":1}"#), r#"{"é":1}"#),
            (taped().entry(7).entry(0), "[]"),
            (taped().entry(7).entry(3).entry(0).entry(1).number(5.0), "[null,null,5]"),
            (taped().entry(pair).number(1.0).entry(3), r#"{"a":1,"say \"b\"":true}"#),
            (taped().entry(pair).entry(0).entry(3), r#"{"say \"b\"":true}"#),
            (taped().entry(pair).entry(0).entry(0), "{}"),
        ] {
            assert_eq!(tape.json().as_deref(), Some(expected), "{tape:?}");
        }
        let lone = Taped { entries: vec![5.0, 1.0], units: vec![0xd800] };
        assert_eq!(lone.json().as_deref(), Some(r#""\ud800""#));
    }

    #[test]
    fn what_may_lack_something_and_what_is_no_tape_is_refused() {
        let taped = Taped::default;
        let pair = told(&["a", "b"]);
        for tape in [
            taped(),
            taped().part(6, r#"{"a":{}}"#),
            taped().entry(4),
            taped().entry(5).entry(1),
            taped().entry(7).entry(2).entry(1),
            taped().entry(7).entry(u32::MAX),
            taped().entry(pair).entry(1),
            taped().entry(pair + 1),
            taped().entry(1).entry(1),
            Taped { entries: vec![1.0], units: vec![0x41] },
            Taped { entries: vec![5.0, f64::MAX], units: vec![0x41] },
        ] {
            assert_eq!(tape.json(), None, "{tape:?}");
        }
    }

    fn values() -> impl Strategy<Value = (Taped, serde_json::Value)> {
        let pair = told(&["one", "two \u{e9}"]);
        let leaf = prop_oneof![
            Just((Taped::default().entry(1), serde_json::Value::Null)),
            any::<bool>().prop_map(|is| (Taped::default().entry(2 + u32::from(is)), is.into())),
            any::<i32>().prop_map(|is| (Taped::default().number(is.into()), is.into())),
            any::<String>().prop_map(|is| (Taped::default().part(5, &is), is.into())),
        ];
        leaf.prop_recursive(6, 60, 5, move |value| {
            let array = prop::collection::vec(value.clone(), 0..5).prop_map(|items| {
                let length = u32::try_from(items.len()).expect("few");
                let begun = Taped::default().entry(7).entry(length);
                let tape = items.iter().fold(begun, |tape, (item, _)| tape.then(item));
                (tape, items.into_iter().map(|(_, item)| item).collect())
            });
            let object = (value.clone(), value).prop_map(move |((one, first), (two, second))| {
                let tape = Taped::default().entry(pair).then(&one).then(&two);
                let members = [("one".to_owned(), first), ("two \u{e9}".to_owned(), second)];
                (tape, serde_json::Value::Object(members.into_iter().collect()))
            });
            prop_oneof![array, object]
        })
    }

    /// Entries of any tape without JSON, which is taken as it is.
    fn entries() -> impl Strategy<Value = f64> {
        let any = prop_oneof![any::<f64>(), (0..12_u32).prop_map(f64::from)];
        any.prop_filter("JSON", |entry| !(6.0..7.0).contains(entry))
    }

    proptest! {
        #[test]
        fn any_value_is_read_as_it_was_taped((tape, value) in values()) {
            prop_assert_eq!(tape.json(), Some(value.to_string()));
        }

        #[test]
        fn no_row_of_numbers_does_harm(
            entries in prop::collection::vec(entries(), 0..40),
            units in prop::collection::vec(any::<u16>(), 0..40),
        ) {
            told(&["a", "b"]);
            if let Some(json) = json(&entries, &units) {
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok());
            }
        }
    }
}
