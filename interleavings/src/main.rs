//! Runs the parts of the product where threads meet in many orders of their steps, which Shuttle decides by
//! a seed: `dollar-send-interleavings COUNT SEED`. It prints each check that failed, and how.
//!
//! The files of the product are compiled as they are, with the locks, atomics and tasks of Shuttle in place
//! of those of the standard library and of tokio.

#![allow(dead_code, reason = "the product's files have more than is checked")]

extern crate shuttled_std as std;

mod checks;
mod ground;

use ground::{Drained, closed};
pub(crate) use ground::{delivery, engine, journal, time};

#[path = "../../src/engine/intake/budget.rs"]
mod budget;
#[path = "../../src/binding/completions.rs"]
mod completions;
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/observability/events.rs"]
mod events;
#[path = "../../src/engine/batches/flushes.rs"]
mod flushes;
#[path = "../../src/engine/lifecycle/handle.rs"]
mod handle;
#[path = "../../src/binding/held.rs"]
mod held;
#[path = "../../src/jobs/mod.rs"]
mod jobs;
#[path = "../../src/engine/pending.rs"]
mod pending;
#[path = "../../src/engine/lanes/places.rs"]
mod places;
#[path = "../../src/engine/stage.rs"]
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// The steps at which another thread goes on, in the half of the runs that have few of them.
const FEW: usize = 3;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().expect("it is a number"));
    let count = usize::try_from(numbers.next().unwrap_or(1000)).expect("it is small");
    let seed = numbers.next().unwrap_or(0);
    let mut failed = 0;
    for (name, check) in checks::ALL {
        let runs = [
            run(PctScheduler::new_from_seed(seed, FEW, count / 2), check),
            run(RandomScheduler::new_from_seed(seed, count - count / 2), check),
        ];
        for violation in runs.into_iter().filter_map(Result::err) {
            println!("violation of {name}: {violation}");
            failed += 1;
        }
        println!("{name}: {count} orders");
    }
    std::process::exit(i32::from(failed > 0));
}

fn run(scheduler: impl Scheduler + 'static, check: fn()) -> Result<usize, String> {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    let runner = Runner::new(scheduler, config);
    catch_unwind(AssertUnwindSafe(|| runner.run(check))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
            .unwrap_or_default()
    })
}
