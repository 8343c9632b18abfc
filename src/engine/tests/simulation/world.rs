//! The world around the engine, and what must be true in it: what was recorded, which attempts the
//! destinations saw, and how each delivery has to end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::breaker::Breaker;
use super::options::LANES;
use crate::destinations::custom::Options;
use crate::engine::Engine;
use crate::jobs::Thread;
use crate::time::Timestamp;

/// The mood of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Mixed,
    Down,
}

/// One destination and its lane.
pub(super) struct LaneModel {
    pub(super) options: Options,
    pub(super) mood: Mood,
    pub(super) breaker: Breaker,
    /// The thread that has its function; `None`: it is gone.
    pub(super) thread: Option<Arc<dyn Thread>>,
    pub(super) is_paused: bool,
    pub(super) was_paused: bool,
    /// `true` if its thread was gone once: then calls may change places.
    pub(super) was_gone: bool,
    /// The batches whose storing began, by name.
    pub(super) batches: HashMap<String, BatchModel>,
}

#[derive(Debug, Default)]
pub(super) struct BatchModel {
    pub(super) attempts: u32,
    pub(super) due: u64,
    /// The flushes that it has seen.
    pub(super) flushes: u64,
}

/// A recorded call, by the number in its argument.
#[derive(Debug)]
pub(super) struct CallModel {
    pub(super) lane: usize,
    pub(super) execution: usize,
    pub(super) workflow: usize,
    pub(super) recorded_at: u64,
    pub(super) cost: usize,
    /// The first delivery.
    pub(super) first: Option<Uuid>,
}

/// One delivery of a call.
#[derive(Debug)]
pub(super) struct DeliveryModel {
    pub(super) id: Uuid,
    pub(super) call: usize,
    pub(super) recorded_at: u64,
    pub(super) attempts: u32,
    /// No attempt is made before then.
    pub(super) due: u64,
    /// The end that it has to have: `true` is delivered.
    pub(super) expected: Option<bool>,
    pub(super) settled: Option<bool>,
}

/// A job that its function has not answered.
#[derive(Debug)]
pub(super) struct JobModel {
    pub(super) lane: usize,
    pub(super) batch: String,
    pub(super) items: Vec<Uuid>,
    pub(super) is_probe: bool,
    /// The end of its time.
    pub(super) until: u64,
}

/// Sums over the calls of the present engine.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Calls recorded, replays included.
    pub(super) recorded: u64,
    pub(super) discarded: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    /// Bytes of calls that are in open buffers or wait.
    pub(super) bytes: usize,
}

/// Everything outside of the engine.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) engine: Option<Arc<Engine>>,
    /// The number of the present engine.
    pub(super) era: u64,
    pub(super) concurrency: usize,
    pub(super) lanes: Vec<LaneModel>,
    pub(super) calls: Vec<CallModel>,
    pub(super) deliveries: BTreeMap<Uuid, DeliveryModel>,
    pub(super) jobs: BTreeMap<u64, JobModel>,
    pub(super) all_paused: bool,
    pub(super) paused_workflows: Vec<bool>,
    /// Workflows that were paused once: then calls may change places.
    pub(super) was_paused: Vec<bool>,
    /// The last call of each execution and lane whose first attempt has begun.
    pub(super) begun: HashMap<(usize, usize), usize>,
    pub(super) sums: Sums,
    pub(super) is_closing: bool,
    /// Beginnings and ends of flushes.
    pub(super) flushes: u64,
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) attempts: u64,
}

impl World {
    pub(super) fn note(&mut self, text: &str) {
        let line = format!("{:>8} {text}", now() - START);
        self.trace.push(line);
    }

    pub(super) fn violate(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.note(&format!("VIOLATION {text}"));
        self.violations.push(text);
    }

