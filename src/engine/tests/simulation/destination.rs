//! The simulated destinations: functions on threads of JavaScript, which answer by the seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Deserialize;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::dice::Dice;
use super::options::{LANES, delay_after};
use super::world::{JobModel, Mood, World, later, now};
use crate::destinations::custom::Options;
use crate::jobs::Thread;
use crate::time::Timestamp;
use crate::time::simulated::draw;

/// The world, as many tasks have it.
pub(super) type SharedWorld = Arc<Mutex<World>>;

pub(super) fn locked(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread of one function.
pub(super) struct SimulatedThread {
    lane: usize,
    era: u64,
    world: Weak<Mutex<World>>,
}

#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) job: u64,
    pub(super) batch: String,
    pub(super) items: Vec<OrderItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderItem {
    pub(super) id: Uuid,
    pub(super) call_id: Uuid,
    recorded_at: String,
    pub(super) argument: Argument,
}

#[derive(Deserialize)]
pub(super) struct Argument {
    pub(super) n: usize,
}

/// The outcome of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Delivered,
    Failed,
    Retry(Option<u64>),
}

/// What a function does with a job.
#[derive(Debug)]
pub(super) enum Reaction {
    Answers(Vec<Answer>),
    /// It throws, which is an answer for each item.
    Throws(Answer),
    /// It answers something that means nothing.
    Nonsense,
    Silent,
}

impl SimulatedThread {
    pub(super) fn new(world: &SharedWorld, lane: usize, era: u64) -> Self {
        Self { lane, era, world: Arc::downgrade(world) }
    }
}

impl Thread for SimulatedThread {
    fn call(&self, job: &str) {
        let Some(shared) = self.world.upgrade() else { return };
        let Order { job, batch, items } = serde_json::from_str(job).unwrap();
        let calls: Vec<_> = items.iter().map(|item| item.argument.n).collect();
        let recorded_at = |item: &OrderItem| Timestamp::parse(&item.recorded_at).unwrap();
        let times: Vec<_> = items.iter().map(|item| recorded_at(item).as_millis()).collect();
        let items: Vec<_> = items.iter().map(|item| item.id).collect();
        let mut world = locked(&shared);
        let (count, first) = (items.len(), items[0]);
        let timeout = world.lanes[self.lane].options.timeout;
        let (lane, until) = (self.lane, later(timeout));
        let model = JobModel { lane, batch, items, is_probe: false, until };
        world.begin_attempt(job, model, &calls, &times);
        let attempt = world.deliveries[&first].attempts;
        let mut dice = world.dice_of(&[self.lane as u64, calls[0] as u64, u64::from(attempt)]);
        let reaction = react(&mut dice, world.lanes[self.lane].mood, count);
        let delay = duration(&mut dice, timeout);
        world.note(&format!("reaction to {calls:?} after {delay:?}: {reaction:?}"));
        drop(world);
        let (number, expiring) = (self.era, Arc::clone(&shared));
        if delay.is_zero() && !matches!(reaction, Reaction::Silent) {
            return answer(&shared, number, job, &reaction);
        }
        Handle::current().spawn(async move {
            tokio::time::sleep(delay).await;
            answer(&shared, number, job, &reaction);
        });
        Handle::current().spawn(async move {
            tokio::time::sleep(timeout).await;
            let mut world = locked(&expiring);
            if world.era == number {
                world.time_out(job);
            }
        });
    }
}

pub(super) fn react(dice: &mut Dice, mood: Mood, count: usize) -> Reaction {
    let weights: [u64; 7] = match mood {
        Mood::Well => [1, 0, 0, 0, 0, 0, 0],
        Mood::Mixed => [40, 15, 8, 4, 2, 6, 10],
        Mood::Down => [0, 60, 0, 10, 0, 30, 0],
    };
    let after = dice.percent(30).then(|| dice.within(1..=15_000));
    match dice.weighted(&weights) {
        0 => Reaction::Answers(vec![Answer::Delivered; count]),
        1 => Reaction::Answers(vec![Answer::Retry(after); count]),
        2 => Reaction::Answers(vec![Answer::Failed; count]),
        3 => Reaction::Throws(if dice.percent(70) { Answer::Retry(None) } else { Answer::Failed }),
        4 => Reaction::Nonsense,
        5 => Reaction::Silent,
        _ => Reaction::Answers((0..count).map(|_| one_of(dice.below(3), after)).collect()),
    }
}

const fn one_of(place: usize, after: Option<u64>) -> Answer {
    match place {
        0 => Answer::Delivered,
        1 => Answer::Failed,
        _ => Answer::Retry(after),
    }
}

/// Returns how long a function takes: never exactly its timeout, when either may be first.
pub(super) fn duration(dice: &mut Dice, timeout: Duration) -> Duration {
    let delay = match dice.weighted(&[20, 50, 20, 10]) {
        0 => Duration::ZERO,
        1 => dice.millis(1..=50),
        2 => dice.millis(51..=3_000),
        _ => timeout + dice.millis(1..=500),
    };
    if delay == timeout { delay + Duration::from_millis(1) } else { delay }
}

fn answer(shared: &SharedWorld, era: u64, job: u64, reaction: &Reaction) {
    let mut world = locked(shared);
    if world.era != era {
        return;
    }
    let Some(engine) = world.engine.clone() else { return };
    let Some(text) = reaction.text() else { return };
    if let Some(model) = world.jobs.remove(&job) {
        let count = model.items.len();
        let answers = reaction.answers(count);
        world.take_answers(&model, &answers);
    }
    drop(world);
    engine.answer_job(job, text);
}

