//! `$send.email`: one mail per call, over SMTP or into a file.
//!
//! The way of a call: [`item`](self) reads the fields, `recipients` decides who gets it under the
//! operator's policy, `message` makes the MIME text, `limits` whether it may leave now, `client`
//! gives it to the SMTP server (`server`, `dialogue`) or writes it (`file`), `exchange` is what the
//! log keeps.

mod client;
mod config;
mod dialogue;
mod exchange;
mod file;
mod item;
mod limits;
mod message;
mod recipients;
mod server;

use super::json;

pub use client::{Email, describe};
pub use config::{Config, Limits, Own, Rate};
pub use recipients::{Allowed, mailbox, mailboxes};
pub use server::Server;
