//! The types of columns, and what two types have in common. Pure.
//!
//! Types form a lattice: [`Type::Null`] is below everything, [`Type::Varchar`] above everything, and
//! [`Type::absorb`] is the least type that holds what either held. So the type of a column depends
//! on which values there were, and never on their order.

use chrono::NaiveDate;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::json;

/// The type of a column, of a field of a `STRUCT`, or of the elements of a `LIST`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    /// Nothing but `null` was seen: stored as `VARCHAR` until there is a value.
    Null,
    /// `true` or `false`.
    Boolean,
    /// Every number.
    Double,
    /// A text such as `2021-03-04`.
    Date,
    /// A text such as `2021-03-04 05:06:07.89`.
    Timestamp,
    /// Any other text, and whatever has more than one type: its JSON text.
    Varchar,
    /// An array.
    List(Box<Self>),
    /// An object.
    Struct(Fields),
}

/// The columns of a table, or the fields of an object, by their keys in JSON, in the order in which
/// they were first seen. Two are equal if they have the same keys with the same types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fields(pub(super) IndexMap<Box<str>, Field>);

/// One column or field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Field {
    /// Its name in the warehouse; empty until a table has it.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Box<str>,
    /// Its type.
    #[serde(rename = "type")]
    pub of: Type,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        // The name is independent of the type.
        self.of == other.of
    }
}

impl Eq for Field {}

/// Levels of objects and arrays that become types of their own. What lies deeper is kept as its
/// JSON text.
pub(super) const MAX_DEPTH: usize = 16;
/// Columns that a table may have, the fields of nested objects counted one by one.
pub(super) const MAX_COLUMNS: usize = 2000;

impl Type {
    /// Returns the type of one value, given as its JSON text.
    pub(super) fn of(raw: &str, depth: usize) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => text_type(raw),
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Self::Varchar,
            Some(b'{') => Self::Struct(Fields::of(raw, depth)),
            Some(b'[') => {
                let mut element = Self::Null;
                for item in json::items(raw) {
                    if element == Self::Varchar {
                        break;
                    }
                    element.absorb(Self::of(item, depth + 1));
                }
                Self::List(Box::new(element))
            }
            Some(_) => Self::Double,
        }
    }

    /// Returns whether a value can be held without being changed.
    pub(super) fn holds(&self, raw: &str, depth: usize) -> bool {
        let first = raw.as_bytes().first();
        if matches!(self, Self::Varchar) || first == Some(&b'n') {
            return true;
        }
        match (self, first) {
            (Self::Boolean, Some(b't' | b'f')) | (Self::Double, Some(b'-' | b'0'..=b'9')) => true,
            (Self::Date | Self::Timestamp, Some(b'"')) => *self == text_type(raw),
            (Self::Struct(fields), Some(b'{')) => depth < MAX_DEPTH && fields.hold(raw, depth),
            (Self::List(element), Some(b'[')) => {
                depth < MAX_DEPTH && json::items(raw).all(|item| element.holds(item, depth + 1))
            }
            _ => false,
        }
    }

    /// Becomes the least type that holds what either held.
    pub(super) fn absorb(&mut self, other: Self) {
        match (&mut *self, other) {
            (_, Self::Null) => {}
            (Self::List(mine), Self::List(theirs)) => mine.absorb(*theirs),
            (Self::Struct(mine), Self::Struct(theirs)) => mine.absorb(theirs),
            (Self::Null, other) => *self = other,
            (mine, other) if *mine == other => {}
            _ => *self = Self::Varchar,
        }
    }

    /// Returns the number of columns that it counts as.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::List(element) => element.columns(),
            Self::Struct(fields) => fields.columns().max(1),
            _ => 1,
        }
    }

    /// Returns the number of columns that it would count as with the other absorbed.
    fn columns_with(&self, other: &Self) -> usize {
        match (self, other) {
            (Self::List(mine), Self::List(theirs)) => mine.columns_with(theirs),
            (Self::Struct(mine), Self::Struct(theirs)) => mine.columns_with(theirs).max(1),
            (mine, Self::Null) => mine.columns(),
            (Self::Null, theirs) => theirs.columns(),
            (mine, theirs) if mine == theirs => mine.columns(),
            _ => 1,
        }
    }
}

impl Fields {
    /// Returns the fields of an object, given as its JSON text.
    pub(super) fn of(raw: &str, depth: usize) -> Self {
        let mut fields = Self::default();
        for (key, value) in json::members(raw) {
            fields.add(key.as_ref().into(), Type::of(value, depth + 1));
        }
        fields
    }

