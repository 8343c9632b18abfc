//! `$send.s3`: records in batches, each batch one object.
//!
//! The way of a call: `item` reads it and checks its target, `object` adds it to the batch of its
//! bucket and prefix, which `lines` encodes (or DuckDB, as Parquet) and `key` names, and `client` stores the batch: in a
//! service (`remote`, over `wire`, under the egress policy), classified by `classify`, or as a file. `credentials`
//! finds the keys, in a `profile` or of a `session`.

mod classify;
mod client;
mod config;
mod credentials;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod item;
mod key;
mod lines;
mod object;
mod profile;
mod remote;
mod session;
mod wire;

use super::json;

pub use client::S3;
pub use config::{
    Address, AssumeRole, Checksum, Compression, Config, Environment, Format, Keys, Service,
};
