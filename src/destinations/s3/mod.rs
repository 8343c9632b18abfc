//! `$send.s3`: records in batches, each batch one object.
//!
//! The way of a call: `item` reads it and checks where it is to go, `lines` encodes it into the
//! batch of its bucket and prefix, `key` names the batch when it is closed, and `client` stores it:
//! over the network (`wire`, under the egress policy), classified by `classify`, or as a file.

mod classify;
mod client;
mod config;
mod credentials;
mod item;
mod key;
mod lines;
mod wire;

use super::json;

pub use client::{S3, bucket_of};
pub use config::{Address, AssumeRole, Compression, Config, Keys, Service};
pub use lines::Lines;
