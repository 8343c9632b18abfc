//! `$send.sse`: an event for the browsers that follow the workflow's stream.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod item;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::publisher::not_stored;
use super::{
    Attempt, BuiltIn, DeadLetter, Destination, Exchange, LaneRules, Outcome, Publisher, Resources,
};
use crate::delivery::{Payload, Verdict};
use crate::error::Result;
use crate::execution::{RequestLog, ResponseLog};
use crate::streams::{NewEvent, StreamKind};
use item::Item;

/// The SSE destination: the streams of the workflows.
#[derive(Debug)]
pub struct Sse {
    publisher: Publisher,
    /// True if a server is open from which the streams can be read.
    served: bool,
    /// Bytes of each call that the log keeps.
    log_body_bytes: usize,
    /// True once the warning about a missing server was logged.
    warned_once: AtomicBool,
}

/// The response in the log.
#[derive(Serialize)]
struct Streamed {
    id: String,
    clients: usize,
}

impl BuiltIn for Sse {
    type Config = ();

    const DEAD_LETTER: DeadLetter = Err("keeps nothing: use 'emit'");

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"channel":"c","payload":{"a":1}}"#;

    /// Returns a destination that publishes to the streams.
    fn open((): &(), resources: &Resources) -> Result<Self> {
        Ok(Self {
            publisher: resources.publisher.clone(),
            served: resources.is_served,
            log_body_bytes: resources.log_body_bytes,
            warned_once: AtomicBool::new(false),
        })
    }
}

impl Destination for Sse {
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
        let is_shared = self.publisher.is_shared();
        LaneRules { is_per_workflow: is_shared, begins_in_order: is_shared, ..LaneRules::default() }
    }
}

impl Sse {
    async fn attempt(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let item = match Item::of(payload) {
            Ok(item) => item,
            Err(failure) => return Outcome::rejected(failure),
        };
        let new_event = NewEvent {
            kind: StreamKind::Sse,
            workflow_id: attempt.workflow_id.into(),
            delivery: attempt.id,
            name: (&*item.channel).into(),
            depth: 0,
            content: item.lines(),
        };
        let published = match self.publisher.publish(new_event).await {
            Ok(published) => published,
            Err(error) => return not_stored(&error),
        };
        let mut warnings = Vec::new();
        if item.mended {
            let message = "line breaks and NULs in the channel are sent as spaces, and `:gap`, which \
                           is an event of the server, with a space before it";
            warnings.push(message.to_owned());
        }
        let is_readable = self.served || self.publisher.is_shared();
        if !is_readable && !self.warned_once.swap(true, Ordering::Relaxed) {
            let message = "nobody can read the stream: the engine was opened without `server`";
            warnings.push(message.to_owned());
        }
        let said = Streamed { id: published.event.id.to_string(), clients: published.followers };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        let exchange = Exchange { response, warnings, ..Exchange::default() };
        Outcome::of(Verdict::Delivered, exchange)
    }
}
