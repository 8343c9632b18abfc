//! What every route may use.

use std::sync::{Arc, Weak};

use super::access::Access;
use super::answer::Refused;
use crate::engine::Engine;

/// The server's side of an engine. It keeps the engine from nothing: who forgets it, ends it.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Weak<Engine>,
    access: Access,
}

impl Shared {
    pub(super) fn new(engine: &Arc<Engine>, access: Access) -> Self {
        Self(Arc::new(Inner { engine: Arc::downgrade(engine), access }))
    }

    /// The engine, while it is open.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, Refused> {
        self.0.engine.upgrade().filter(|engine| !engine.is_closed()).ok_or_else(Refused::closed)
    }

    pub(super) fn access(&self) -> &Access {
        &self.0.access
    }
}
