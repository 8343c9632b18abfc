//! `$send.email`: one mail per call, over SMTP or into a file.
//!
//! The way of a call: `item` reads the fields (`addresses` of mailboxes, `content` of attachments,
//! `extra` of headers), `recipients` decides who gets it under the operator's policy, `message` makes
//! the MIME text of `header` and `part`, `limits` decides whether it may leave now. `client` gives it
//! to the SMTP server (`relay`, `smtp`, `token`) or writes it (`file`). `exchange` is what the log
//! keeps.

mod address;
mod addresses;
mod client;
mod config;
mod content;
mod exchange;
mod extra;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod header;
mod item;
mod limits;
mod message;
mod part;
mod recipients;
mod relay;
mod server;
mod smtp;
mod token;

use super::json;

pub use address::{EmailAddress, Mailbox};
pub use client::Email;
pub use config::{Config, Limits, WorkflowPeople};
pub use extra::HeaderPattern;
pub use recipients::{Allowed, mailbox};
pub use server::SmtpServer;
pub use token::{Refresh, TokenLogin};
