//! One published event, and the number that orders it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Frame;
use crate::time::Timestamp;

/// The number of an event: when it was published, and a counter within that millisecond. Spelled
/// `<ms>-<n>`, as in `1606511826306-0`. No two events of an engine share one, and they grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    ms: u64,
    n: u32,
}

/// Bits of a packed number that count within a millisecond.
const COUNTER_BITS: u32 = 20;

impl EventId {
    /// Returns the first number after `last`, at `now` or later.
    #[must_use]
    pub fn after(last: Self, now: Timestamp) -> Self {
        let ms = now.as_millis();
        if ms > last.ms {
            return Self { ms, n: 0 };
        }
        // More than a million in one millisecond borrow from the next.
        if last.n + 1 >= 1 << COUNTER_BITS {
            return Self { ms: last.ms + 1, n: 0 };
        }
        Self { ms: last.ms, n: last.n + 1 }
    }

    /// Returns the time of publishing, in milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.ms
    }

    /// Returns the number in 63 bits, in the same order.
    #[must_use]
    pub const fn packed(self) -> u64 {
        (self.ms << COUNTER_BITS) | self.n as u64
    }

    /// Returns the number from its packed form; see [`EventId::packed`].
    #[must_use]
    pub const fn unpacked(packed: u64) -> Self {
        Self { ms: packed >> COUNTER_BITS, n: (packed & ((1 << COUNTER_BITS) - 1)) as u32 }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.n)
    }
}

/// The error of a text that is not an [`EventId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEventId;

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if digits { text.parse::<u64>().map_err(|_| NoEventId) } else { Err(NoEventId) }
        };
        let (ms, n) = text.split_once('-').ok_or(NoEventId)?;
        let (ms, n) = (number(ms)?, u32::try_from(number(n)?).map_err(|_| NoEventId)?);
        if ms >> 42 != 0 || n >> COUNTER_BITS != 0 {
            return Err(NoEventId);
        }
        Ok(Self { ms, n })
    }
}

/// The streams that every workflow has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// Events of `$send.sse`, for browsers.
    Sse,
    /// Events of `$send.emit`.
    Emits,
    /// Executions that were completed with an error: Pipedream's `$errors`.
    Errors,
}

impl StreamKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Sse, Self::Emits, Self::Errors];

    /// Returns the spelling in a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Emits => "emits",
            Self::Errors => "errors",
        }
    }

    /// Returns the kind with this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An event without its number.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The stream it goes into.
    pub kind: StreamKind,
    /// The workflow whose stream that is.
    pub workflow_id: Arc<str>,
    /// The delivery that publishes it.
    pub delivery: Uuid,
    /// The channel; empty for the default one.
    pub name: Box<str>,
    /// The number of emitted events that led to it.
    pub depth: u32,
    /// JSON, or for browsers the lines of a frame after its number.
    pub content: Bytes,
}

impl NewEvent {
    /// Returns the event with its number.
    #[must_use]
    pub fn numbered(self, id: EventId) -> Event {
        let Self { kind, workflow_id, delivery, name, depth, content } = self;
        let content = match kind {
            StreamKind::Sse => {
                let head = format!("id: {id}\n");
                EventContent::Frame(Frame::new(&[head.as_bytes(), &content].concat()))
            }
            StreamKind::Emits | StreamKind::Errors => EventContent::Json(content),
        };
        Event { id, kind, workflow_id, delivery, name, depth, content }
    }
}

/// The number of an event that is stored where other processes publish into the same streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEvent {
    /// The number.
    pub id: EventId,
    /// `true` if an earlier attempt of the same delivery had stored it.
    pub is_repeated: bool,
}

/// A published event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// The stream it is in.
    pub kind: StreamKind,
    /// The workflow whose stream that is.
    pub workflow_id: Arc<str>,
    /// The delivery that published it.
    pub delivery: Uuid,
    /// The channel; empty for the default one.
    pub name: Box<str>,
    /// The number of emitted events that led to it, each by starting the execution that emitted the
    /// next.
    pub depth: u32,
    /// Its content.
    pub content: EventContent,
}

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventContent {
    /// JSON, for queries.
    Json(Bytes),
    /// A frame, for followers.
    Frame(Frame),
}

impl EventContent {
    /// Returns the bytes that are persisted.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Json(json) => json.clone(),
            Self::Frame(frame) => frame.plain(),
        }
    }

    /// Restores the persisted content of a stream of this kind.
    #[must_use]
    pub fn restored(kind: StreamKind, bytes: Vec<u8>) -> Self {
        match kind {
            StreamKind::Sse => Self::Frame(Frame::new(&bytes)),
            StreamKind::Emits | StreamKind::Errors => Self::Json(bytes.into()),
        }
    }
}

impl Event {
    /// Returns the event with another number.
    #[must_use]
    pub fn renumbered(self, id: EventId) -> Self {
        let Self { id: old, kind, workflow_id, delivery, name, depth, content } = self;
        let (bytes, head) = (content.bytes(), format!("id: {old}\n"));
        let content = match kind {
            StreamKind::Sse if bytes.starts_with(head.as_bytes()) => bytes.slice(head.len()..),
            StreamKind::Sse | StreamKind::Emits | StreamKind::Errors => bytes,
        };
        NewEvent { kind, workflow_id, delivery, name, depth, content }.numbered(id)
    }

    /// Bytes that it holds in memory, roughly.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.bytes().len() + self.name.len() + 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_whatever_the_clock_does() {
        let at = Timestamp::from_millis;
        let mut last = EventId::default();
        for (now, expected) in
            [(5, "5-0"), (5, "5-1"), (7, "7-0"), (6, "7-1"), (7, "7-2"), (8, "8-0")]
        {
            last = EventId::after(last, at(now));
            assert_eq!(last.to_string(), expected);
        }
        let full = EventId { ms: 9, n: (1 << COUNTER_BITS) - 1 };
        assert_eq!(EventId::after(full, at(9)), EventId { ms: 10, n: 0 });
    }

    #[test]
    fn numbers_survive_text_and_file() {
        let id = EventId { ms: 1_606_511_826_306, n: 17 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(EventId::unpacked(id.packed()), id);
        assert!(id.packed() < EventId { ms: id.ms, n: 18 }.packed());
    }

    #[test]
    fn another_number_is_in_the_frame_too() {
        for kind in StreamKind::ALL {
            let new = NewEvent {
                kind,
                workflow_id: "p_1".into(),
                delivery: Uuid::nil(),
                name: "n".into(),
                depth: 1,
                content: Bytes::from_static(b"data: id: 5-1\n\n"),
            };
            let [first, second] = [(5, 1), (6, 0)].map(|(ms, n)| EventId { ms, n });
            let expected = new.clone().numbered(second);
            assert_eq!(new.numbered(first).renumbered(second), expected);
        }
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "",
            "-",
            "1-",
            "-1",
            "1",
            "+1-0",
            "1-0x",
            "1--0",
            " 1-0",
            "1-1048576",
            "99999999999999999999-0",
            "4398046511104-0",
            "é-0",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(NoEventId), "{text}");
        }
    }
}
