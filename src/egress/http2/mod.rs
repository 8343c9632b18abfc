//! Connections of HTTP/2, each shared by many requests.
//!
//! A connection has a task, which reads and writes for all of its streams. A request takes a
//! [`Slot`] of a [`Shared`] connection, so that never more streams are open than the server permits:
//! the others wait here, not in the protocol.
//!
//! **Invariant:** a connection on which nothing came back while a request ran into its deadline, or
//! for a while after a PING, gets no further requests.

mod answer;
mod shared;
mod task;
mod traffic;

pub(super) use answer::{Answer, Ended, boxed};
pub(super) use shared::{Shared, Slot};
