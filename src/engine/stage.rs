//! The stage of an engine: open, closed, cut off, ended.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::closed;
use crate::error::Result;

/// The stage of an engine, which only goes forward.
#[derive(Debug)]
pub(crate) struct Stage {
    closed: AtomicBool,
    /// The closing deadline has passed: what is still committed is interrupted.
    cut_off: AtomicBool,
    /// `true` once everything that belongs to the engine is closed.
    ended: watch::Sender<bool>,
}

impl Default for Stage {
    fn default() -> Self {
        let (closed, cut_off) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { closed, cut_off, ended: watch::channel(false).0 }
    }
}

impl Stage {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses work once the engine takes no more.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Acquire)
    }

    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until everything is closed.
    pub(crate) async fn ended(&self) {
        // The sender is in `self`: it cannot go away meanwhile.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}
