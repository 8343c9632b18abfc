//! One simulation, from its first engine to its end.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use tokio::runtime::Builder;

use super::breaker::Breaker;
use super::destination::{SharedWorld, SimulatedThread, locked};
use super::dice::Dice;
use super::operator::Operator;
use super::options::{LANES, config, destination};
use super::world::{LaneModel, Mood, Sums, World};
use crate::egress::SystemLookup;
use crate::engine::{Engine, Handle};
use crate::jobs::Thread;
use crate::observability::events::{Subscriber, Topic};
use crate::time::simulated;

/// The workflows of a simulation.
pub(super) const WORKFLOWS: usize = 3;

/// The end of a simulation.
pub(super) struct Simulated {
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) attempts: u64,
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes the panics of tasks, which a runtime catches.
pub(super) fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if simulated::is_on() {
                PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}

/// Returns the panics since the last call.
pub(super) fn panics() -> Vec<String> {
    PANICS.take()
}

/// Runs the simulation of a seed.
pub(super) fn simulate(seed: u64) -> Simulated {
    note_panics();
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let world = Arc::new(Mutex::new(world(seed)));
    let shared = Arc::clone(&world);
    let run = std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async {
            simulated::begin(seed);
            Operator::new(&shared, seed).run().await;
        });
    });
    if std::panic::catch_unwind(run).is_err() {
        let panics = panics();
        locked(&world).violate(format!("a panic: {panics:?}"));
    }
    locked(&world).engine = None;
    drop(runtime);
    simulated::end();
    let mut world = locked(&world);
    let (trace, violations) =
        (std::mem::take(&mut world.trace), std::mem::take(&mut world.violations));
    Simulated { trace, violations, attempts: world.attempts }
}

fn world(seed: u64) -> World {
    let mut dice = Dice::new(seed);
    let lanes = (0..LANES.len()).map(|lane| {
        let options = destination(&mut dice, lane);
        let breaker = Breaker::new(options.retry.as_ref().and_then(|policy| policy.breaker));
        LaneModel {
            options,
            mood: Mood::Mixed,
            breaker,
            thread: None,
            is_paused: false,
            was_paused: false,
            was_gone: false,
            batches: std::collections::HashMap::new(),
        }
    });
    World {
        lanes: lanes.collect(),
        seed,
        engine: None,
        era: 0,
        concurrency: 0,
        calls: Vec::new(),
        deliveries: std::collections::BTreeMap::new(),
        jobs: std::collections::BTreeMap::new(),
        all_paused: false,
        paused_workflows: vec![false; WORKFLOWS],
        was_paused: vec![false; WORKFLOWS],
        begun: std::collections::HashMap::new(),
        sums: Sums::default(),
        is_closing: false,
        flushes: 0,
        trace: Vec::new(),
        violations: Vec::new(),
        attempts: 0,
    }
}

/// Opens an engine in the world, with its destinations. Returns its handle and its events.
pub(super) fn open(world: &SharedWorld, dice: &mut Dice) -> (Handle, Arc<Subscriber>) {
    let config = config(dice);
    let concurrency = config.concurrency;
    let engine = Engine::open(config, Arc::new(SystemLookup::new())).unwrap();
    let subscriber = Subscriber::new(Box::new(|| {}));
    subscriber.listen(Topic::Delivery);
    engine.events().subscribe(&subscriber);
    let mut opened = locked(world);
    opened.era += 1;
    opened.concurrency = concurrency;
    opened.engine = Some(Arc::clone(&engine));
    opened.note(&format!("open, concurrency {concurrency}"));
    drop(opened);
    for lane in 0..LANES.len() {
        add_thread(world, lane);
    }
    (Handle::new(engine), subscriber)
}

/// Adds the function of a lane.
pub(super) fn add_thread(world: &SharedWorld, lane: usize) {
    let mut added = locked(world);
    let thread: Arc<dyn Thread> = Arc::new(SimulatedThread::new(world, lane, added.era));
    added.lanes[lane].thread = Some(Arc::clone(&thread));
    let options = added.lanes[lane].options.clone();
    added.note(&format!("add {} {options:?}", LANES[lane]));
    let engine = added.engine.clone().unwrap();
    drop(added);
    engine.add_destination(LANES[lane], options, thread).unwrap();
}

/// Waits until nothing can happen at this moment.
pub(super) async fn rest() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
