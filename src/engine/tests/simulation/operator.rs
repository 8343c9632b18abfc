//! The operator and the workflows: operations that a seed chooses.

use std::sync::Arc;
use std::time::Duration;

use super::destination::{SharedWorld, locked};
use super::dice::Dice;
use super::options::LANES;
use super::run::{add_thread, open, rest};
use super::world::{Mood, Sums, World, now};
use crate::engine::{Engine, Execution, Handle, PauseTarget};
use crate::observability::events::Subscriber;

/// An execution that has not ended.
pub(super) struct OpenExecution {
    pub(super) execution: Arc<Execution>,
    pub(super) number: usize,
    pub(super) workflow: usize,
    /// The calls in its buffer.
    pub(super) calls: Vec<usize>,
}

/// The one who decides what happens next.
pub(super) struct Operator {
    pub(super) world: SharedWorld,
    pub(super) dice: Dice,
    pub(super) handle: Handle,
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) open: Vec<OpenExecution>,
    pub(super) ended: Vec<OpenExecution>,
    pub(super) executions: usize,
    /// Bytes of discarded calls that are given back soon.
    pub(super) released: usize,
}

/// The longest time in which a healthy engine delivers everything: the breakers and delays are shorter.
const LONGEST: Duration = Duration::from_secs(3600);

