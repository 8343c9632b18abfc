//! What workflows publish: the recent events of their streams, who follows them, and who subscribed.
//!
//! [`Streams`] orders and keeps events and hands each of them, once encoded, to all who follow;
//! [`Subscriptions`] knows which webhooks and listeners are to be told. Memory alone, no I/O.

mod event;
mod follower;
mod frame;
pub mod glob;
mod hub;
mod subscriptions;

pub use event::{Content, Event, EventId, NoEventId, StreamKind};
pub use follower::{Coding, Follower};
pub use frame::Frame;
pub use hub::{Draft, Following, GAP, Keeper, Published, RECENT, Streams};
pub use subscriptions::{ERRORS, Registration, Subscription, Subscriptions, Webhook, Wish};
