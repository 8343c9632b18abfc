//! The fuzz target of a call of `$send.emit`.

use super::item::Item;
use crate::delivery::Payload;

/// Reads a call. No channel is one of the engine's own.
pub(crate) fn call(payload: &Payload) {
    let Ok(item) = Item::of(payload) else { return };
    assert!(!item.channel.starts_with('$') && !item.event.is_empty());
}
