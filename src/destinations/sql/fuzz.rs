//! The fuzz targets of rows: their types, names and text.

use std::collections::HashSet;

use super::escapes::{ascii, without_nul, without_surrogates};
use super::item;
use super::postgres::NAMING;
use super::types::Fields;
use crate::delivery::Payload;

/// Finds the columns of two rows, a line each. They hold both rows, in either order, and have names
/// that their table can tell apart.
pub(crate) fn rows(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (one, other) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (first, second) = (Fields::of(one, 0), Fields::of(other, 0));
    if [one, other].iter().any(|row| !is_object(row)) {
        return;
    }
    let (mut both, mut reverse) = (first.clone(), second.clone());
    let counted = both.columns_with(&second);
    both.absorb(second.clone());
    reverse.absorb(first);
    assert_eq!(both, reverse, "the order of rows matters");
    assert_eq!(both.columns(), counted, "columns are counted in two ways");
    assert!(both.hold(one, 0) && both.hold(other, 0), "a row is not held");
    NAMING.name_all(&mut both);
    let mut names = HashSet::new();
    for field in both.0.values() {
        assert!(!field.name.is_empty() && field.name.len() <= NAMING.max_bytes, "{}", field.name);
        assert!(!field.name.contains(char::is_control), "{:?}", field.name);
        assert!(names.insert(field.name.to_lowercase()), "{} is there twice", field.name);
    }
}

/// Reads a call.
pub(crate) fn call(payload: &Payload) {
    if let Ok(table) = item::table(payload) {
        assert!(table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{table}");
        assert!(!table.starts_with('_') && table == table.to_lowercase(), "{table}");
    }
    let Ok(row) = item::row(payload) else { return };
    let row = String::from_utf8_lossy(&row);
    if !is_object(&row) {
        return;
    }
    let plain = ascii(&without_nul(&row));
    assert!(plain.is_ascii() && is_object(&plain), "{plain}");
    assert!(
        serde_json::from_str::<serde_json::Value>(&plain).is_ok() || row.len() > 256,
        "{plain}"
    );
    assert_eq!(without_surrogates(&row), row, "surrogates are left");
}

/// Returns whether a text is one JSON object.
fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
