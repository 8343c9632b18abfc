//! The life of an engine: its opening, recovery, its handles and its server, and its end.

mod handle;
mod open;
mod recovery;
pub mod registry;
pub mod runtime;
mod server;
mod shutdown;

pub use handle::Handle;
pub use server::HttpServer;
pub use shutdown::{Drained, OpenExecution};

pub(crate) use open::open;
pub(crate) use shutdown::{flush, open_executions};

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use crate::egress::SelfAddresses;

/// The outside of one engine: its handles, its server, and the addresses that it listens on.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    handles: AtomicUsize,
    server: OnceLock<Box<dyn HttpServer>>,
    self_addresses: SelfAddresses,
}

impl Lifecycle {
    /// The life of an engine that one handle holds.
    fn new(self_addresses: SelfAddresses) -> Self {
        Self { handles: AtomicUsize::new(1), server: OnceLock::new(), self_addresses }
    }
}
