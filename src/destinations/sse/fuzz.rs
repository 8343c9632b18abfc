//! The fuzz target of a call of `$send.sse`.

use super::item::Item;
use crate::delivery::Payload;

/// Reads a call, and its frame as a browser does: it is one event, on its channel, with its data.
pub(crate) fn call(payload: &Payload) {
    let Ok(item) = Item::of(payload) else { return };
    // `JSON.stringify` writes no line breaks.
    if payload.text.iter().any(|byte| b"\n\r".contains(byte)) {
        return;
    }
    let text = String::from_utf8_lossy(&item.lines()).into_owned();
    let mut expected = Vec::new();
    if !item.channel.is_empty() {
        expected.push(format!("event: {}", item.channel));
    }
    expected.extend([format!("data: {}", item.data), String::new()]);
    assert_eq!(text.split_terminator(['\n', '\r']).collect::<Vec<_>>(), expected);
    assert!(text.ends_with("\n\n") && !item.channel.contains('\0'), "{text:?}");
}
