//! Events of `$send.emit({ raw_event })`, the form of v1 steps.

use bytes::Bytes;

/// The mark of such an event in a stream: white space before its JSON, which listeners do not see.
///
/// Listeners get the event itself in both forms; only the list of a workflow's events tells them
/// apart. A mark inside of the content needs no place of its own in a journal.
const MARK: u8 = b' ';

/// The event of a call `emit({ raw_event })`.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent;

impl RawEvent {
    /// Returns the content of an event in this form.
    #[must_use]
    pub fn marked(event: &str) -> Bytes {
        [&[MARK], event.as_bytes()].concat().into()
    }

    /// Returns the event as `{ "raw_event": … }` if it is in this form.
    #[must_use]
    pub fn wrapped(content: &[u8]) -> Option<String> {
        let event = content.strip_prefix(&[MARK])?;
        Some(format!(r#"{{"raw_event":{}}}"#, String::from_utf8_lossy(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_event_is_wrapped() {
        let marked = RawEvent::marked(r#"{"a":1}"#);
        assert_eq!(RawEvent::wrapped(&marked).as_deref(), Some(r#"{"raw_event":{"a":1}}"#));
        assert_eq!(RawEvent::wrapped(br#"{"a":1}"#), None);
    }
}
