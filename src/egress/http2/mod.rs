//! Connections of HTTP/2, each shared by many requests.
//!
//! A connection has a task, which reads and writes for all of its streams. A request takes a
//! [`StreamSlot`] of a [`SharedConnection`] connection, so that never more streams are open than the server permits:
//! the others wait here, not in the protocol.
//!
//! **Invariant:** a connection on which nothing came back while a request ran into its deadline, or
//! for a while after a PING, gets no further requests.

mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod shared;
mod sieve;
mod task;
mod traffic;

pub(super) use exchange::{Ended, Http2Body, boxed};
pub(super) use shared::{SharedConnection, StreamSlot};
