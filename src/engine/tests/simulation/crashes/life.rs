//! The processes of a simulation, one after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::super::dice::Dice;
use super::super::options::{LANES, config, destination};
use super::super::run::{note_panics, panics};
use super::super::world::{Mood, START, now};
use super::disk::{Disk, copy};
use super::ledger::{LaneModel, Ledger, SharedLedger, locked};
use super::operator::{Ending, Operator};
use crate::config::Config;
use crate::execution::Retention;
use crate::journal::{
    OnInterrupted, Options, SearchIndex, die_in_upkeep, has_disk_faults, has_upkeep, live_on,
    set_disk_faults, set_upkeep,
};
use crate::time::simulated;

/// Added to a seed for the choices of the upkeep.
const UPKEEP: u64 = 0x75_706b_6565_7000;
/// The longest time that a process takes to die in the middle of its upkeep.
const LONGEST_DEATH: Duration = Duration::from_secs(10);

/// The end of a simulation.
pub(super) struct Simulated {
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) attempts: u64,
    pub(super) deaths: u64,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Died,
    Closed,
    /// It closed while the disk failed.
    Failed,
}

/// Runs the simulation of a seed.
pub(super) fn simulate(seed: u64) -> Simulated {
    let has_upkeep = Dice::new(seed ^ UPKEEP).percent(70);
    simulate_with(seed, has_upkeep)
}

/// Runs the simulation of a seed, with checkpoints and upkeep or without.
pub(super) fn simulate_with(seed: u64, has_upkeep: bool) -> Simulated {
    note_panics();
    // Only files that are opened after the first call can fail.
    set_disk_faults(None);
    set_upkeep(has_upkeep);
    let mut upkeep = Dice::new(seed ^ UPKEEP << 1);
    let mut dice = Dice::new(seed);
    let lanes = (0..LANES.len()).map(|lane| LaneModel {
        options: destination(&mut dice, lane),
        mood: Mood::Mixed,
        was_gone: false,
    });
    let lanes = lanes.collect();
    let ledger = Arc::new(Mutex::new(Ledger::new(seed, lanes, dice.percent(25))));
    locked(&ledger).has_disk_faults = dice.percent(40);
    locked(&ledger).retained.is_on = has_upkeep;
    let mut disk = Disk::new();
    let lives = dice.within(2..=5);
    let mut time = START;
    for life in 1..=lives {
        let is_last = life == lives;
        locked(&ledger).fuse = (!is_last && dice.percent(85)).then(|| dice.within(5..=250));
        let retention = locked(&ledger).retained.begin_life(&mut upkeep, time);
        time = live(&ledger, &mut disk, (time, retention), is_last) + dice.within(0..=20_000);
        time += locked(&ledger).retained.absence(&mut upkeep);
        if !locked(&ledger).violations.is_empty() {
            break;
        }
    }
    simulated::end();
    let mut ledger = locked(&ledger);
    let (trace, violations) =
        (std::mem::take(&mut ledger.trace), std::mem::take(&mut ledger.violations));
    Simulated { trace, violations, attempts: ledger.attempts, deaths: ledger.deaths }
}

/// Runs one process from this time on, with this retention. Returns the time of its end.
fn live(
    ledger: &SharedLedger,
    disk: &mut Disk,
    (time, retention): (u64, Retention),
    is_last: bool,
) -> u64 {
    let (seed, death) = {
        let ledger = locked(ledger);
        (ledger.seed ^ ledger.life << 40, Arc::clone(&ledger.death))
    };
    // One task at a time, so that a process may die between any two of them.
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).event_interval(1).build().unwrap();
    let mut dice = Dice::new(!seed);
    let config = config_of(&mut dice, ledger, (disk, retention));
    let shared = Arc::clone(ledger);
    let ending = if is_last { Ending::AllDelivered } else { Ending::Closed };
    let run = AssertUnwindSafe(|| {
        runtime.block_on(async {
            simulated::begin_at(time, seed);
            let mut fate = Dice::new(seed ^ 1);
            let operated =
                Handle::current().spawn(Operator::new(&shared, dice, config).run(ending));
            let end = tokio::select! {
                biased;
                () = die(&death, &mut fate, disk) => End::Died,
                operated = operated => {
                    if operated.is_err() {
                        locked(&shared).violate(format!("a panic: {:?}", panics()));
                    }
                    End::Closed
                }
            };
            // No task is polled from here on.
            let is_stored = !has_disk_faults();
            set_disk_faults(None);
            live_on();
            if disk.copying().1.exists() {
                locked(&shared).retained.forget_missed();
            }
            disk.advance();
            let end = if end == End::Closed && !is_stored { End::Failed } else { end };
            take_leave(&mut locked(&shared), disk, end, is_last);
            now()
        })
    });
    let time = catch_unwind(run).unwrap_or_else(|_| {
        locked(ledger).violate(format!("a panic: {:?}", panics()));
        time
    });
    drop(runtime);
    disk.forget_before();
    for panic in panics() {
        locked(ledger).violate(format!("a panic: {panic}"));
    }
    time
}

/// Checks what the process left, and ends it.
fn take_leave(ledger: &mut Ledger, disk: &Disk, end: End, is_last: bool) {
    ledger.note(&format!("process {} ends: {end:?}", ledger.life));
    ledger.deaths += u64::from(end == End::Died);
    ledger.take_events();
    let (rows, others) = disk.rows();
    ledger.check_stored(&rows, &others, end == End::Closed);
    if is_last && end == End::Closed {
        ledger.check_kept(&others);
    }
    let waiting = ledger.waiting();
    if is_last && waiting > 0 && ledger.violations.is_empty() {
        ledger.violate(format!("{waiting} calls have no end"));
    }
    ledger.end_life();
}

/// Waits until the process dies: a few steps of its tasks after the fuse has burnt down.
async fn die(death: &Notify, fate: &mut Dice, disk: &Disk) {
    death.notified().await;
    if has_upkeep() && fate.percent(40) {
        return die_writing(fate, disk).await;
    }
    if fate.percent(40) {
        tokio::time::sleep(fate.millis(1..=45)).await;
    }
    for _ in 0..fate.below(25) {
        tokio::task::yield_now().await;
    }
}

/// Waits until the process dies in the middle of its upkeep, which may have nothing to do.
async fn die_writing(fate: &mut Dice, disk: &Disk) {
    let died = Arc::new(Notify::new());
    let ((from, to), copied) = (disk.copying(), Arc::clone(&died));
    let writes = [0, 1, 3, u64::MAX][fate.below(4)];
    die_in_upkeep(writes, move || {
        copy(&from, &to);
        copied.notify_one();
    });
    let _ = tokio::time::timeout(LONGEST_DEATH, died.notified()).await;
}

fn config_of(
    dice: &mut Dice,
    ledger: &SharedLedger,
    (disk, retention): (&Disk, Retention),
) -> Config {
    let on_interrupted =
        if locked(ledger).fails_interrupted { OnInterrupted::Fail } else { OnInterrupted::Resend };
    let options = Options {
        on_interrupted,
        retention,
        search: SearchIndex::Off,
        ..Options::bare(disk.path())
    };
    let config = config(dice);
    Config { journal: Some(options), log: retention, max_pending_bytes: 1 << 20, ..config }
}
