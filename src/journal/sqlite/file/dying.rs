//! The death of a simulated process in the middle of its upkeep: between two writes of one step.

use std::cell::{Cell, RefCell};

/// A death to come.
struct Death {
    /// The number of writes before it, in one step; the next sync of the step comes before more.
    writes: u64,
    die: Box<dyn FnOnce()>,
}

thread_local! {
    static DEATH: RefCell<Option<Death>> = const { RefCell::new(None) };
    static IS_UPKEEP: Cell<bool> = const { Cell::new(false) };
    static HAS_DIED: Cell<bool> = const { Cell::new(false) };
}

/// Lets the process die in the next step of its upkeep that writes: before the write after so many, or before
/// its first sync. `die` keeps the files as they are at that moment.
pub(crate) fn die_in_upkeep(writes: u64, die: impl FnOnce() + 'static) {
    DEATH.set(Some(Death { writes, die: Box::new(die) }));
}

/// Takes back a death that has not come, and revives the thread.
pub(crate) fn live_on() {
    DEATH.set(None);
    HAS_DIED.set(false);
}

/// Runs a step of the upkeep. Returns `true` if the process has died in it.
pub(crate) fn during_upkeep(run: impl FnOnce()) -> bool {
    IS_UPKEEP.set(true);
    run();
    IS_UPKEEP.set(false);
    HAS_DIED.get()
}

/// Counts a write that is about to be made.
pub(super) fn before_write() {
    let is_time = |death: &mut Death| {
        let is_time = death.writes == 0;
        death.writes = death.writes.saturating_sub(1);
        is_time
    };
    die_if(is_time);
}

/// Takes note that a sync is about to be made.
pub(super) fn before_sync() {
    die_if(|_| true);
}

fn die_if(is_time: impl FnOnce(&mut Death) -> bool) {
    if !IS_UPKEEP.get() {
        return;
    }
    let death = DEATH.with_borrow_mut(|death| death.take_if(is_time));
    if let Some(death) = death {
        HAS_DIED.set(true);
        (death.die)();
    }
}