    /// Returns whether an object can be held without a change.
    pub(super) fn hold(&self, raw: &str, depth: usize) -> bool {
        // Objects mostly have the same keys in the same order.
        json::members(raw).enumerate().all(|(place, (key, value))| {
            let here = self.0.get_index(place).filter(|(known, _)| ***known == *key);
            let field = here.map(|(_, field)| field).or_else(|| self.0.get(key.as_ref()));
            field.is_some_and(|field| field.of.holds(value, depth + 1))
        })
    }

    /// Takes on the fields of another object.
    pub(super) fn absorb(&mut self, other: Self) {
        for (key, Field { of, .. }) in other.0 {
            self.add(key, of);
        }
    }

    fn add(&mut self, key: Box<str>, of: Type) {
        if let Some(known) = self.0.get_mut(&key) {
            known.of.absorb(of);
        } else {
            self.0.insert(key, Field { name: Box::default(), of });
        }
    }

    /// Returns the number of columns that they count as.
    pub(super) fn columns(&self) -> usize {
        self.0.values().map(|field| field.of.columns()).sum()
    }

    /// Returns the number of columns that they would count as with the others absorbed.
    pub(super) fn columns_with(&self, other: &Self) -> usize {
        let theirs = other.0.iter().map(|(key, theirs)| match self.0.get(key) {
            Some(mine) => mine.of.columns_with(&theirs.of),
            None => theirs.of.columns(),
        });
        let mine = self.0.iter().filter(|(key, _)| !other.0.contains_key(*key));
        theirs.sum::<usize>() + mine.map(|(_, field)| field.of.columns()).sum::<usize>()
    }
}

/// Returns the type of a text: a date, a time, or neither. Only a valid time counts.
fn text_type(raw: &str) -> Type {
    let Some(text) = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Type::Varchar;
    };
    match text.len() {
        10 if is_date(text.as_bytes()) => Type::Date,
        19 | 21..=26 if is_timestamp(text.as_bytes()) => Type::Timestamp,
        _ => Type::Varchar,
    }
}

fn is_date(text: &[u8]) -> bool {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return false };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_u32, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u32::from(**digit - b'0'))
        })
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3]), number(&[m0, m1]), number(&[d0, d1]));
    let (Some(year @ 1..), Some(month), Some(day)) = (year, month, day) else { return false };
    NaiveDate::from_ymd_opt(year.cast_signed(), month, day).is_some()
}

