//! The rows of batches that are being loaded, for the thread that loads them: it takes them from
//! here, piece by piece, and no other JavaScript ever sees them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

static PIECES: Mutex<Option<HashMap<u64, Vec<Bytes>>>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Rows that can be taken until this is dropped.
#[derive(Debug)]
pub(super) struct Handoff {
    /// What to ask for.
    pub ticket: u64,
}

impl Handoff {
    pub(super) fn new(pieces: Vec<Bytes>) -> Self {
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        all().get_or_insert_default().insert(ticket, pieces);
        Self { ticket }
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        if let Some(pieces) = &mut *all() {
            pieces.remove(&self.ticket);
        }
    }
}

/// One piece of the rows of a ticket; `None`: nobody waits for them to be loaded any more.
#[must_use]
pub fn piece(ticket: u64, number: usize) -> Option<Bytes> {
    all().as_ref()?.get(&ticket)?.get(number).cloned()
}

fn all() -> MutexGuard<'static, Option<HashMap<u64, Vec<Bytes>>>> {
    PIECES.lock().unwrap_or_else(PoisonError::into_inner)
}
