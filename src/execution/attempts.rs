//! The attempts of a delivery: the time of each phase, and how it ended.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ResponseLog;
use crate::delivery::{Failure, Phase};
use crate::time::Timestamp;

/// The attempts that a delivery keeps, the newest.
pub const MAX_ATTEMPTS_KEPT: usize = 20;

/// The attempts of a delivery, oldest first. A delivery whose only attempt succeeded keeps none: its
/// response has the phases.
#[derive(Debug, Clone, Default)]
pub struct AttemptLog {
    /// Each as a JSON object.
    rows: Vec<Box<RawValue>>,
    /// The time at which the next attempt is due.
    due: Option<Timestamp>,
}

/// One attempt.
#[derive(Debug)]
pub struct MadeAttempt<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// The time at which it began.
    pub started_at: Timestamp,
    /// The time of the call.
    pub recorded_at: Timestamp,
    /// Its duration in milliseconds.
    pub duration_ms: f64,
    /// The response, if there was one.
    pub response: Option<&'a ResponseLog>,
    /// The phases, a JSON object, if there was no response.
    pub timings: Option<&'a RawValue>,
    /// `None`: it delivered.
    pub failure: Option<&'a Failure>,
    /// The time of the next attempt, if there is one.
    pub next: Option<Timestamp>,
}

/// The members of a response that an attempt has, too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseMembers<'a> {
    status: Option<u16>,
    #[serde(borrow)]
    timings: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView<'a> {
    attempt: u32,
    started_at: Timestamp,
    queue_ms: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AttemptError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct AttemptError<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
}

impl AttemptLog {
    /// Adds an attempt. The oldest makes room for it.
    pub fn push(&mut self, made: &MadeAttempt<'_>) {
        let head = made.response.map(ResponseLog::head);
        let response: ResponseMembers<'_> =
            head.as_deref().and_then(|head| serde_json::from_str(head).ok()).unwrap_or_default();
        let waited_since = self.due.unwrap_or(made.recorded_at).as_millis();
        let view = AttemptView {
            attempt: made.number,
            started_at: made.started_at,
            queue_ms: made.started_at.as_millis().saturating_sub(waited_since),
            duration_ms: made.duration_ms,
            status: response.status.or_else(|| made.failure?.status),
            timings: response.timings.or(made.timings),
            error: made.failure.map(|failure| AttemptError {
                code: failure.kind.code(),
                message: &failure.message,
                phase: failure.phase.map(Phase::as_str),
            }),
            next_attempt_at: made.next,
        };
        if self.rows.len() >= MAX_ATTEMPTS_KEPT {
            self.rows.remove(0);
        }
        self.rows.extend(serde_json::value::to_raw_value(&view));
        self.due = made.next;
    }

    /// Returns the attempts, oldest first, each a JSON object.
    #[must_use]
    pub fn rows(&self) -> &[Box<RawValue>] {
        &self.rows
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        self.rows.iter().map(|row| row.get().len() + size_of::<Box<RawValue>>()).sum()
    }

    /// As one text, a JSON array.
    #[must_use]
    pub fn to_text(&self) -> String {
        super::array(&self.rows)
    }

    /// Parses the text of [`AttemptLog::to_text`]. The next attempt is due then.
    #[must_use]
    pub fn from_text(text: &str, due: Option<Timestamp>) -> Option<Self> {
        Some(Self { rows: serde_json::from_str(text).ok()?, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_newest_attempts_are_kept() {
        let failure = Failure::new(ErrorKind::Status, "503").with_status(503);
        let timings = serde_json::value::to_raw_value(&serde_json::json!({ "dnsMs": 1 })).unwrap();
        let mut log = AttemptLog::default();
        for number in 1..=25 {
            let at = |second: u32| Timestamp::from_millis(u64::from(second) * 1000);
            log.push(&MadeAttempt {
                number,
                started_at: at(number).after(std::time::Duration::from_millis(7)),
                recorded_at: at(1),
                duration_ms: 2.5,
                response: None,
                timings: Some(&timings),
                failure: Some(&failure),
                next: (number < 25).then(|| at(number + 1)),
            });
        }
        let text = log.to_text();
        let read = AttemptLog::from_text(&text, None).unwrap();
        assert_eq!(read.to_text(), text);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row["attempt"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (6..=25).collect::<Vec<_>>());
        assert_eq!(
            rows[19],
            serde_json::json!({
                "attempt": 25, "startedAt": "1970-01-01T00:00:25.007Z", "queueMs": 7,
                "durationMs": 2.5, "status": 503, "timings": { "dnsMs": 1 },
                "error": { "code": "ERR_SEND_STATUS", "message": "503" },
            })
        );
        assert_eq!(rows[18]["nextAttemptAt"], "1970-01-01T00:00:25.000Z");
        assert!(AttemptLog::from_text("{", None).is_none());
    }
}
