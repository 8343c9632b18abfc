//! PostgreSQL as the warehouse: a batch is one transaction that copies the rows and records the id of
//! the batch. If the table has to change, that is a transaction of its own before it, so that its
//! lock is held for no longer than the change takes.
//!
//! [`crate::postgres`] reads where it is; `columns` compares what was recorded of a table with what it
//! is; `dialect` and `copy` are its SQL and its rows, and pure; `client` connects to it through the
//! egress gateway; `classify` says what its errors mean.

mod classify;
mod client;
mod columns;
mod copy;
mod dialect;

pub use crate::postgres::PostgreSqlServer;
pub(super) use client::PostgreSql;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use dialect::NAMING;
