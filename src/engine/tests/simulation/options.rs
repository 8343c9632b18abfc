//! The options of the simulated destinations.

use std::time::Duration;

use super::dice::Dice;
use crate::config::Config;
use crate::delivery::{BreakerPolicy, Delays, RetryPolicy};
use crate::destinations::BatchLimits;
use crate::destinations::custom::{MENDABLE, Options};
use crate::execution::Retention;

/// The names of the destinations, which are those of their lanes.
pub(super) const LANES: [&str; 4] = ["sim_a", "sim_b", "sim_c", "sim_d"];

/// Returns the options of an engine.
pub(super) fn config(dice: &mut Dice) -> Config {
    Config {
        concurrency: dice.below(6) + 1,
        max_pending_bytes: if dice.percent(20) { 20_000 } else { 1 << 20 },
        log: Retention { max_executions_per_workflow: 100_000, ..Retention::default() },
        ..Config::default()
    }
}

/// Returns the options of a destination. The last one has batches.
pub(super) fn destination(dice: &mut Dice, lane: usize) -> Options {
    let is_batched = lane == LANES.len() - 1;
    Options {
        timeout: dice.millis(100..=4000),
        concurrency: dice.below(4) + 1,
        retry: (!dice.percent(15)).then(|| policy(dice, is_batched)),
        batch: is_batched.then(|| batch(dice)),
    }
}

fn policy(dice: &mut Dice, is_batched: bool) -> RetryPolicy {
    let count = dice.below(5);
    let delays = (0..count).map(|_| dice.millis(1..=20_000)).collect();
    let breaker = (!is_batched && dice.percent(60)).then(|| BreakerPolicy {
        failures: u32::try_from(dice.within(2..=5)).unwrap(),
        cooldown: dice.millis(500..=40_000),
    });
    RetryPolicy {
        delays: Delays::Schedule(delays),
        max_age: dice.millis(5_000..=100_000),
        retry_after_max: dice.millis(100..=10_000),
        statuses: Vec::new(),
        errors: MENDABLE.to_vec(),
        breaker,
    }
}

fn batch(dice: &mut Dice) -> BatchLimits {
    BatchLimits {
        interval: dice.millis(10..=5_000),
        idle: dice.percent(50).then(|| dice.millis(1..=1_000)),
        max_bytes: 1 << 20,
        max_count: dice.below(6) + 1,
    }
}

/// Returns the delay that a policy has after so many attempts.
pub(super) fn delay_after(policy: Option<&RetryPolicy>, attempts: u32) -> Option<Duration> {
    policy?.delays.after(attempts, 0.0)
}
