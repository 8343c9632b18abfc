//! The fields of one `$send.emit` call.

use std::borrow::Cow;

use crate::destinations::json;
use crate::destinations::{Failure, Payload};
use crate::error::ErrorKind;

/// What is emitted.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// The event as JSON.
    pub event: &'a str,
    /// The channel; empty for the default one.
    pub channel: Cow<'a, str>,
}

impl<'a> Item<'a> {
    /// # Errors
    /// `InvalidArgument`: the call cannot be read, or its channel is reserved.
    pub(super) fn of(payload: &'a Payload) -> Result<Self, Failure> {
        let text = std::str::from_utf8(&payload.text).map_err(|_| unreadable())?;
        let event = json::field(text, "event").ok_or_else(unreadable)?;
        let channel = json::field(text, "channel").and_then(json::decode).unwrap_or_default();
        if channel.starts_with('$') {
            let message =
                "channels that begin with `$` are reserved: `$errors` is the engine's own";
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self { event, channel })
    }
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}
