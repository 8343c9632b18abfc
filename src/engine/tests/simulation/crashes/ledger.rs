//! The ledger of a simulation: what was recorded and promised, what the destinations received, and what of
//! it must be true whenever they receive something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use super::super::destination::{Answer, Reaction};
use super::super::options::LANES;
use super::super::world::{Mood, START, now};
use super::operator::OpenExecution;
use super::pauses::Pauses;
use super::published::{End, Published};
use super::replays::Replays;
use super::retention::Retained;
use crate::destinations::custom::Options;
use crate::engine::Engine;

/// The longest time that the disk of a simulation takes for an operation.
pub(super) const DISK_MILLIS: u64 = 200;

/// The ledger, as many tasks have it.
pub(super) type SharedLedger = Arc<Mutex<Ledger>>;

pub(super) fn locked(ledger: &SharedLedger) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One destination.
pub(super) struct LaneModel {
    pub(super) options: Options,
    pub(super) mood: Mood,
    /// `true` if a process had no function for it for a while: then calls may change places.
    pub(super) was_gone: bool,
}

/// A recorded call, by the number in its argument.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) lane: usize,
    pub(super) execution: usize,
    pub(super) workflow: usize,
    /// The commit that it is in.
    pub(super) commit: Option<usize>,
    /// The first delivery.
    pub(super) id: Option<Uuid>,
}

/// The promise of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Nothing is known: the commit is stored whole, or not at all.
    Open,
    /// It is stored.
    Kept,
    /// It was refused, and nothing of it is sent. A process that dies may have left it all the same: a sync
    /// failed after it was written.
    Refused,
    /// The process died before it was stored.
    Lost,
}

#[derive(Debug)]
pub(super) struct Commit {
    pub(super) calls: Vec<usize>,
    pub(super) promise: Promise,
}

/// A delivery that a destination has seen.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) call: usize,
    batch: Option<String>,
    /// The last answer, and the process that got it.
    answered: Option<(u64, Answer)>,
    /// `true` if a process that fails what it interrupted ended during an attempt.
    is_interrupted: bool,
}

/// A job that its function has not answered.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) lane: usize,
    pub(super) items: Vec<Uuid>,
    /// The end of its time.
    pub(super) until: u64,
}

/// Counts of the present process.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) recorded: u64,
    pub(super) discarded: u64,
    /// Discards may be under way until then.
    pub(super) discarding: u64,
    /// `true` if the disk had a fault: then it is not known what is recorded.
    pub(super) is_disk_broken: bool,
    pub(super) is_closing: bool,
}

/// Everything outside of the processes.
pub(super) struct Ledger {
    pub(super) seed: u64,
    /// The number of the present process.
    pub(super) life: u64,
    pub(super) deaths: u64,
    pub(super) engine: Option<Arc<Engine>>,
    pub(super) fails_interrupted: bool,
    pub(super) has_disk_faults: bool,
    pub(super) lanes: Vec<LaneModel>,
    pub(super) pauses: Pauses,
    pub(super) replays: Replays,
    pub(super) retained: Retained,
    pub(super) published: Published,
    pub(super) calls: Vec<Call>,
    pub(super) commits: Vec<Commit>,
    pub(super) deliveries: BTreeMap<Uuid, Delivery>,
    pub(super) jobs: BTreeMap<u64, Job>,
    /// The items of each batch, in the order of its first attempt.
    pub(super) batches: HashMap<String, Vec<Uuid>>,
    /// Executions whose commits were refused.
    pub(super) returned: Vec<OpenExecution>,
    /// The ends that the file had when a process ended: `true` is delivered.
    pub(super) ended: BTreeMap<Uuid, bool>,
    /// The ends that the present process published.
    pub(super) settled: BTreeMap<Uuid, bool>,
    /// The last call of each execution and lane whose first attempt has begun.
    begun: HashMap<(usize, usize), usize>,
    pub(super) counts: Counts,
    /// The number of steps after which the process dies; `None`: it does not.
    pub(super) fuse: Option<u64>,
    pub(super) death: Arc<Notify>,
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) attempts: u64,
}

