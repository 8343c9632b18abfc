//! What can be seen from outside: the log of every delivery, the events and the counters.
//!
//! It only records; it never calls back into what it watches.

pub mod events;
pub mod log;
pub mod redact;
pub mod stats;
pub mod time;