impl Operator {
    pub(super) fn new(world: &SharedWorld, seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let (handle, subscriber) = open(world, &mut dice);
        let world = Arc::clone(world);
        let (open, ended) = (Vec::new(), Vec::new());
        Self { world, dice, handle, subscriber, open, ended, executions: 0, released: 0 }
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.handle.engine())
    }

    /// Changes the model.
    pub(super) fn model<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut locked(&self.world))
    }

    /// Does what the seed says, and then sees everything to its end.
    pub(super) async fn run(&mut self) {
        let operations = self.dice.within(40..=200);
        for _ in 0..operations {
            self.operate().await;
            match self.dice.below(4) {
                0 => tokio::task::yield_now().await,
                1 => {
                    rest().await;
                    self.check();
                }
                _ => {}
            }
            if self.model(|world| !world.violations.is_empty()) {
                return;
            }
        }
        self.recover().await;
        self.close(LONGEST).await;
    }

    async fn operate(&mut self) {
        let weights = [9, 22, 3, 10, 2, 1, 1, 16, 2, 5, 2, 3, 1, 1, 4, 1, 1, 1, 1, 4];
        match self.dice.weighted(&weights) {
            0 => self.begin(),
            1 => self.record(),
            2 => self.flush_execution(),
            3 => self.complete(),
            4 => self.discard(false),
            5 => self.discard(true),
            6 => self.call_late(),
            7 => self.wait().await,
            8 => self.pause().await,
            9 => self.resume(false).await,
            10 => self.retry_now().await,
            11 => self.replay().await,
            12 => self.dismiss().await,
            13 => self.lose_thread().await,
            14 => self.add_threads(),
            15 => self.flush().await,
            16 => self.await_settled().await,
            17 => self.await_room().await,
            18 => self.reopen().await,
            _ => self.change_mood(),
        }
    }

    /// Ends all faults and all pauses. Everything is delivered then, or has failed.
    async fn recover(&mut self) {
        self.model(|world| {
            world.note("all faults are over");
            world.lanes.iter_mut().for_each(|lane| lane.mood = Mood::Well);
        });
        while !self.open.is_empty() {
            self.complete();
        }
        self.add_threads();
        self.resume(true).await;
        rest().await;
        self.model(World::clear_batch_dues);
        let flushed = self.engine().flush(Some(LONGEST)).await;
        self.model(World::clear_batch_dues);
        if let Err(error) = flushed {
            self.model(|world| world.violate(format!("after all faults: {error}")));
        }
        rest().await;
        self.check();
    }

    /// Closes the engine, which interrupts what is not done in time.
    pub(super) async fn close(&mut self, timeout: Duration) {
        rest().await;
        self.check();
        self.model(|world| {
            world.note(&format!("close in {timeout:?}"));
            world.is_closing = true;
            world.clear_batch_dues();
        });
        let begun = now();
        let drained = self.handle.close(timeout).await;
        let passed = now() - begun;
        self.take_events();
        let open: usize = self.open.iter().map(|open| open.calls.len()).sum();
        self.open.clear();
        self.model(|world| {
            if passed > u64::try_from(timeout.as_millis()).unwrap() {
                world.violate(format!("close took {passed} ms"));
            }
            if drained.open != open {
                world.violate(format!("{} open calls instead of {open}", drained.open));
            }
            let left = world.sums.recorded
                - (world.sums.delivered + world.sums.failed + world.sums.discarded);
            if left != open as u64 {
                world.violate(format!("{left} calls are lost, of which {open} were open"));
            }
        });
    }

    async fn reopen(&mut self) {
        let timeout = self.dice.millis(0..=10_000);
        self.close(timeout).await;
        self.model(|world| {
            world.engine = None;
            world.is_closing = false;
            world.all_paused = false;
            world.paused_workflows.fill(false);
            world.was_paused.fill(false);
            world.jobs.clear();
            world.deliveries.clear();
            world.begun.clear();
            world.sums = Sums::default();
            for lane in &mut world.lanes {
                let policy = lane.breaker.policy;
                lane.breaker = super::breaker::Breaker::new(policy);
                lane.batches.clear();
                lane.is_paused = false;
                lane.was_gone = false;
                lane.was_paused = false;
            }
        });
        self.ended.clear();
        (self.handle, self.subscriber) = open(&self.world, &mut self.dice);
    }

    async fn wait(&mut self) {
        let longest = [5, 300, 5_000, 40_000][self.dice.below(4)];
        let time = self.dice.millis(1..=longest);
        tokio::time::sleep(time).await;
    }

    fn change_mood(&mut self) {
        let lane = self.dice.below(LANES.len());
        let mood = [Mood::Well, Mood::Mixed, Mood::Mixed, Mood::Down][self.dice.below(4)];
        self.model(|world| {
            world.note(&format!("{} is {mood:?}", LANES[lane]));
            world.lanes[lane].mood = mood;
        });
    }

    async fn lose_thread(&mut self) {
        rest().await;
        let lane = self.dice.below(LANES.len());
        if let Some(thread) = self.model(|world| world.lose_thread(lane)) {
            self.engine().forget_destinations(&thread);
        }
    }

    pub(super) fn add_threads(&mut self) {
        for lane in 0..LANES.len() {
            if self.model(|world| world.lanes[lane].thread.is_none()) {
                add_thread(&self.world, lane);
            }
        }
    }

    async fn pause(&mut self) {
        let place = self.dice.below(LANES.len() + super::run::WORKFLOWS + 1);
        let target = target(place);
        self.engine().pause(target.clone()).await.unwrap();
        self.model(|world| {
            world.note(&format!("pause {target:?}"));
            match place.checked_sub(LANES.len()) {
                None => {
                    world.lanes[place].is_paused = true;
                    world.lanes[place].was_paused = true;
                }
                Some(super::run::WORKFLOWS) => {
                    world.all_paused = true;
                    world.lanes.iter_mut().for_each(|lane| lane.was_paused = true);
                }
                Some(workflow) => {
                    world.paused_workflows[workflow] = true;
                    world.was_paused[workflow] = true;
                }
            }
        });
    }

    async fn resume(&mut self, all: bool) {
        let places = LANES.len() + super::run::WORKFLOWS;
        let place = if all { places } else { self.dice.below(places + 1) };
        let target = target(place);
        self.model(|world| {
            world.note(&format!("resume {target:?}"));
            match place.checked_sub(LANES.len()) {
                None => world.lanes[place].is_paused = false,
                Some(super::run::WORKFLOWS) => {
                    world.all_paused = false;
                    world.lanes.iter_mut().for_each(|lane| lane.is_paused = false);
                    world.paused_workflows.fill(false);
                }
                Some(workflow) => world.paused_workflows[workflow] = false,
            }
        });
        self.engine().resume(&target).await.unwrap();
    }
}

/// Returns the target of a pause by its place: a lane, a workflow, or everything.
pub(super) fn target(place: usize) -> PauseTarget {
    match place.checked_sub(LANES.len()) {
        None => PauseTarget::Destination(LANES[place].to_owned()),
        Some(super::run::WORKFLOWS) => PauseTarget::All,
        Some(workflow) => PauseTarget::WorkflowId(format!("w{workflow}")),
    }
}
