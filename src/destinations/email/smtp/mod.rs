//! A session with an SMTP server (RFC 5321).
//!
//! `reply` reads what the server says, `wire` sends commands and waits for replies, `extensions` is
//! what EHLO offers, `auth` logs in, `dots` is the form of a mail in DATA, `verdict` classifies what
//! went wrong. Start reading at `session`.
//!
//! **Invariant:** a mail counts as delivered only by a 2xx reply that arrived after its last byte was
//! written. **Invariant:** nothing that arrived before a TLS handshake is read after it.

mod auth;
mod dots;
mod extensions;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod reply;
mod session;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use auth::Login;
pub(super) use reply::Reply;
pub(super) use session::{ConnectParams, Deferred, Parcel, Session};
pub(super) use verdict::Stop;
pub(super) use wire::SmtpStream;
