//! A handle of an engine: what one opener holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::Drained;
use crate::engine::{Engine, closed};
use crate::error::Result;

/// One opener's handle of an engine, which several openers may share. It is given back by
/// [`Handle::close`], [`Handle::release`] or its drop, once; the last one closes the engine.
#[derive(Debug)]
pub struct Handle {
    engine: Arc<Engine>,
    given_back: AtomicBool,
    /// The counts of the first `close()`.
    drained: OnceCell<Drained>,
}

impl Handle {
    /// The first handle of an engine.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, given_back: AtomicBool::new(false), drained: OnceCell::new() }
    }

    /// Adds a handle, unless the last one is closed.
    pub(super) fn share(engine: &Arc<Engine>) -> Option<Self> {
        let grow = |handles| (handles > 0).then_some(handles + 1);
        let handles = &engine.lifecycle.handles;
        let grown = handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow).is_ok();
        (grown && !engine.is_closed()).then(|| Self::new(Arc::clone(engine)))
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Refuses a handle that was given back.
    ///
    /// # Errors
    /// `Closed`.
    pub fn check_open(&self) -> Result<()> {
        if self.given_back.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Drains until the deadline and gives the handle back. Closing again returns the same counts.
    pub async fn close(&self, timeout: Duration) -> Drained {
        // Of several that close at once, the one whose turn it is gives it back.
        let close = || async {
            let is_first = !self.given_back.swap(true, Ordering::AcqRel);
            // A handle that was released before is counted no more.
            if is_first { self.close_now(timeout).await } else { self.counts().await }
        };
        *self.drained.get_or_init(close).await
    }

    /// Gives the handle back without waiting. Its deliveries go on.
    pub fn release(&self) {
        if !self.given_back.swap(true, Ordering::AcqRel) {
            self.abandon();
        }
    }

    /// Counts one handle less. Returns `true` for the last one: the engine takes no more work.
    pub(super) fn is_last(&self) -> bool {
        let is_last = self.engine.lifecycle.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last {
            self.engine.shared.stage.close();
        }
        is_last
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.release();
    }
}
