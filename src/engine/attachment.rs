//! What is open beside an engine and closes with it: its server.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::Engine;
use crate::observability::time::Timestamp;

/// A server of an engine, as the engine sees it.
pub trait Attachment: Send + Sync + std::fmt::Debug {
    /// The address that it listens on.
    fn address(&self) -> SocketAddr;

    /// How it is reached, without a slash at the end.
    fn url(&self) -> &str;

    /// A URL that opens the stream of a workflow until a time.
    fn signed_stream_url(&self, workflow_id: &str, until: Timestamp) -> String;

    /// Takes no more requests, and ends those that are under way.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Engine {
    /// Gives the engine its server. The first one counts.
    pub fn attach(&self, attachment: Box<dyn Attachment>) {
        // Only the opening of an engine does this, once.
        let _ = self.attachment.set(attachment);
    }

    /// The engine's server, if it has one.
    #[must_use]
    pub fn attachment(&self) -> Option<&dyn Attachment> {
        self.attachment.get().map(AsRef::as_ref)
    }

    /// Takes note of a socket that the engine itself listens on: no delivery reaches it.
    pub fn own_socket(&self, address: SocketAddr) {
        self.own_sockets.add(address);
    }

    /// Whether the engine takes no more work.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.check_open().is_err()
    }

    /// Whether everything that belongs to the engine is closed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Lets those who follow streams take what was published, and closes the server.
    pub(super) async fn detach(&self) {
        self.streams.end();
        if let Some(attachment) = self.attachment() {
            attachment.close().await;
        }
    }
}
