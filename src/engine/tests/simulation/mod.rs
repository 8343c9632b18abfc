//! A simulation of an engine: the real one, with destinations, a clock and an operator that a seed decides.
//! Each seed is a history of operations and faults; at every moment of rest, the engine must agree with the
//! model of it in `world`.
//!
//! `SIMULATE=17 cargo nextest run an_engine_keeps_its_promises` runs one seed and prints its history,
//! `SIMULATE=0..50000` runs many.

mod breaker;
mod checks;
mod crashes;
mod destination;
mod dice;
mod operations;
mod operator;
mod options;
mod run;
mod world;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use crate::journal::Journal;

thread_local! {
    static JOURNAL: RefCell<Option<Arc<dyn Journal>>> = const { RefCell::new(None) };
}

/// Returns the journal of the simulation on this thread; `None`: the options decide.
pub(in crate::engine) fn journal_of_thread() -> Option<Arc<dyn Journal>> {
    JOURNAL.with_borrow(Clone::clone)
}

/// The seeds of a normal run.
const SEEDS: Range<u64> = 0..200;

/// Returns the seeds to run: those of the environment, or these.
#[expect(clippy::disallowed_methods, reason = "it chooses what the test runs")]
fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("SIMULATE") else { return usual };
    let number = |text: &str| text.parse().expect("SIMULATE is a seed, or first..end");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    }
}

#[test]
fn a_batch_that_waits_for_its_turn_is_not_stored_while_paused() {
    assert_eq!(run::simulate(275).violations, [""; 0]);
}

#[test]
fn waiting_for_a_function_is_no_attempt_at_a_batch() {
    assert_eq!(run::simulate(8).violations, [""; 0]);
}

#[test]
fn a_batch_is_no_larger_because_its_function_was_away() {
    assert_eq!(run::simulate(88).violations, [""; 0]);
}

#[test]
fn places_claimed_before_the_breaker_opened_make_one_probe() {
    assert_eq!(run::simulate(9219).violations, [""; 0]);
}

#[test]
fn an_engine_keeps_its_promises() {
    let seeds = seeds(SEEDS);
    let is_single = seeds.end - seeds.start == 1;
    let (mut attempts, mut violated) = (0, Vec::new());
    for seed in seeds.clone() {
        let result = run::simulate(seed);
        attempts += result.attempts;
        if is_single || !result.violations.is_empty() && violated.is_empty() {
            println!("{}", result.trace.join("\n"));
        }
        if let Some(violation) = result.violations.first() {
            println!("seed {seed}: {violation} (alone: SIMULATE={seed})");
            violated.push(seed);
        }
    }
    println!("{} seeds, {attempts} attempts, {} violated", seeds.end - seeds.start, violated.len());
    assert!(violated.is_empty(), "violated by the seeds {violated:?}: run one with SIMULATE=SEED");
}

/// Returns the history of a seed up to the end of its faults, whatever the order within a millisecond;
/// `None` if something waited for a flush: tokio wakes it in an order of its own.
fn history(seed: u64) -> Option<Vec<String>> {
    let mut trace = run::simulate(seed).trace;
    let end = trace.iter().position(|line| line.contains("all faults are over"))?;
    trace.truncate(end);
    trace.sort();
    let is_flush = |line: &String| line.contains("flush within") || line.contains("close in");
    (!trace.iter().any(is_flush)).then_some(trace)
}

#[test]
fn a_seed_has_one_history() {
    let mut compared = 0;
    for seed in 0..80 {
        let (first, second) = (history(seed), history(seed));
        assert_eq!(first, second, "seed {seed}");
        compared += usize::from(first.is_some());
    }
    assert!(compared > 5, "{compared} were compared");
}
