//! The operator and the workflows of one process: operations that a seed chooses.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::super::dice::Dice;
use super::super::options::LANES;
use super::super::run::{WORKFLOWS, panics, rest};
use super::super::world::{Mood, now};
use super::function::Function;
use super::ledger::{Call, Commit, DISK_MILLIS, Ledger, Paused, Promise, SharedLedger, locked};
use crate::config::Config;
use crate::delivery::Kind;
use crate::egress::SystemLookup;
use crate::engine::{Engine, Execution, Handle, Handover, PauseTarget, RetryFilter, Run};
use crate::jobs::Thread;
use crate::observability::events::{Subscriber, Topic};

/// The way in which a process ends that does not die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It closes, and leaves what is not done.
    Closed,
    /// It ends all faults, and delivers everything.
    AllDelivered,
}

/// An execution that has not ended.
struct OpenExecution {
    execution: Arc<Execution>,
    number: usize,
    /// The calls in its buffer.
    calls: Vec<usize>,
}

/// The operator of one process.
pub(super) struct Operator {
    ledger: SharedLedger,
    dice: Dice,
    handle: Handle,
    subscriber: Arc<Subscriber>,
    open: Vec<OpenExecution>,
    /// The lanes without a function.
    absent: Vec<usize>,
}

/// The longest time in which a healthy engine delivers everything.
const LONGEST: Duration = Duration::from_secs(3600);

impl Operator {
    /// Opens the engine of a process.
    pub(super) fn new(ledger: &SharedLedger, mut dice: Dice, config: Config) -> Self {
        let engine = Engine::open(config, Arc::new(SystemLookup::new())).unwrap();
        let subscriber = Subscriber::new(Box::new(|| {}));
        subscriber.listen(Topic::Delivery);
        engine.events().subscribe(&subscriber);
        let mut opened = locked(ledger);
        opened.engine = Some(Arc::clone(&engine));
        let fails = opened.fails_interrupted;
        let concurrency = engine.config().concurrency;
        let text = format!("open, concurrency {concurrency}, fails what it interrupted: {fails}");
        opened.note(&text);
        opened.check_pauses(&engine);
        drop(opened);
        let absent: Vec<_> = (0..LANES.len()).filter(|_| dice.percent(20)).collect();
        for lane in &absent {
            locked(ledger).lanes[*lane].was_gone = true;
        }
        let (ledger, handle, open) = (Arc::clone(ledger), Handle::new(engine), Vec::new());
        let operator = Self { ledger, dice, handle, subscriber, open, absent };
        let present = |lane: &usize| !operator.absent.contains(lane);
        (0..LANES.len()).filter(present).for_each(|lane| operator.add(lane));
        operator
    }

    fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.handle.engine())
    }

    fn model<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut locked(&self.ledger))
    }

    /// Adds the function of a lane.
    fn add(&self, lane: usize) {
        let (life, options) = self.model(|ledger| {
            let options = ledger.lanes[lane].options.clone();
            ledger.note(&format!("add {} {options:?}", LANES[lane]));
            (ledger.life, options)
        });
        let thread: Arc<dyn Thread> = Arc::new(Function::new(&self.ledger, lane, life));
        self.engine().add_destination(LANES[lane], options, thread).unwrap();
    }

    /// Does what the seed says, and then ends.
    pub(super) async fn run(mut self, ending: Ending) {
        let operations = self.dice.within(20..=150);
        for _ in 0..operations {
            self.operate().await;
            self.model(Ledger::step);
            match self.dice.below(4) {
                0 => tokio::task::yield_now().await,
                1 => {
                    rest().await;
                    self.check();
                }
                _ => {}
            }
            if self.model(|ledger| !ledger.violations.is_empty()) {
                return;
            }
        }
        let mut timeout = self.dice.millis(0..=10_000);
        if ending == Ending::AllDelivered {
            self.recover().await;
            timeout = LONGEST;
        }
        self.close(timeout).await;
    }

    async fn operate(&mut self) {
        match self.dice.weighted(&[10, 24, 4, 12, 3, 16, 2, 4, 2, 4, 1, 3]) {
            0 => self.begin(),
            1 => self.record(),
            2 => self.hand_over(false),
            3 => self.hand_over(true),
            4 => self.discard(),
            5 => self.wait().await,
            6 => self.pause().await,
            7 => self.resume(false).await,
            8 => self.retry_now().await,
            9 => self.change_mood(),
            10 => self.flush().await,
            _ => self.add_next(),
        }
    }

    fn begin(&mut self) {
        let (workflow, number) = (self.dice.below(WORKFLOWS), self.dice.below(usize::MAX));
        let execution = self.engine().execution(Run {
            workflow_id: format!("w{workflow}"),
            execution_id: Some(format!("e{number}")),
            attempt: 1,
            emit_depth: 0,
            trace: None,
            trigger: None,
        });
        self.open.push(OpenExecution { execution: execution.unwrap(), number, calls: Vec::new() });
    }

    fn choose(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.dice.below(self.open.len()))
    }

    fn record(&mut self) {
        let Some(place) = self.choose() else { return };
        for _ in 0..=self.dice.below(5) {
            let lane = self.dice.below(LANES.len());
            let OpenExecution { execution, number, calls } = &mut self.open[place];
            let mut ledger = locked(&self.ledger);
            let call = ledger.calls.len();
            let step = execution.step(&format!("s{call}")).unwrap();
            let (kind, text) =
                (Kind::from_name(LANES[lane]).unwrap(), format!(r#"{{"n":{call}}}"#));
            execution.record(kind, step, text.into_bytes(), None).unwrap();
            ledger.note(&format!("record {call} for {}", LANES[lane]));
            ledger.calls.push(Call { lane, execution: *number, commit: None, id: None });
            ledger.counts.recorded += 1;
            calls.push(call);
        }
    }

    /// Completes an execution, or flushes it. Its promise is followed by a task.
    fn hand_over(&mut self, is_complete: bool) {
        let Some(place) = self.choose() else { return };
        let open = &mut self.open[place];
        let calls = std::mem::take(&mut open.calls);
        let commit = self.model(|ledger| {
            ledger.note(&format!("hand over {calls:?}, complete: {is_complete}"));
            let commit = ledger.commits.len();
            for call in &calls {
                ledger.calls[*call].commit = Some(commit);
            }
            ledger.commits.push(Commit { calls, promise: Promise::Open });
            commit
        });
        let execution = Arc::clone(&self.open[place].execution);
        let handover = if is_complete { execution.complete(None) } else { execution.flush() };
        let Handover::Committing(committing) = handover.unwrap() else {
            return self.model(|ledger| ledger.violate("a durable journal promised at once"));
        };
        if is_complete {
            self.open.remove(place);
        }
        let ledger = Arc::clone(&self.ledger);
        tokio::runtime::Handle::current().spawn(async move {
            let kept = committing.await;
            let mut ledger = locked(&ledger);
            ledger.note(&format!("the promise of commit {commit}: {:?}", kept.is_ok()));
            let promise = if kept.is_ok() { Promise::Kept } else { Promise::Lost };
            ledger.commits[commit].promise = promise;
        });
    }

    fn discard(&mut self) {
        let Some(place) = self.choose() else { return };
        let open = self.open.remove(place);
        self.model(|ledger| {
            ledger.note(&format!("discard {:?}", open.calls));
            ledger.counts.discarded += open.calls.len() as u64;
            ledger.counts.discarding = now() + DISK_MILLIS;
        });
        if self.dice.percent(50) {
            open.execution.discard().unwrap();
        }
    }

    async fn wait(&mut self) {
        let longest = [5, 300, 5_000, 40_000][self.dice.below(4)];
        let time = self.dice.millis(1..=longest);
        tokio::time::sleep(time).await;
    }

    async fn pause(&mut self) {
        let lane = self.dice.below(LANES.len());
        self.model(|ledger| {
            ledger.note(&format!("pause {}", LANES[lane]));
            ledger.lanes[lane].was_paused = true;
            if ledger.lanes[lane].paused == Paused::No {
                ledger.lanes[lane].paused = Paused::Unknown;
            }
        });
        self.engine().pause(PauseTarget::Destination(LANES[lane].to_owned())).await.unwrap();
        self.model(|ledger| {
            ledger.lanes[lane].paused = Paused::Yes;
            ledger.lanes[lane].paused_at = now();
        });
    }

    async fn resume(&mut self, all: bool) {
        let lane = self.dice.below(LANES.len());
        let is_meant = |of: usize| all || of == lane;
        self.model(|ledger| {
            ledger.note(&format!("resume {}", if all { "all" } else { LANES[lane] }));
            let meant = ledger.lanes.iter_mut().enumerate().filter(|(of, _)| is_meant(*of));
            for (_, lane) in meant.filter(|(_, lane)| lane.paused == Paused::Yes) {
                lane.paused = Paused::Unknown;
            }
        });
        let target = PauseTarget::Destination(LANES[lane].to_owned());
        let target = if all { PauseTarget::All } else { target };
        self.engine().resume(&target).await.unwrap();
        self.model(|ledger| {
            let meant = ledger.lanes.iter_mut().enumerate().filter(|(of, _)| is_meant(*of));
            meant.for_each(|(_, lane)| lane.paused = Paused::No);
        });
    }

    async fn retry_now(&mut self) {
        self.model(|ledger| ledger.note("retry now"));
        self.engine().retry_now(&RetryFilter::default()).await.unwrap();
    }

    fn change_mood(&mut self) {
        let lane = self.dice.below(LANES.len());
        let mood = [Mood::Well, Mood::Mixed, Mood::Mixed, Mood::Down][self.dice.below(4)];
        self.model(|ledger| {
            ledger.note(&format!("{} is {mood:?}", LANES[lane]));
            ledger.lanes[lane].mood = mood;
        });
    }

    async fn flush(&mut self) {
        let limit = self.dice.millis(1..=10_000);
        self.model(|ledger| ledger.note(&format!("flush within {limit:?}")));
        let engine = self.engine();
        if engine.flush(Some(limit)).await.is_ok() && engine.stats().pending > 0 {
            self.model(|ledger| ledger.violate("flush() resolved with calls that wait"));
        }
    }

    fn add_next(&mut self) {
        if let Some(lane) = self.absent.pop() {
            self.add(lane);
        }
    }

    /// Ends all faults. Everything is delivered then, or has failed.
    async fn recover(&mut self) {
        self.model(|ledger| {
            ledger.note("all faults are over");
            ledger.lanes.iter_mut().for_each(|lane| lane.mood = Mood::Well);
        });
        while !self.open.is_empty() {
            self.hand_over(true);
        }
        while !self.absent.is_empty() {
            self.add_next();
        }
        self.resume(true).await;
        if let Err(error) = self.engine().flush(Some(LONGEST)).await {
            self.model(|ledger| ledger.violate(format!("after all faults: {error}")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.check();
    }

    /// Closes the engine, which leaves what is not done in time.
    async fn close(&mut self, timeout: Duration) {
        self.model(|ledger| ledger.note(&format!("close in {timeout:?}")));
        self.handle.close(timeout).await;
        // The writer of a simulation ends a little later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.take_events();
    }

    /// Takes what the engine published.
    fn take_events(&self) {
        while let Some(text) = self.subscriber.take() {
            let events: Vec<(String, serde_json::Value)> = serde_json::from_str(&text).unwrap();
            for (_, event) in events {
                let id: Uuid = event["id"].as_str().unwrap().parse().unwrap();
                let call = event["step"].as_str().unwrap()[1..].parse().unwrap();
                self.model(|ledger| ledger.settle(id, call, event["status"] == "delivered"));
            }
        }
    }

    /// Checks the counts, when nothing can happen at this moment.
    fn check(&self) {
        self.take_events();
        let stats = self.engine().stats();
        let mut ledger = locked(&self.ledger);
        for panic in panics() {
            ledger.violate(format!("a panic: {panic}"));
        }
        let delivered = ledger.settled.values().filter(|is_delivered| **is_delivered).count();
        let ends = (delivered as u64, (ledger.settled.len() - delivered) as u64);
        if (stats.delivered, stats.failed) != ends {
            ledger.violate(format!(
                "{} delivered, {} failed: {ends:?}",
                stats.delivered, stats.failed
            ));
        }
        if now() < ledger.counts.discarding {
            return;
        }
        let counts = (ledger.counts.recorded, ledger.counts.discarded);
        if (stats.recorded, stats.discarded) != counts {
            let found = (stats.recorded, stats.discarded);
            ledger.violate(format!("recorded and discarded are {found:?}: {counts:?}"));
        }
        let is_known = ledger.commits.iter().all(|commit| commit.promise != Promise::Open);
        if is_known && stats.pending != ledger.waiting() {
            let waiting = ledger.waiting();
            ledger.violate(format!("{} calls wait instead of {waiting}", stats.pending));
        }
    }
}

impl Ledger {
    /// Checks that a new process has the pauses that were promised, and learns of the others.
    fn check_pauses(&mut self, engine: &Engine) {
        let views = engine.pauses();
        for (lane, name) in LANES.iter().enumerate() {
            let is_paused = views.iter().any(|view| view.destination.as_deref() == Some(*name));
            let found = if is_paused { Paused::Yes } else { Paused::No };
            let known = std::mem::replace(&mut self.lanes[lane].paused, found);
            if known != Paused::Unknown && known != found {
                self.violate(format!("the pause of {name} is {found:?} after a restart"));
            }
        }
    }
}
