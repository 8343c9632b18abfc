//! PostgreSQL as the warehouse: a batch is one transaction that makes the table what it has to be,
//! copies the rows, and writes down the id of the batch.
//!
//! `server` reads where it is; `dialect` and `copy` are its SQL and its rows, and pure; `client`
//! talks to it through the door to the network, with `tls`; `classify` says what its errors mean.

mod classify;
mod client;
mod copy;
mod dialect;
mod server;
mod tls;

pub(super) use client::PostgreSql;
pub use server::Server;
