//! Many threads against the tasks of one engine: each hand-over finds a lane that is about to become empty.
//! A record that is not served, or a waiter that is not woken, is a time-out here.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde::Deserialize;

use super::yields;
use crate::config::Config;
use crate::delivery::Kind;
use crate::destinations::custom::Options;
use crate::egress::SystemLookup;
use crate::engine::{Engine, Handle, Handover, Run, runtime};
use crate::execution::Retention;
use crate::jobs::Thread;

/// The destinations, one for each thread: nothing but its own calls wakes its lane.
const NAMES: [&str; 4] = ["races_a", "races_b", "races_c", "races_d"];
const ROUNDS: usize = 300;
/// Nothing takes that long, unless it waits for nothing.
const LONGEST: Duration = Duration::from_secs(30);

/// A function that delivers at once, or in a task.
#[derive(Default)]
struct Function {
    engine: OnceLock<Weak<Engine>>,
}

#[derive(Deserialize)]
struct Order {
    job: u64,
}

impl Thread for Function {
    fn call(&self, job: &str) {
        let Order { job } = serde_json::from_str(job).unwrap();
        let Some(engine) = self.engine.get().and_then(Weak::upgrade) else { return };
        let answer = move || {
            yields::here();
            engine.answer_job(job, r#"{"outcomes":[{"status":"delivered"}]}"#.to_owned());
        };
        if job % 2 == 0 {
            return answer();
        }
        runtime::handle().unwrap().spawn(async move { answer() });
    }
}

fn run(thread: usize, round: usize) -> Run {
    Run {
        workflow_id: format!("w{thread}"),
        execution_id: Some(format!("e{thread}-{round}")),
        attempt: 1,
        emit_depth: 0,
        trace: None,
        trigger: None,
    }
}

/// Hands over calls, and waits for their ends, so that the lane is empty again and again. Returns the number
/// of the calls.
fn work(engine: &Arc<Engine>, thread: usize) -> usize {
    let runtime = runtime::handle().unwrap();
    let (kind, mut recorded) = (Kind::from_name(NAMES[thread]).unwrap(), 0);
    for round in 0..ROUNDS {
        let execution = engine.execution(run(thread, round)).unwrap();
        let step = execution.step("step").unwrap();
        let calls = 1 + (thread + round) % 4;
        for call in 0..calls {
            execution.record(kind, step, b"{}".to_vec(), None).unwrap();
            if call == 0 {
                commit(execution.flush().unwrap());
                (0..round % 8).for_each(|_| yields::here());
            }
        }
        commit(execution.complete(None).unwrap());
        recorded += calls;
        let settled = runtime.block_on(execution.settled(Some(LONGEST)));
        settled.unwrap_or_else(|error| panic!("thread {thread}, round {round}: {error}"));
    }
    recorded
}

fn commit(handover: Handover) {
    if let Handover::Committing(committing) = handover {
        runtime::handle().unwrap().block_on(committing).unwrap();
    }
}

fn race(seed: u64, config: Config) {
    let _yields = yields::begin(seed);
    let engine = Engine::open(config, Arc::new(SystemLookup::new())).unwrap();
    let concurrency = 1 + usize::try_from(seed % 3).unwrap();
    let options = Options { concurrency, ..Options::default() };
    for name in NAMES {
        let function = Arc::new(Function::default());
        function.engine.set(Arc::downgrade(&engine)).unwrap();
        engine.add_destination(name, options.clone(), function).unwrap();
    }
    let recorded: usize = std::thread::scope(|scope| {
        let threads = (0..NAMES.len()).map(|thread| {
            scope.spawn({
                let engine = &engine;
                move || work(engine, thread)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let handle = Handle::new(engine);
    let drained = runtime::handle().unwrap().block_on(handle.close(LONGEST));
    assert_eq!((drained.delivered, drained.pending), (recorded as u64, 0), "seed {seed}");
}

fn config(seed: u64) -> Config {
    let log = Retention { max_executions_per_workflow: 100_000, ..Retention::default() };
    Config { concurrency: 1 + usize::try_from(seed % 2).unwrap(), log, ..Config::default() }
}

#[test]
fn no_call_is_left_between_a_hand_over_and_the_end_of_a_lane() {
    for seed in 0..3 {
        race(seed, config(seed));
    }
}

#[test]
fn no_call_is_left_when_the_journal_is_a_file() {
    for seed in 0..2 {
        let directory = tempfile::tempdir().unwrap();
        let journal = crate::journal::Options::bare(directory.path().to_owned());
        race(seed, Config { journal: Some(journal), ..config(seed) });
    }
}
