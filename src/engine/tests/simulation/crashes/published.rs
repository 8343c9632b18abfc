//! The events that an engine published: the ends of deliveries.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::ledger::Ledger;
use crate::observability::events::Subscriber;

/// The events of the present process.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) subscriber: Option<Arc<Subscriber>>,
    /// Ends that are not in the ledger yet.
    ends: Vec<End>,
}

/// The end of a delivery, as it was published.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub(super) id: Uuid,
    step: String,
    status: String,
    pub(super) replay_of: Option<Uuid>,
    pub(super) settled_at: Option<String>,
}

impl End {
    /// Returns the number of the call.
    pub(super) fn call(&self) -> usize {
        self.step[1..].parse().unwrap()
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.status == "delivered"
    }
}

impl Ledger {
    /// Takes what the engine published.
    pub(super) fn take_events(&mut self) {
        self.learn_ids();
        for end in std::mem::take(&mut self.published.ends) {
            self.settle(&end);
        }
    }

    /// Learns the ids of calls that ended without an attempt.
    pub(super) fn learn_ids(&mut self) {
        let Some(subscriber) = self.published.subscriber.clone() else { return };
        while let Some(text) = subscriber.take() {
            let events: Vec<(String, End)> = serde_json::from_str(&text).unwrap();
            for (_, end) in events {
                if end.replay_of.is_none() {
                    self.calls[end.call()].id.get_or_insert(end.id);
                }
                self.published.ends.push(end);
            }
        }
    }
}
