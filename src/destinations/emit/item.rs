//! The fields of one `$send.emit` call.

use std::borrow::Cow;

use crate::delivery::{Failure, Payload};
use crate::destinations::json;
use crate::error::ErrorKind;

/// An event to emit.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// The event as JSON.
    pub event: &'a str,
    /// True if the call was `emit({ raw_event })`.
    pub is_raw: bool,
    /// The channel; empty for the default one.
    pub channel: Cow<'a, str>,
}

impl<'a> Item<'a> {
    /// Reads a call.
    ///
    /// # Errors
    /// `InvalidArgument`: the call cannot be read, or its channel is reserved.
    pub(super) fn of(payload: &'a Payload) -> Result<Self, Failure> {
        let text = std::str::from_utf8(&payload.text).map_err(|_| unreadable())?;
        let wrapped = json::field(text, "event");
        let raw = || json::field(text, "raw_event");
        let event = wrapped.or_else(raw).ok_or_else(unreadable)?;
        let is_raw = wrapped.is_none();
        let channel = json::field(text, "channel").and_then(json::decode).unwrap_or_default();
        if channel.starts_with('$') {
            let message =
                "channels that begin with `$` are reserved: `$errors` is the engine's own";
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self { event, is_raw, channel })
    }
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}
