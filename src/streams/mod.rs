//! The publishing side of workflows: the recent events of their streams, followers and
//! subscriptions.
//!
//! [`Streams`] orders and keeps events and hands each of them, once encoded, to all who follow;
//! [`Subscriptions`] has the webhooks and listeners of each event. In memory, without I/O.

mod event;
mod follower;
mod frame;
mod hub;
mod raw_event;
mod subscriptions;
mod webhook;

pub use event::{Event, EventContent, EventId, NewEvent, NoEventId, StoredEvent, StreamKind};
pub use follower::{Follower, TransferCoding};
pub use frame::Frame;
pub use hub::{Following, GAP, PersistEvents, Published, RECENT, StreamStats, Streams};
pub use raw_event::RawEvent;
pub use subscriptions::{ERRORS, ListenerFilter, Registration, Subscription, Subscriptions};
pub use webhook::{OVERLAP_S, Webhook, WebhookChange, WebhookState};
