//! The figures of one terminal delivery, for statistics.

use serde::Deserialize;

use super::{DeliveryRequest, Entry, Status, Target};
use crate::time::Timestamp;

/// The number of samples that one look takes at most, the newest.
pub const MAX_SAMPLES: usize = 50_000;

/// The figures of a terminal delivery.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The time at which it became terminal.
    pub at: Timestamp,
    /// `Delivered` or `Failed`.
    pub status: Status,
    /// The host of its request; the name of the destination if there is none.
    pub host: String,
    /// `false` if `host` is the name of the destination.
    pub has_host: bool,
    /// The HTTP status of its response.
    pub http_status: Option<u16>,
    /// The duration of its last attempt.
    pub duration_ms: Option<f64>,
}

/// The members of a response that are counted.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SampleMembers {
    status: Option<u16>,
    duration_ms: Option<f64>,
}

impl Sample {
    /// Reads the figures of a delivery from its request and response, JSON objects.
    #[must_use]
    pub fn new(
        at: Timestamp,
        status: Status,
        destination: &str,
        request: &str,
        response: Option<&str>,
    ) -> Self {
        let host = Target::of(request).host();
        let response = response.map(serde_json::from_str::<SampleMembers>);
        let SampleMembers { status: http_status, duration_ms } =
            response.and_then(Result::ok).unwrap_or_default();
        let has_host = !host.is_empty();
        let host = if has_host { host } else { destination.to_owned() };
        Self { at, status, host, has_host, http_status, duration_ms }
    }

    /// Reads the figures of an entry; `None` if it was not sent.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let at = entry.settled_at?;
        if entry.status == Status::Discarded {
            return None;
        }
        let request = match &entry.request {
            DeliveryRequest::Sent(request) => request.head(),
            DeliveryRequest::Recorded(_) => "{}".into(),
        };
        let response = entry.response.as_ref().map(|response| response.head());
        let destination = entry.kind.name();
        Some(Self::new(at, entry.status, destination, &request, response.as_deref()))
    }
}
