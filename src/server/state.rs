//! The state that all routes share.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::access::Access;
use super::operations::Readiness;
use super::response::ApiError;
use crate::engine::Engine;

/// The server's side of an engine. It does not keep the engine open.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Weak<Engine>,
    access: Access,
    test_calls: bool,
    readiness: Readiness,
    stopped: watch::Receiver<bool>,
}

impl Shared {
    pub(super) fn new(
        engine: &Arc<Engine>,
        access: Access,
        test_calls: bool,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let (engine, readiness) = (Arc::downgrade(engine), Readiness::default());
        Self(Arc::new(Inner { engine, access, test_calls, readiness, stopped }))
    }

    /// Resolves when the server is to end.
    pub(super) async fn stopped(&self) {
        let mut stopped = self.0.stopped.clone();
        // Without a sender the server is gone.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Returns the engine, while it is open.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, ApiError> {
        self.0.engine.upgrade().filter(|engine| !engine.is_closed()).ok_or_else(ApiError::closed)
    }

    /// Returns `true` if the operator allows test calls.
    pub(super) fn allows_test_calls(&self) -> bool {
        self.0.test_calls
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub(super) fn access(&self) -> &Access {
        &self.0.access
    }
}
