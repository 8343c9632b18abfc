//! `$send.sse`: an event for the browsers that follow the workflow's stream.

mod item;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::{Attempt, Destination, Exchange, Outcome, Payload, Verdict};
use crate::observability::log::ResponseLog;
use crate::streams::{Content, Draft, StreamKind, Streams};
use item::Item;

/// The SSE destination: the streams of the workflows.
#[derive(Debug)]
pub struct Sse {
    streams: Arc<Streams>,
    /// Whether a server is open from which the streams can be read.
    served: bool,
    /// Whether it was said that there is none.
    told: AtomicBool,
}

/// What the log shows as the response.
#[derive(Serialize)]
struct Streamed {
    id: String,
    clients: usize,
}

impl Sse {
    /// A destination that publishes to `streams`; `served` says whether anybody can read them.
    #[must_use]
    pub const fn new(streams: Arc<Streams>, served: bool) -> Self {
        Self { streams, served, told: AtomicBool::new(false) }
    }
}

impl Destination for Sse {
    async fn deliver(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let item = match Item::of(payload) {
            Ok(item) => item,
            Err(failure) => return Outcome::rejected(failure),
        };
        let draft = Draft {
            kind: StreamKind::Sse,
            workflow_id: attempt.workflow_id.into(),
            delivery: attempt.id,
            name: (&*item.channel).into(),
            depth: 0,
        };
        let published = self.streams.publish(draft, |id| Content::Frame(item.frame(id)));
        let mut warnings = Vec::new();
        if item.mended {
            let message = "line breaks and NULs in the channel are sent as spaces, and `:gap`, which \
                           is an event of the server, with a space before it";
            warnings.push(message.to_owned());
        }
        if !self.served && !self.told.swap(true, Ordering::Relaxed) {
            let message = "nobody can read the stream: the engine was opened without `server`";
            warnings.push(message.to_owned());
        }
        let said = Streamed { id: published.event.id.to_string(), clients: published.followers };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        let exchange = Exchange { request: None, response, warnings };
        Outcome::of(Verdict::Delivered, exchange)
    }
}
