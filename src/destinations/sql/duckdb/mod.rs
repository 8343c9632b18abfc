//! DuckDB, which runs in JavaScript: the npm package is prebuilt, and as large as everything else.
//!
//! Rust decides what is done and writes the SQL and the rows; the thread that opened the engine has it
//! run in processes of their own (`js/warehouse/duckdb`). One batch at a time is loaded, in one transaction that
//! also writes down its id.

mod client;
mod dialect;
mod hold;
mod parquet;
mod threads;
mod transfer;

pub use client::DuckDb;
pub use hold::{Hold, HoldError, Purpose};
pub use parquet::{ParquetConfig, ParquetWriter};
pub use threads::DuckDbThreads;