impl Ledger {
    pub(super) fn new(seed: u64, lanes: Vec<LaneModel>, fails_interrupted: bool) -> Self {
        Self {
            seed,
            life: 0,
            deaths: 0,
            engine: None,
            fails_interrupted,
            has_disk_faults: false,
            lanes,
            pauses: Pauses::default(),
            replays: Replays::default(),
            retained: Retained::default(),
            published: Published::default(),
            calls: Vec::new(),
            commits: Vec::new(),
            deliveries: BTreeMap::new(),
            jobs: BTreeMap::new(),
            batches: HashMap::new(),
            returned: Vec::new(),
            ended: BTreeMap::new(),
            settled: BTreeMap::new(),
            begun: HashMap::new(),
            counts: Counts::default(),
            fuse: None,
            death: Arc::default(),
            trace: Vec::new(),
            violations: Vec::new(),
            attempts: 0,
        }
    }

    pub(super) fn note(&mut self, text: &str) {
        self.trace.push(format!("{:>8} {text}", now() - START));
    }

    pub(super) fn violate(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.note(&format!("VIOLATION {text}"));
        self.violations.push(text);
    }

    /// Takes one of the steps after which the process may die.
    pub(super) fn step(&mut self) {
        match self.fuse {
            Some(0) => {
                self.fuse = None;
                self.death.notify_one();
            }
            Some(left) => self.fuse = Some(left - 1),
            None => {}
        }
    }

    /// Takes note that calls are handed over. Returns the number of their commit.
    pub(super) fn begin_commit(&mut self, calls: Vec<usize>, is_complete: bool) -> usize {
        self.note(&format!("hand over {calls:?}, complete: {is_complete}"));
        let commit = self.commits.len();
        for call in &calls {
            self.calls[*call].commit = Some(commit);
        }
        self.commits.push(Commit { calls, promise: Promise::Open });
        commit
    }

    /// Takes note of the beginning of an attempt, and checks that it may begin.
    pub(super) fn begin_attempt(
        &mut self,
        job: u64,
        model: Job,
        calls: &[usize],
        firsts: &[Uuid],
        batch: &str,
    ) {
        self.attempts += 1;
        self.step();
        self.jobs.retain(|_, job| job.until > now());
        let lane = model.lane;
        let in_lane = self.jobs.values().filter(|job| job.lane == lane).count();
        if in_lane >= self.lanes[lane].options.concurrency {
            self.violate(format!("too many attempts at once in {}", LANES[lane]));
        }
        self.check_paused(lane, calls);
        let is_batched = self.lanes[lane].options.batch.is_some();
        for (id, (call, first)) in model.items.iter().zip(calls.iter().zip(firsts)) {
            if *self.calls[*call].id.get_or_insert(*first) != *first {
                self.violate(format!("call {call} was repeated with another id"));
            }
            self.begin_item(*id, *call, is_batched.then_some(batch));
        }
        if is_batched {
            self.begin_batch(batch, &model.items);
        }
        self.jobs.insert(job, model);
    }

    fn begin_item(&mut self, id: Uuid, number: usize, batch: Option<&str>) {
        let call = &self.calls[number];
        let is_replay = call.id != Some(id);
        let commit = call.commit;
        match commit.map(|commit| self.commits[commit].promise) {
            Some(Promise::Open | Promise::Kept) => {}
            Some(Promise::Refused | Promise::Lost) => {
                self.violate(format!("call {number} was sent, and is not stored"));
            }
            None => self.violate(format!("call {number} was sent before its completion")),
        }
        if self.ended.contains_key(&id) || self.settled.contains_key(&id) {
            self.violate(format!("call {number} was sent again after its end"));
        }
        if self.jobs.values().any(|job| job.items.contains(&id)) {
            self.violate(format!("two attempts at once at call {number}"));
        }
        let is_first = !self.deliveries.contains_key(&id);
        let new = || Delivery {
            call: number,
            batch: batch.map(str::to_owned),
            answered: None,
            is_interrupted: false,
        };
        let delivery = self.deliveries.entry(id).or_insert_with(new);
        let is_elsewhere = delivery.batch.as_deref() != batch;
        let is_interrupted = delivery.is_interrupted && batch.is_none();
        if is_elsewhere {
            self.violate(format!("call {number} is in another batch"));
        }
        if is_interrupted {
            self.violate(format!("call {number} was interrupted, and sent again"));
        }
        let is_in_order = if is_replay {
            self.check_replay(id, number, is_first)
        } else {
            !is_first || self.is_begun_in_order(number)
        };
        if !is_in_order && !self.may_change_places(number) {
            self.violate(format!("call {number} was begun after a later one"));
        }
    }