fn is_timestamp(text: &[u8]) -> bool {
    let (date, time) = text.split_at(10);
    let [b' ', h0, h1, b':', m0, m1, b':', s0, s1, fraction @ ..] = time else { return false };
    let below = |tens: &u8, ones: &u8, limit: u8| {
        tens.is_ascii_digit() && ones.is_ascii_digit() && (tens - b'0') * 10 + (ones - b'0') < limit
    };
    let fraction_is_fine = match fraction {
        [] => true,
        [b'.', digits @ ..] => {
            (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    is_date(date) && below(h0, h1, 24) && below(m0, m1, 60) && below(s0, s1, 60) && fraction_is_fine
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(value: &Value) -> Fields {
        Fields::of(&value.to_string(), 0)
    }

    fn union(values: &[Value]) -> Fields {
        let mut all = Fields::default();
        for value in values {
            all.absorb(of(value));
        }
        all
    }

    fn shown(of: &Type) -> String {
        match of {
            Type::List(element) => format!("[{}]", shown(element)),
            Type::Struct(fields) => {
                let fields = fields.0.iter();
                let all: Vec<_> =
                    fields.map(|(key, field)| format!("{key}:{}", shown(&field.of))).collect();
                format!("{{{}}}", all.join(","))
            }
            plain => format!("{plain:?}"),
        }
    }

    #[test]
    fn the_first_value_says_the_type_and_another_kind_of_value_makes_it_a_text() {
        for (values, expected) in [
            (vec![json!("x")], "Varchar"),
            (vec![json!(1)], "Double"),
            (vec![json!(-1.5e300), json!(2)], "Double"),
            (vec![json!(true), json!(false)], "Boolean"),
            (vec![json!(null)], "Null"),
            (vec![json!(null), json!(5), json!(null)], "Double"),
            (vec![json!(5), json!("five")], "Varchar"),
            (vec![json!(5), json!(true)], "Varchar"),
            (vec![json!("2021-03-04")], "Date"),
            (vec![json!("2021-03-04 05:06:07")], "Timestamp"),
            (vec![json!("2021-03-04 05:06:07.123456")], "Timestamp"),
            (vec![json!("2021-03-04"), json!("2021-03-04 05:06:07")], "Varchar"),
            (vec![json!("2021-03-04"), json!("soon")], "Varchar"),
            (vec![json!([])], "[Null]"),
            (vec![json!([]), json!([1])], "[Double]"),
            (vec![json!([1, null]), json!(["x"])], "[Varchar]"),
            (vec![json!([1]), json!(1)], "Varchar"),
            (vec![json!({})], "{}"),
            (vec![json!({}), json!({"a": 1})], "{a:Double}"),
            (vec![json!({"a": 1}), json!({"b": [{"c": null}]})], "{a:Double,b:[{c:Null}]}"),
            (vec![json!({"a": 1}), json!({"a": "x"})], "{a:Varchar}"),
            (vec![json!({"a": 1}), json!([1])], "Varchar"),
        ] {
            let mut found = Type::Null;
            for value in &values {
                found.absorb(Type::of(&value.to_string(), 0));
            }
            assert_eq!(shown(&found), expected, "{values:?}");
        }
    }

    #[test]
    fn only_times_that_there_are_become_times() {
        for text in [
            "2021-02-29",
            "2021-13-01",
            "2021-00-10",
            "0000-01-01",
            "2021-1-01",
            "20210101xx",
            "2021-03-04 24:00:00",
            "2021-03-04 05:60:00",
            "2021-03-04 05:06:60",
            "2021-03-04T05:06:07",
            "2021-03-04 05:06:07.",
            "2021-03-04 05:06:07.1234567",
            "2021-03-04 05:06:07Z",
            "２０21-03-0",
            " 021-03-04",
        ] {
            assert_eq!(Type::of(&json!(text).to_string(), 0), Type::Varchar, "{text}");
        }
        assert_eq!(Type::of("\"2024-02-29\"", 0), Type::Date);
    }

    #[test]
    fn what_lies_too_deep_stays_text() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let depth = |of: &Type| {
            let mut levels = 0;
            let mut here = of;
            while let Type::List(element) = here {
                (levels, here) = (levels + 1, element);
            }
            (levels, here.clone())
        };
        assert_eq!(depth(&Type::of(&nested(MAX_DEPTH), 0)), (MAX_DEPTH, Type::Double));
        for levels in [MAX_DEPTH + 1, 100_000] {
            let found = Type::of(&nested(levels), 0);
            assert_eq!(depth(&found), (MAX_DEPTH, Type::Varchar));
            assert!(found.holds(&nested(levels), 0));
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (-1000_i32..1000).prop_map(Value::from),
            prop_oneof!["[a-c]{0,2}", "2021-0[1-3]-0[1-9]", "2021-01-01 0[0-9]:00:00"]
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-cA-C]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn row() -> impl Strategy<Value = Value> {
        prop::collection::hash_map("[a-eA-E]", value(), 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_union_does_not_depend_on_the_order(
            rows in prop::collection::vec(row(), 0..8),
            cut in 0_usize..8,
            turn in 0_usize..8,
        ) {
            let all = union(&rows);
            let mut turned = rows.clone();
            turned.reverse();
            prop_assert_eq!(&all, &union(&turned));
            if !rows.is_empty() {
                turned.rotate_left(turn % rows.len());
                prop_assert_eq!(&all, &union(&turned));
            }
            // Nor on how it was put together.
            let (front, back) = rows.split_at(cut.min(rows.len()));
            let mut parts = union(front);
            parts.absorb(union(back));
            prop_assert_eq!(&all, &parts);
            // And it changes nothing to see a row again.
            let mut again = all.clone();
            again.absorb(union(&rows));
            prop_assert_eq!(&all, &again);
        }

        #[test]
        fn what_is_held_changes_nothing_and_the_union_holds_all(
            rows in prop::collection::vec(row(), 1..8),
            other in row(),
        ) {
            let all = union(&rows);
            for row in &rows {
                prop_assert!(all.hold(&row.to_string(), 0), "{row}");
            }
            let mut more = all.clone();
            more.absorb(of(&other));
            prop_assert_eq!(all.hold(&other.to_string(), 0), more == all);
            prop_assert_eq!(all.columns_with(&of(&other)), more.columns());
        }
    }
}
