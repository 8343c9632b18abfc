//! The fuzz target of the options that JavaScript passes.

use serde_json::{Map, Value};

use super::{read, read_destination, read_move, read_query};
use crate::error::Result;

/// A member that no options have.
const UNKNOWN: &str = "dollarUnknown";

/// Reads options of each function. An unknown member is refused by its name wherever the rest is accepted,
/// and a refusal names the function.
pub(crate) fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // These members are paths, which are read.
    if text.contains("File") {
        return;
    }
    check(text, "Engine.open()", |text| read(text).map(drop));
    check(text, "engine.destination()", |text| read_destination(text).map(drop));
    check(text, "migrate", |text| read_move(text).map(drop));
    // JavaScript has checked its members.
    let _ = read_query(text);
}

fn check(text: &str, function: &str, read: impl Fn(&str) -> Result<()>) {
    if let Err(error) = read(text) {
        let message = error.to_string();
        assert!(message.contains(function), "{message}: {text}");
        return;
    }
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(text) else { return };
    for place in places(&members) {
        let mut wrong = Value::Object(members.clone());
        if let Some(Value::Object(found)) = wrong.pointer_mut(&place) {
            found.insert(UNKNOWN.to_owned(), Value::Null);
        }
        let refused = read(&wrong.to_string());
        let message = refused.as_ref().map_err(ToString::to_string);
        assert!(matches!(&message, Err(text) if text.contains(UNKNOWN)), "{message:?}: {wrong}");
    }
}

/// Returns the places of the objects whose members are fixed: the groups.
fn places(members: &Map<String, Value>) -> Vec<String> {
    let groups = members.iter().filter(|(_, value)| value.is_object());
    std::iter::once(String::new()).chain(groups.map(|(name, _)| format!("/{name}"))).collect()
}
