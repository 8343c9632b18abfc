//! The clock and the chances of a simulation: those of the thread that runs it. Time is the paused clock of
//! its runtime, and chance its seed.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

use super::Timestamp;

thread_local! {
    /// The beginning, and the time at which it was.
    static BEGUN: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
    static CHANCES: RefCell<u64> = const { RefCell::new(0) };
}

/// The time at which every simulation begins.
const START: u64 = 1_795_000_000_000;

/// Begins a simulation on this thread, inside of its runtime.
pub(crate) fn begin(seed: u64) {
    begin_at(START, seed);
}

/// Begins a simulation at this time, in milliseconds: that of a process after another one.
pub(crate) fn begin_at(time: u64, seed: u64) {
    BEGUN.set(Some((Instant::now(), time)));
    CHANCES.replace(seed);
}

/// Ends the simulation of this thread.
pub(crate) fn end() {
    BEGUN.set(None);
}

/// Returns `true` if this thread runs a simulation.
pub(crate) fn is_on() -> bool {
    BEGUN.get().is_some()
}

/// Returns the time since the beginning of the simulation; `None`: there is none.
pub(crate) fn passed() -> Option<Duration> {
    BEGUN.get().map(|(begun, _)| begun.elapsed())
}

/// Returns the present of the simulation; `None`: there is none.
pub(crate) fn now() -> Option<Timestamp> {
    let (_, time) = BEGUN.get()?;
    let passed = u64::try_from(passed()?.as_millis()).unwrap_or(u64::MAX);
    Some(Timestamp::from_millis(time.saturating_add(passed)))
}

/// Returns a number from 0 to 1 that the seed decides; `None`: there is no simulation.
pub(crate) fn chance() -> Option<f64> {
    let drawn = is_on().then(|| CHANCES.with_borrow_mut(draw))?;
    #[expect(clippy::cast_precision_loss, reason = "32 bits are exact")]
    let share = (drawn >> 32) as f64 / f64::from(u32::MAX);
    Some(share)
}

/// Draws the next number (`SplitMix64`).
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