    /// Takes note of the beginning of an attempt at these items, and checks that it may begin.
    pub(super) fn begin_attempt(
        &mut self,
        job: u64,
        mut model: JobModel,
        calls: &[usize],
        times: &[u64],
    ) {
        self.attempts += 1;
        let lane = model.lane;
        // Of two timers that end at this moment, that of the engine may be first.
        let over = |job: &JobModel| job.until <= now();
        let over: Vec<_> =
            self.jobs.iter().filter(|(_, job)| over(job)).map(|(job, _)| *job).collect();
        for job in over {
            self.time_out(job);
        }
        self.note(&format!("attempt {} {calls:?}", LANES[lane]));
        self.check_limits(lane);
        self.check_pauses(lane, calls);
        model.is_probe = self.lanes[lane].breaker.is_probing(now());
        if self.lanes[lane].breaker.is_open(now()) {
            self.violate(format!("an attempt in {}, whose breaker is open", LANES[lane]));
        }
        if model.is_probe && self.jobs.values().any(|job| job.lane == lane && job.is_probe) {
            self.violate(format!("two probes at once in {}", LANES[lane]));
        }
        for ((id, call), recorded_at) in model.items.iter().zip(calls).zip(times) {
            self.begin_item(*id, *call, *recorded_at);
        }
        if self.lanes[lane].options.batch.is_some() {
            self.begin_batch(lane, &model);
        }
        self.jobs.insert(job, model);
    }

    fn check_limits(&mut self, lane: usize) {
        let is_batched = |job: &&JobModel| self.lanes[job.lane].options.batch.is_some();
        let limit = self.lanes[lane].options.concurrency;
        let in_lane = self.jobs.values().filter(|job| job.lane == lane).count();
        let in_all = self.jobs.values().filter(|job| !is_batched(job)).count();
        if in_lane >= limit {
            self.violate(format!("more than {limit} attempts at once in {}", LANES[lane]));
        }
        if self.lanes[lane].options.batch.is_none() && in_all >= self.concurrency {
            self.violate(format!("more than {} attempts at once", self.concurrency));
        }
    }

    fn check_pauses(&mut self, lane: usize, calls: &[usize]) {
        if self.all_paused || self.lanes[lane].is_paused {
            self.violate(format!("an attempt in {}, which is paused", LANES[lane]));
        }
        let is_batched = self.lanes[lane].options.batch.is_some();
        let workflows: Vec<_> = calls.iter().map(|call| self.calls[*call].workflow).collect();
        // Calls that are in a batch already are stored with it.
        if !is_batched && workflows.iter().any(|workflow| self.paused_workflows[*workflow]) {
            self.violate(format!("an attempt at {calls:?}, whose workflow is paused"));
        }
    }

    fn begin_item(&mut self, id: Uuid, number: usize, recorded_at: u64) {
        let call = &mut self.calls[number];
        let is_first = call.first.is_none_or(|first| first == id);
        call.first.get_or_insert(id);
        let (place, lane, workflow) = ((call.execution, call.lane), call.lane, call.workflow);
        let is_known = !is_first || call.recorded_at == recorded_at;
        let delivery = self.delivery(id, number);
        delivery.recorded_at = recorded_at;
        delivery.attempts += 1;
        let DeliveryModel { attempts, due, expected, settled, .. } = *delivery;
        if expected.is_some() || settled.is_some() {
            self.violate(format!("another attempt at call {number}, which has ended"));
        }
        if !is_known {
            self.violate(format!("call {number} has another time"));
        }
        if now() < due {
            self.violate(format!("call {number} was due at {}", due - START));
        }
        // Batches that were closed while their queue was paused go on in any order.
        let may_change_places = self.was_paused[workflow]
            || self.lanes[lane].was_gone
            || (self.lanes[lane].was_paused && self.lanes[lane].options.batch.is_some());
        if is_first && attempts == 1 && !may_change_places {
            let before = self.begun.insert(place, number);
            if before.is_some_and(|before| before > number) {
                self.violate(format!("call {number} was begun after {before:?}"));
            }
        }
    }

    fn begin_batch(&mut self, lane: usize, model: &JobModel) {
        let limits = self.lanes[lane].options.batch;
        if limits.is_some_and(|limits| model.items.len() > limits.max_count) {
            self.violate(format!("a batch of {} calls", model.items.len()));
        }
        let batch = self.lanes[lane].batches.entry(model.batch.clone()).or_default();
        batch.attempts += 1;
        if now() < batch.due {
            let due = batch.due - START;
            self.violate(format!("the batch {} was due at {due}", model.batch));
        }
    }

    pub(super) fn delivery(&mut self, id: Uuid, call: usize) -> &mut DeliveryModel {
        let recorded_at = self.calls[call].recorded_at;
        self.deliveries.entry(id).or_insert(DeliveryModel {
            id,
            call,
            recorded_at,
            attempts: 0,
            due: 0,
            expected: None,
            settled: None,
        })
    }

