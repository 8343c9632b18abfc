//! `$send.emit`: an event for whoever subscribed to the workflow, and for those who ask later.

mod call;
mod item;

use std::sync::Arc;

use serde::Serialize;

use super::{Attempt, Destination, Exchange, Failure, Outcome, Payload, Verdict};
use crate::error::ErrorKind;
use crate::observability::log::ResponseLog;
use crate::streams::{Content, Draft, ERRORS, Published, StreamKind, Streams, Subscriptions};
use item::Item;

/// Executions that may be started by each other's events in a row. Further events are refused: a
/// loop would never end.
pub const MAX_DEPTH: u32 = 16;

/// The emit destination: the streams of the workflows, and the subscribers.
#[derive(Debug)]
pub struct Emit {
    streams: Arc<Streams>,
    subscriptions: Arc<Subscriptions>,
}

/// What the log shows as the response.
#[derive(Serialize)]
struct Emitted<'a> {
    id: String,
    listeners: usize,
    webhooks: Vec<&'a str>,
}

impl Emit {
    /// A destination that publishes to `streams` and tells those in `subscriptions`.
    #[must_use]
    pub const fn new(streams: Arc<Streams>, subscriptions: Arc<Subscriptions>) -> Self {
        Self { streams, subscriptions }
    }

    /// Publishes that an execution was completed with an error, on the channel `$errors`; the answer
    /// names the calls that tell webhooks of it.
    #[must_use]
    pub fn error(&self, attempt: &Attempt<'_>, content: String) -> Vec<super::Call> {
        self.emit(StreamKind::Errors, attempt, ERRORS, content.into()).2
    }

    fn emit(
        &self,
        kind: StreamKind,
        attempt: &Attempt<'_>,
        name: &str,
        content: bytes::Bytes,
    ) -> (Published, usize, Vec<super::Call>) {
        let draft = Draft {
            kind,
            workflow_id: attempt.workflow_id.into(),
            delivery: attempt.id,
            name: name.into(),
            depth: attempt.emit_depth,
        };
        let published = self.streams.publish(draft, |_| Content::Json(content));
        let event = &published.event;
        let webhooks = self.subscriptions.webhooks_for(&event.workflow_id, &event.name);
        let calls = webhooks.iter().map(|webhook| call::of(webhook, event)).collect();
        let listeners = self.subscriptions.tell(event);
        (published, listeners, calls)
    }
}

impl Destination for Emit {
    async fn deliver(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        if attempt.emit_depth >= MAX_DEPTH {
            return Outcome::rejected(endless(attempt));
        }
        let item = match Item::of(payload) {
            Ok(item) => item,
            Err(failure) => return Outcome::rejected(failure),
        };
        let content = payload.text.slice_ref(item.event.as_bytes());
        let (published, listeners, calls) =
            self.emit(StreamKind::Emits, attempt, &item.channel, content);
        let webhooks = calls.iter().map(|call| &*call.workflow_id).collect();
        let said = Emitted { id: published.event.id.to_string(), listeners, webhooks };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        let exchange = Exchange { request: None, response, warnings: Vec::new() };
        Outcome { verdict: Verdict::Delivered, exchange, calls }
    }
}

fn endless(attempt: &Attempt<'_>) -> Failure {
    let message = format!(
        "the event is the {}th in a row of executions that were started by each other's events, \
         and {MAX_DEPTH} are the limit: workflow {} listens to itself, perhaps by way of others",
        attempt.emit_depth + 1,
        attempt.workflow_id,
    );
    Failure::new(ErrorKind::EmitLoop, message)
}
