//! The numbers of executions, which grow with time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Timestamp;

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);
/// The place of this process among those that share a journal, plus one; 0: it shares none.
static SLOT: AtomicU64 = AtomicU64::new(0);

/// Processes that can share a journal at once.
pub const SLOTS: u64 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 10;
/// Bits of a shared number below its milliseconds: a counter, and the slot.
const SHARED_BITS: u32 = SLOT_BITS + 12;
/// The beginning of shared numbers: 2020-01-01.
const SHARED_EPOCH: u64 = 1_577_836_800_000;

/// Returns the smallest shared number of an execution that begins then.
#[must_use]
pub const fn first_shared_serial(at: Timestamp) -> u64 {
    at.as_millis().saturating_sub(SHARED_EPOCH) << SHARED_BITS
}

/// Returns the next number of an execution. Shared numbers grow with time and hold the slot, so that
/// no two processes give the same.
pub(super) fn next() -> u64 {
    let slot = SLOT.load(Ordering::Relaxed);
    if slot == 0 {
        return NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
    }
    let now = first_shared_serial(Timestamp::recent());
    let following = |last: u64| ((last.max(now) >> SLOT_BITS) + 1) << SLOT_BITS | (slot - 1);
    let given = NEXT_SERIAL
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(following(last) + 1));
    following(given.unwrap_or_default())
}

/// Numbers from here on are larger than `serial`.
pub(super) fn number_after(serial: u64) {
    NEXT_SERIAL.fetch_max(serial + 1, Ordering::Relaxed);
}

/// Numbers from here on are those of a process that shares a journal, in this slot.
pub(super) fn number_in_slot(slot: u64) {
    SLOT.store(slot % SLOTS + 1, Ordering::Relaxed);
}
