//! Points at which a thread of a test may give way to others, so that rare orders become common.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::simulated::draw;

/// The seed of the threads that begin; 0: no thread gives way.
static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Has all threads give way, by this seed, until the guard is dropped.
pub(super) fn begin(seed: u64) -> Yields {
    SEED.store(seed | 1, Ordering::Relaxed);
    Yields
}

/// Threads give way while it lives.
pub(super) struct Yields;

impl Drop for Yields {
    fn drop(&mut self) {
        SEED.store(0, Ordering::Relaxed);
    }
}

/// Gives way to other threads now and then.
pub(in crate::engine) fn here() {
    let seed = SEED.load(Ordering::Relaxed);
    if seed == 0 || crate::time::simulated::is_on() {
        return;
    }
    let mut state = STATE.get();
    if state == 0 {
        state = SEED.fetch_add(2, Ordering::Relaxed);
    }
    let drawn = draw(&mut state);
    STATE.set(state);
    match drawn % 8 {
        0 => (0..drawn % 5).for_each(|_| std::thread::yield_now()),
        1 => (0..drawn % 20_000).for_each(|_| std::hint::spin_loop()),
        _ => {}
    }
}
