//! ClickHouse as the warehouse, over its HTTP interface: a batch is one `INSERT` with the id of the
//! batch, so that the server drops repeated ones.
//!
//! There are no transactions: a table is widened first, each column saying in its comment which key
//! it is for, and then filled. `server` reads where it is; `dialect` and `lines` are its SQL and its
//! rows, and pure; `client` connects to it through the egress gateway; `classify` reads its
//! responses.

mod classify;
mod client;
mod dialect;
mod lines;
mod server;

pub(super) use client::ClickHouse;
pub use server::ClickHouseServer;
