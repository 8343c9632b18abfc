//! The HTTP server of an engine, which closes with it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::Lifecycle;
use crate::time::Timestamp;

/// A server of an engine, as the engine sees it.
pub trait HttpServer: Send + Sync + std::fmt::Debug {
    /// The address that it listens on.
    fn address(&self) -> SocketAddr;

    /// Its base URL, without a slash at the end.
    fn url(&self) -> &str;

    /// A URL that opens the stream of a workflow until a time.
    fn signed_stream_url(&self, workflow_id: &str, until: Timestamp) -> String;

    /// Takes no more requests, and ends those that are under way.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Lifecycle {
    /// Gives the engine its server. The first one counts.
    pub(crate) fn attach(&self, server: Box<dyn HttpServer>) {
        self.self_addresses.add_front(server.url());
        // Only the opening of an engine does this, once.
        let _ = self.server.set(server);
    }

    /// Returns the engine's server, if it has one.
    pub(crate) fn server(&self) -> Option<&dyn HttpServer> {
        self.server.get().map(AsRef::as_ref)
    }

    /// Notes a socket that the engine itself listens on: no delivery reaches it.
    pub(crate) fn add_self_address(&self, address: SocketAddr) {
        self.self_addresses.add(address);
    }
}