    /// Takes note of the first attempt at a call. Returns `false` if a later one of its execution and lane
    /// was begun before.
    fn is_begun_in_order(&mut self, number: usize) -> bool {
        let Call { execution, lane, .. } = self.calls[number];
        let before = self.begun.insert((execution, lane), number);
        before.is_none_or(|before| before < number)
    }

    /// Returns `true` if the first attempts of a lane may begin in any order: calls of a workflow that was
    /// paused, batches of a lane that was paused, or of an earlier process, and attempts whose leases are on
    /// disk at the same moment; with a disk that fails, also those whose batches or leases it refused.
    fn may_change_places(&self, call: usize) -> bool {
        let Call { lane, workflow, .. } = self.calls[call];
        let LaneModel { options, was_gone, .. } = &self.lanes[lane];
        let may_wait = options.concurrency > 1 || self.has_disk_faults;
        let may_lane = match options.batch {
            Some(_) => self.pauses.had_lane(lane) || self.life > 0 || self.has_disk_faults,
            None => *was_gone || self.fails_interrupted && may_wait,
        };
        may_lane || self.pauses.had_workflow(workflow)
    }

    /// Checks that a batch has the items that it had at its first attempt, in their order, or some of them.
    fn begin_batch(&mut self, batch: &str, items: &[Uuid]) {
        let known = self.batches.entry(batch.to_owned()).or_insert_with(|| items.to_vec());
        let mut rest = known.iter();
        if !items.iter().all(|id| rest.any(|known| known == id)) {
            self.violate(format!("the batch {batch} has other items than before"));
        }
    }

    /// Notes the reply to a job, unless its time is over.
    pub(super) fn take_answer(&mut self, job: u64, reaction: &Reaction) {
        self.step();
        let Some(model) = self.jobs.remove(&job).filter(|job| job.until > now()) else { return };
        let life = self.life;
        for (id, answer) in model.items.iter().zip(reaction.answers(model.items.len())) {
            self.deliveries.get_mut(id).unwrap().answered = Some((life, answer));
        }
    }

    /// Takes note of the end of a delivery, as the engine published it.
    pub(super) fn settle(&mut self, end: &End) {
        let (id, call, is_delivered) = (end.id, end.call(), end.is_delivered());
        self.note(&format!("settled call {call}: {is_delivered}"));
        if end.replay_of.is_some() {
            self.check_replay(id, call, false);
        } else if *self.calls[call].id.get_or_insert(id) != id {
            self.violate(format!("call {call} ended with another id"));
        }
        self.retained.note_end(id, end.settled_at.as_deref().unwrap());
        if self.ended.contains_key(&id) || self.settled.insert(id, is_delivered).is_some() {
            self.violate(format!("call {call} was settled twice"));
        }
        let answered = self.deliveries.get(&id).and_then(|delivery| delivery.answered);
        let is_batched = self.lanes[self.calls[call].lane].options.batch.is_some();
        let expected = match answered {
            Some((life, answer)) if life == self.life => Some(answer == Answer::Delivered),
            // The journal may have a note of what was answered to an earlier process.
            Some((_, Answer::Delivered)) if is_batched => None,
            Some(_) | None => Some(false),
        };
        if expected.is_some_and(|expected| expected != is_delivered) {
            self.violate(format!("call {call} ended otherwise than its destination said"));
        }
    }

    /// Returns the number of calls that are stored and have no end.
    pub(super) fn waiting(&self) -> usize {
        let kept = self.commits.iter().filter(|commit| commit.promise == Promise::Kept);
        let ends: BTreeSet<_> = self.ended.keys().chain(self.settled.keys()).collect();
        let made = self.replays.made.len();
        kept.map(|commit| commit.calls.len()).sum::<usize>() + made - ends.len()
    }

    /// Takes note of the end of the process, which interrupts its jobs.
    pub(super) fn end_life(&mut self) {
        for job in std::mem::take(&mut self.jobs).into_values() {
            for id in job.items.iter().filter(|_| job.until > now()) {
                let delivery = self.deliveries.get_mut(id).unwrap();
                delivery.is_interrupted |= self.fails_interrupted;
            }
        }
        self.engine = None;
        self.returned.clear();
        self.replays.end_life();
        self.published = Published::default();
        self.settled.clear();
        self.life += 1;
        self.counts = Counts::default();
        self.fuse = None;
        self.death = Arc::default();
    }
}
