//! A simulation of processes that die: the real engine with the real journal file, on one thread with a
//! paused clock. A seed decides what workflows and operators do, how destinations answer, and when the
//! process ends. Destinations outlive it and remember what they received.
//!
//! A process dies between any two steps of its tasks: its runtime is polled no more, and the next process
//! opens a copy of the directory that was made at that moment. What the dead engine does while it is dropped
//! reaches only the old directory. The writer of the journal is a task (`journal/sqlite/write/simulated.rs`),
//! and reads are made at once, so that a seed has one history.
//!
//! `SIMULATE=17 cargo nextest run --no-capture a_process_that_dies_loses_nothing` runs one seed and prints its
//! history, `SIMULATE=0..6000` runs many.

mod broken;
mod disk;
mod function;
mod ledger;
mod life;
mod operator;
mod pauses;
mod published;
mod refused;
mod replays;
mod retention;
mod stored;

use std::ops::Range;

/// The seeds of a normal run.
const SEEDS: Range<u64> = 0..40;

#[test]
fn calls_on_their_way_to_the_journal_are_recorded() {
    assert_eq!(life::simulate_with(65, false).violations, [""; 0]);
}

#[test]
fn a_process_that_dies_loses_nothing() {
    let seeds = super::seeds(SEEDS);
    let is_single = seeds.end - seeds.start == 1;
    let (mut attempts, mut deaths, mut violated) = (0, 0, Vec::new());
    for seed in seeds.clone() {
        let result = life::simulate(seed);
        attempts += result.attempts;
        deaths += result.deaths;
        if is_single || !result.violations.is_empty() && violated.is_empty() {
            println!("{}", result.trace.join("\n"));
        }
        if let Some(violation) = result.violations.first() {
            println!("seed {seed}: {violation} (alone: SIMULATE={seed})");
            violated.push(seed);
        }
    }
    let count = seeds.end - seeds.start;
    println!("{count} seeds, {deaths} deaths, {attempts} attempts, {} violated", violated.len());
    assert!(violated.is_empty(), "violated by the seeds {violated:?}: run one with SIMULATE=SEED");
}

#[test]
fn a_seed_has_one_history() {
    for seed in 0..5 {
        let (first, second) = (life::simulate(seed).trace, life::simulate(seed).trace);
        let at = first.iter().zip(&second).position(|(one, other)| one != other);
        let around = |lines: &[String]| at.map(|at| lines[at.saturating_sub(9)..=at].join("\n"));
        assert_eq!(around(&first), around(&second), "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
