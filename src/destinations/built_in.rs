//! The trait of a destination that is built in: how it is opened, and what is known of it without an
//! engine.

use std::fmt;
use std::sync::Arc;

use super::{Destination, Publisher};
use crate::delivery::Payload;
use crate::egress::Egress;
use crate::error::Result;
use crate::execution::RequestLog;
use crate::jobs::Jobs;
use crate::streams::Subscriptions;

/// How a destination takes a dead letter: the text of its call, made from the failed delivery as the log
/// shows it; or the reason why it takes none.
pub type DeadLetter = std::result::Result<fn(&str) -> String, &'static str>;

/// A destination that is built in. [`super::registry`] opens one of each.
pub trait BuiltIn: Destination + Sized {
    /// Its checked options; `()` if it has none.
    type Config: Clone + fmt::Debug + Default + PartialEq;

    /// The call that forwards a failed delivery.
    const DEAD_LETTER: DeadLetter = Err("takes no dead letters: write a destination of your own");

    /// A call, with the secret of [`super::contract`] where the destination takes one.
    #[cfg(test)]
    const EXAMPLE: &'static str;

    /// Opens it.
    ///
    /// # Errors
    /// `InvalidOption`.
    fn open(config: &Self::Config, resources: &Resources) -> Result<Self>;

    /// Returns the log entry of a pending call when no destination is configured. It has nothing that
    /// an engine's options may hide, such as bodies and headers.
    fn describe_alone(payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, 0)
    }
}

/// The parts that the destinations of one engine share.
#[derive(Debug, Clone)]
pub struct Resources {
    /// The way to the network.
    pub egress: Egress,
    /// The way of events into the streams of the workflows.
    pub publisher: Publisher,
    /// The subscribers of emitted events.
    pub subscriptions: Arc<Subscriptions>,
    /// The jobs for JavaScript.
    pub jobs: Arc<Jobs>,
    /// `true` if a server makes the streams readable.
    pub is_served: bool,
    /// Bytes of a call that the log keeps, for destinations without an option of their own.
    pub log_body_bytes: usize,
}

impl Resources {
    /// Returns resources that nothing else uses.
    #[must_use]
    pub fn new(egress: Egress, log_body_bytes: usize) -> Self {
        Self {
            egress,
            publisher: Publisher::default(),
            subscriptions: Arc::default(),
            jobs: Arc::default(),
            is_served: false,
            log_body_bytes,
        }
    }
}