impl Reaction {
    /// Returns the text that the engine gets; `None`: it gets none.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Silent => None,
            Self::Answers(all) => {
                let all: Vec<_> = all.iter().map(|answer| spelled(*answer)).collect();
                Some(format!(r#"{{"outcomes":[{}]}}"#, all.join(",")))
            }
            Self::Throws(answer) => Some(format!(r#"{{"threw":{}}}"#, spelled(*answer))),
            Self::Nonsense => Some(r#"{"nonsense":"5"}"#.to_owned()),
        }
    }

    /// Returns the outcome of each of so many items.
    pub(super) fn answers(&self, count: usize) -> Vec<Answer> {
        match self {
            Self::Answers(all) => all.clone(),
            Self::Throws(answer) => vec![*answer; count],
            Self::Nonsense | Self::Silent => vec![Answer::Failed; count],
        }
    }
}

fn spelled(answer: Answer) -> String {
    match answer {
        Answer::Delivered => r#"{"status":"delivered"}"#.to_owned(),
        Answer::Failed => r#"{"status":"failed","error":"no"}"#.to_owned(),
        Answer::Retry(None) => r#"{"status":"retry","error":"busy"}"#.to_owned(),
        Answer::Retry(Some(after)) => {
            format!(r#"{{"status":"retry","error":"busy","afterMs":{after}}}"#)
        }
    }
}

impl World {
    /// Returns the choices about something, whatever else was chosen before.
    fn dice_of(&self, about: &[u64]) -> Dice {
        let mut state = self.seed;
        for part in about {
            state = draw(&mut state.wrapping_add(*part));
        }
        Dice::new(state)
    }

    /// Takes note that a function has not answered in time.
    pub(super) fn time_out(&mut self, job: u64) {
        let Some(model) = self.jobs.remove(&job) else { return };
        let call = self.deliveries[&model.items[0]].call;
        self.note(&format!("call {call} timed out"));
        self.take_answers(&model, &vec![Answer::Retry(None); model.items.len()]);
    }

    /// Decides how the items of a job have to go on.
    fn take_answers(&mut self, model: &JobModel, answers: &[Answer]) {
        if self.lanes[model.lane].options.batch.is_some() {
            return self.take_batch(model, answers);
        }
        let lane = &mut self.lanes[model.lane];
        let is_there = !matches!(answers[0], Answer::Retry(_));
        lane.breaker.answer(is_there || lane.options.retry.is_none());
        let options = lane.options.clone();
        let delivery = self.deliveries.get_mut(&model.items[0]).unwrap();
        match answers[0] {
            Answer::Delivered => delivery.expected = Some(true),
            Answer::Failed => delivery.expected = Some(false),
            Answer::Retry(after) => {
                let age = Duration::from_millis(now().saturating_sub(delivery.recorded_at));
                match next(&options, delivery.attempts, after, age) {
                    Some(due) => delivery.due = due,
                    None => delivery.expected = Some(false),
                }
            }
        }
    }

    fn take_batch(&mut self, model: &JobModel, answers: &[Answer]) {
        let flushes = self.flushes;
        let lane = &mut self.lanes[model.lane];
        let policy = lane.options.retry.as_ref();
        let batch = lane.batches.entry(model.batch.clone()).or_default();
        let delay = delay_after(policy, batch.attempts);
        // The last answer decides on the delay of all.
        let after = answers.iter().rev().find_map(|answer| match answer {
            Answer::Retry(after) => Some(Duration::from_millis(after.unwrap_or(0))),
            _ => None,
        });
        if let (Some(delay), Some(after)) = (delay, after) {
            // A flush during the attempt ends the wait after it.
            let is_flushed = batch.flushes != flushes;
            batch.flushes = flushes;
            batch.due = if is_flushed { 0 } else { later(delay.max(after)) };
        }
        for (id, answer) in model.items.iter().zip(answers) {
            let delivery = self.deliveries.get_mut(id).unwrap();
            match answer {
                Answer::Delivered => delivery.expected = Some(true),
                Answer::Retry(_) if delay.is_some() => {}
                Answer::Failed | Answer::Retry(_) => delivery.expected = Some(false),
            }
        }
    }

    /// Takes note that the thread of a function is gone, and its jobs with it.
    pub(super) fn lose_thread(&mut self, lane: usize) -> Option<Arc<dyn Thread>> {
        self.note(&format!("{} loses its thread", LANES[lane]));
        let lost: Vec<_> = self.jobs.extract_if(.., |_, job| job.lane == lane).collect();
        for (_, job) in lost {
            for id in &job.items {
                // It was no attempt.
                let delivery = self.deliveries.get_mut(id).unwrap();
                delivery.attempts -= 1;
                delivery.due = 0;
            }
            if let Some(batch) = self.lanes[lane].batches.get_mut(&job.batch) {
                batch.attempts -= 1;
            }
        }
        self.lanes[lane].was_gone = true;
        self.lanes[lane].thread.take()
    }
}

/// Returns when there is another attempt after so many; `None`: that was the last.
fn next(options: &Options, attempts: u32, after: Option<u64>, age: Duration) -> Option<u64> {
    let policy = options.retry.as_ref()?;
    let delay = delay_after(Some(policy), attempts)?;
    let asked = Duration::from_millis(after.unwrap_or(0)).min(policy.retry_after_max);
    let delay = delay.max(asked);
    (age + delay <= policy.max_age).then(|| later(delay))
}
