//! The operator and the workflows of one process: operations that a seed chooses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::dice::Dice;
use super::super::options::LANES;
use super::super::run::{WORKFLOWS, panics, rest};
use super::super::world::{Mood, now};
use super::function::Function;
use super::ledger::{Call, DISK_MILLIS, Ledger, Promise, SharedLedger, locked};
use crate::config::Config;
use crate::delivery::Kind;
use crate::egress::SystemLookup;
use crate::engine::{Engine, Execution, Handle, Handover, RetryFilter, Run};
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
pub(super) struct OpenExecution {
    pub(super) execution: Arc<Execution>,
    pub(super) number: usize,
    pub(super) workflow: usize,
    /// The calls in its buffer.
    pub(super) calls: Vec<usize>,
}

/// The operator of one process.
pub(super) struct Operator {
    pub(super) ledger: SharedLedger,
    pub(super) dice: Dice,
    handle: Handle,
    pub(super) open: Vec<OpenExecution>,
    /// The numbers of those that were discarded.
    pub(super) discarded: BTreeSet<usize>,
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
        opened.published.subscriber = Some(subscriber);
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
        let operator = Self { ledger, dice, handle, open, discarded: BTreeSet::new(), absent };
        let present = |lane: &usize| !operator.absent.contains(lane);
        (0..LANES.len()).filter(present).for_each(|lane| operator.add(lane));
        operator
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.handle.engine())
    }

    pub(super) fn model<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
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
        self.take_returned();
        match self.dice.weighted(&[10, 24, 4, 12, 3, 16, 3, 5, 2, 4, 1, 3, 5, 2, 2, 1, 3]) {
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
            11 => self.add_next(),
            12 => self.replay(),
            13 => self.plan().await,
            14 => self.cancel_replay(),
            15 => self.dismiss().await,
            _ => self.break_disk(),
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
        let (execution, calls) = (execution.unwrap(), Vec::new());
        self.open.push(OpenExecution { execution, number, workflow, calls });
        self.model(|ledger| ledger.retained.note_execution(number));
    }

    fn choose(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.dice.below(self.open.len()))
    }

    fn record(&mut self) {
        let Some(place) = self.choose() else { return };
        for _ in 0..=self.dice.below(5) {
            let lane = self.dice.below(LANES.len());
            let OpenExecution { execution, number, workflow, calls } = &mut self.open[place];
            let mut ledger = locked(&self.ledger);
            let call = ledger.calls.len();
            let step = execution.step(&format!("s{call}")).unwrap();
            let (kind, text) =
                (Kind::from_name(LANES[lane]).unwrap(), format!(r#"{{"n":{call}}}"#));
            execution.record(kind, step, text.into_bytes(), None).unwrap();
            ledger.note(&format!("record {call} for {}", LANES[lane]));
            let (execution, workflow) = (*number, *workflow);
            ledger.calls.push(Call { lane, execution, workflow, commit: None, id: None });
            ledger.counts.recorded += 1;
            calls.push(call);
        }
    }

    /// Completes an execution, or flushes it. Its promise is followed by a task.
    fn hand_over(&mut self, is_complete: bool) {
        let Some(place) = self.choose() else { return };
        let open = &mut self.open[place];
        let OpenExecution { number, workflow, .. } = *open;
        let execution = Arc::clone(&open.execution);
        let calls = std::mem::take(&mut open.calls);
        let returned = OpenExecution { execution, number, workflow, calls: calls.clone() };
        let commit = self.model(|ledger| ledger.begin_commit(calls, is_complete));
        let execution = Arc::clone(&returned.execution);
        let handover = if is_complete { execution.complete(None) } else { execution.flush() };
        let Handover::Committing(committing) = handover.unwrap() else {
            return self.model(|ledger| ledger.violate("a durable journal promised at once"));
        };
        if is_complete {
            self.open.remove(place);
        }
        let (ledger, life) = (Arc::clone(&self.ledger), self.model(|ledger| ledger.life));
        tokio::runtime::Handle::current().spawn(async move {
            let kept = committing.await;
            let mut ledger = locked(&ledger);
            if ledger.life != life {
                return;
            }
            ledger.note(&format!("the promise of commit {commit}: {:?}", kept.is_ok()));
            match kept {
                Ok(_) => ledger.keep(commit, number),
                Err(_) => ledger.refuse(commit, returned),
            }
        });
    }

    fn discard(&mut self) {
        let Some(place) = self.choose() else { return };
        let open = self.open.remove(place);
        self.discarded.insert(open.number);
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

    async fn retry_now(&mut self) {
        self.model(|ledger| ledger.note("retry now"));
        let hastened = self.engine().retry_now(&RetryFilter::default()).await;
        self.allow_error(hastened);
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
        self.mend_disk();
        rest().await;
        self.take_returned();
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
        if self.model(|ledger| ledger.retained.is_on) {
            tokio::time::sleep(self.model(|ledger| ledger.retained.patience())).await;
        }
    }

    /// Closes the engine, which leaves what is not done in time.
    async fn close(&mut self, timeout: Duration) {
        self.model(|ledger| {
            ledger.note(&format!("close in {timeout:?}"));
            ledger.counts.is_closing = true;
        });
        self.handle.close(timeout).await;
        // The writer of a simulation ends a little later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.model(Ledger::take_events);
    }

    /// Checks the counts, when nothing can happen at this moment.
    fn check(&self) {
        let stats = self.engine().stats();
        let mut ledger = locked(&self.ledger);
        ledger.take_events();
        ledger.take_replays();
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
        let is_known = now() >= ledger.counts.discarding && !ledger.counts.is_disk_broken;
        if !is_known || ledger.replays.is_running() {
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
