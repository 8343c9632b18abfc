//! Connections to PostgreSQL: of the warehouse, and of the shared journal.
//!
//! `uri` and `server` read where it is, and are pure; `tls` and `framing` are the connection;
//! `connector` opens one.

mod connector;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod server;
mod tls;
mod uri;

pub use connector::{ConnectError, Connector, Trusted};
pub use framing::ServerProcess;
pub(crate) use framing::{Framed, TooLarge};
pub use server::PostgreSqlServer;
pub(crate) use tls::{Encrypt, Encrypted, trusting};