    /// Takes note of the end of a delivery, as the engine published it.
    pub(super) fn settle(&mut self, id: Uuid, call: usize, is_delivered: bool) {
        self.note(&format!("settled call {call}: {is_delivered}"));
        let is_closing = self.is_closing;
        self.calls[call].first.get_or_insert(id);
        let delivery = self.delivery(id, call);
        let (before, expected) = (delivery.settled.replace(is_delivered), delivery.expected);
        if before.is_some() {
            return self.violate(format!("call {call} was settled twice"));
        }
        match expected {
            // What is answered at the moment of the deadline may be interrupted, and so may a batch.
            Some(true) if is_closing => {}
            Some(expected) if expected != is_delivered => {
                self.violate(format!("call {call} ended otherwise than its destination said"));
            }
            None if is_delivered || !(is_closing || self.is_too_old(call)) => {
                self.violate(format!("call {call} ended (delivered: {is_delivered}) for nothing"));
            }
            _ => {}
        }
        if is_delivered {
            self.sums.delivered += 1;
        } else {
            self.sums.failed += 1;
        }
        self.sums.bytes -= self.calls[call].cost;
    }

    /// Returns `true` if a call may fail without an attempt: its host was left alone for too long.
    fn is_too_old(&self, call: usize) -> bool {
        let CallModel { lane, recorded_at, .. } = self.calls[call];
        let policy = self.lanes[lane].options.retry.as_ref();
        policy.is_some_and(|policy| {
            policy.breaker.is_some() && Duration::from_millis(now() - recorded_at) > policy.max_age
        })
    }

    /// Checks that everything that has to have ended has.
    pub(super) fn check_ends(&mut self) {
        let unsettled =
            |delivery: &&DeliveryModel| delivery.expected.is_some() && delivery.settled.is_none();
        // A batch is settled as a whole.
        let late: Vec<_> = self.deliveries.values().filter(unsettled).map(|d| d.call).collect();
        let is_single = |call: &&usize| self.lanes[self.calls[**call].lane].options.batch.is_none();
        if let Some(call) = late.iter().find(is_single) {
            let call = *call;
            self.violate(format!("call {call} was answered and has not ended"));
        }
    }

    /// Checks that no delivery waits whose time has come and for which there is a worker.
    pub(super) fn check_dues(&mut self) {
        let is_single = |lane: usize| self.lanes[lane].options.batch.is_none();
        let in_lane = |lane| self.jobs.values().filter(|job| job.lane == lane).count();
        let in_all = self.jobs.values().filter(|job| is_single(job.lane)).count();
        if self.all_paused || in_all >= self.concurrency {
            return;
        }
        let is_served = |lane: usize| {
            let model = &self.lanes[lane];
            let is_free =
                in_lane(lane) < model.options.concurrency && model.breaker.policy.is_none();
            is_free && is_single(lane) && !model.is_paused && !model.was_gone
        };
        let is_late = |delivery: &&DeliveryModel| {
            let call = &self.calls[delivery.call];
            let waits = delivery.expected.is_none() && delivery.settled.is_none();
            waits
                && delivery.due > 0
                && delivery.due + 1 < now()
                && is_served(call.lane)
                && !self.was_paused[call.workflow]
                && !self.jobs.values().any(|job| job.items.contains(&delivery.id))
        };
        if let Some(late) = self.deliveries.values().find(is_late) {
            let text = format!("call {} was due at {}", late.call, late.due - START);
            self.violate(format!("{text}, and is not attempted"));
        }
    }

    /// Lets everything be attempted at once that waits for its time.
    pub(super) fn clear_dues(&mut self, lane: Option<usize>) {
        let is_wanted = |of: usize| lane.is_none_or(|lane| lane == of);
        for delivery in self.deliveries.values_mut() {
            if is_wanted(self.calls[delivery.call].lane) {
                delivery.due = 0;
            }
        }
        for (_, lane) in self.lanes.iter_mut().enumerate().filter(|(of, _)| is_wanted(*of)) {
            lane.breaker.probe();
        }
    }

    /// Lets every delayed batch be stored at once.
    pub(super) fn clear_batch_dues(&mut self) {
        self.flushes += 1;
        for lane in &mut self.lanes {
            lane.batches.values_mut().for_each(|batch| batch.due = 0);
        }
    }
}

/// The beginning of each simulation.
pub(super) const START: u64 = 1_795_000_000_000;

/// Returns the present in milliseconds.
pub(super) fn now() -> u64 {
    Timestamp::now().as_millis()
}

/// Returns the present and so much, as the engine rounds it.
pub(super) fn later(delay: Duration) -> u64 {
    Timestamp::now().after(delay).as_millis()
}
