//! `$send.emit`: an event for the subscribers of the workflow, which can also be queried later.

mod call;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod item;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::publisher::not_stored;
use super::{
    Attempt, BuiltIn, DeadLetter, Destination, Exchange, LaneRules, Outcome, Publisher, Resources,
    forward,
};
use crate::delivery::{Failure, Payload, Verdict};
use crate::error::{ErrorKind, Result};
use crate::execution::{RequestLog, ResponseLog};
use crate::streams::{ERRORS, NewEvent, Published, RawEvent, StreamKind, Subscriptions};
pub use call::renewed;
use item::Item;

/// Executions that may be started by each other's events in a row. Further events are refused: a
/// loop would never end.
pub const MAX_DEPTH: u32 = 16;

/// The emit destination: the streams of the workflows, and the subscribers.
#[derive(Debug)]
pub struct Emit {
    publisher: Publisher,
    subscriptions: Arc<Subscriptions>,
    /// Bytes of each call that the log keeps.
    log_body_bytes: usize,
}

/// The response in the log.
#[derive(Serialize)]
struct Emitted<'a> {
    id: String,
    listeners: usize,
    webhooks: Vec<&'a str>,
}

impl BuiltIn for Emit {
    type Config = ();

    const DEAD_LETTER: DeadLetter = Ok(forward::event);

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"event":{"a":1}}"#;

    /// Returns a destination that publishes to the streams and to the subscribers.
    fn open((): &(), resources: &Resources) -> Result<Self> {
        Ok(Self {
            publisher: resources.publisher.clone(),
            subscriptions: Arc::clone(&resources.subscriptions),
            log_body_bytes: resources.log_body_bytes,
        })
    }
}

impl Emit {
    /// Publishes on the channel `$errors` that an execution was completed with an error; returns
    /// the calls that deliver the event to webhooks.
    ///
    /// # Errors
    /// `Journal`, `Closed`: it could not be stored.
    pub async fn error(
        &self,
        attempt: &Attempt<'_>,
        content: String,
    ) -> Result<Vec<super::FollowUpCall>> {
        Ok(self.emit(StreamKind::Errors, attempt, ERRORS, content.into()).await?.2)
    }

    async fn emit(
        &self,
        kind: StreamKind,
        attempt: &Attempt<'_>,
        name: &str,
        content: bytes::Bytes,
    ) -> Result<(Published, usize, Vec<super::FollowUpCall>)> {
        let new_event = NewEvent {
            kind,
            workflow_id: attempt.workflow_id.into(),
            delivery: attempt.id,
            name: name.into(),
            depth: attempt.emit_depth,
            content,
        };
        let published = self.publisher.publish(new_event).await?;
        let event = &published.event;
        let webhooks = self.subscriptions.webhooks_for(&event.workflow_id, &event.name);
        let calls = webhooks.iter().map(|webhook| call::of(webhook, event)).collect();
        // The events of many processes come to the listeners of each by way of the streams.
        let listeners = if self.publisher.is_shared() {
            self.subscriptions.count_listeners(event)
        } else {
            self.subscriptions.publish(event)
        };
        Ok((published, listeners, calls))
    }
}

impl Destination for Emit {
    fn deliver<'a>(
        &'a self,
        payload: &'a Payload,
        attempt: &'a Attempt<'a>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.attempt(payload, attempt))
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.log_body_bytes)
    }

    fn lane_rules(&self) -> LaneRules {
        LaneRules { is_per_workflow: self.publisher.is_shared(), ..LaneRules::default() }
    }
}

impl Emit {
    async fn attempt(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        if attempt.emit_depth >= MAX_DEPTH {
            return Outcome::rejected(endless(attempt));
        }
        let item = match Item::of(payload) {
            Ok(item) => item,
            Err(failure) => return Outcome::rejected(failure),
        };
        let content = if item.is_raw {
            RawEvent::marked(item.event)
        } else {
            payload.text.slice_ref(item.event.as_bytes())
        };
        let emitted = self.emit(StreamKind::Emits, attempt, &item.channel, content).await;
        let (published, listeners, calls) = match emitted {
            Ok(emitted) => emitted,
            Err(error) => return not_stored(&error),
        };
        let webhooks = calls.iter().map(|call| &*call.workflow_id).collect();
        let said = Emitted { id: published.event.id.to_string(), listeners, webhooks };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        let exchange = Exchange { response, ..Exchange::default() };
        Outcome { calls, ..Outcome::of(Verdict::Delivered, exchange) }
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
