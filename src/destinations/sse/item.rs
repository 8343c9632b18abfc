//! The fields of one `$send.sse` call, and the frame that they become.

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;

use crate::delivery::{Failure, Payload};
use crate::destinations::json;
use crate::error::ErrorKind;
use crate::streams::GAP;

/// A frame for the stream.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// The channel, without what would end its line.
    pub channel: Cow<'a, str>,
    /// True if something was taken out of it.
    pub mended: bool,
    /// The payload as JSON: one line.
    pub data: &'a str,
}

impl<'a> Item<'a> {
    /// Reads a call.
    ///
    /// # Errors
    /// `InvalidArgument`: the call cannot be read.
    pub(super) fn of(payload: &'a Payload) -> Result<Self, Failure> {
        let text = std::str::from_utf8(&payload.text).map_err(|_| unreadable())?;
        let channel = json::field(text, "channel").and_then(json::decode).ok_or_else(unreadable)?;
        let data = json::field(text, "payload").ok_or_else(unreadable)?;
        let (channel, mended) = one_line(channel);
        Ok(Self { channel, mended, data })
    }

    /// Returns the event as it goes over the wire (HTML, server-sent events), without its number:
    /// `JSON.stringify` writes no line breaks, so the data is one line.
    pub(super) fn lines(&self) -> Bytes {
        let mut frame = Vec::with_capacity(self.channel.len() + self.data.len() + 16);
        // Writing to memory does not fail.
        if !self.channel.is_empty() {
            let _ = writeln!(frame, "event: {}", self.channel);
        }
        let _ = write!(frame, "data: {}\n\n", self.data);
        frame.into()
    }
}

/// Returns a channel with spaces for the characters that end a line or an id of the format, and not
/// the name of the engine's own events.
fn one_line(channel: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    let breaks = |c: char| matches!(c, '\n' | '\r' | '\0');
    if channel == GAP {
        return (Cow::Owned(format!(" {GAP}")), true);
    }
    if !channel.contains(breaks) {
        return (channel, false);
    }
    (Cow::Owned(channel.replace(breaks, " ")), true)
}

fn unreadable() -> Failure {
    Failure::new(ErrorKind::InvalidArgument, "the recorded call cannot be read")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(text: &str) -> String {
        let payload = Payload::from_text(text.to_owned());
        String::from_utf8(Item::of(&payload).unwrap().lines().to_vec()).unwrap()
    }

    #[test]
    fn a_call_becomes_one_event() {
        for (text, expected) in [
            (r#"{"channel":"a","payload":{"b":1}}"#, "event: a\ndata: {\"b\":1}\n\n"),
            (r#"{"payload":"x\ny","channel":"é"}"#, "event: é\ndata: \"x\\ny\"\n\n"),
            (r#"{"channel":":gap","payload":1}"#, "event:  :gap\ndata: 1\n\n"),
            (r#"{"channel":"","payload":[]}"#, "data: []\n\n"),
            (r#"{"channel":"a\r\ndata: x\u0000","payload":1}"#, "event: a  data: x \ndata: 1\n\n"),
        ] {
            assert_eq!(frame(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_channel_adds_a_line(channel in any::<String>(), data in any::<String>()) {
            let text = serde_json::json!({ "channel": channel, "payload": data }).to_string();
            let frame = frame(&text);
            let lines = if channel.is_empty() { 2 } else { 3 };
            prop_assert_eq!(frame.matches(['\n', '\r', '\0']).count(), lines);
            prop_assert!(frame.ends_with("\n\n"));
        }
    }
}
