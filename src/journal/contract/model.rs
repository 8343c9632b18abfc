//! A journal against a model: after any sequence of steps, both hold the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::{commit, completed, delivered, failed, lane};
use crate::execution::{DeliveryQuery, Retention};
use crate::journal::{Delayed, Journal, Lane, MemoryJournal, Record, Refill};
use crate::time::Timestamp;

/// An operation. Lanes are `a`, `b` and `c`.
#[derive(Debug, Clone)]
pub(in crate::journal) enum Step {
    Append(Vec<usize>),
    Lease(usize),
    /// The oldest leased record ends, well or not.
    Settle(bool),
    /// The oldest leased record waits for so long.
    Postpone(u64),
    Advance(u64),
    /// The process ends, without a word to the records that are leased.
    Reopen,
}

pub(in crate::journal) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(0..LANES.len(), 1..5).prop_map(Step::Append),
        4 => (0..LANES.len()).prop_map(Step::Lease),
        3 => any::<bool>().prop_map(Step::Settle),
        1 => (1_u64..50).prop_map(Step::Postpone),
        1 => (1_u64..50).prop_map(Step::Advance),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

const LANES: [&str; 3] = ["a", "b", "c"];

/// The content that a journal should have: calls by their numbers, which are given in the order of appending.
#[derive(Default)]
struct Model {
    next: u64,
    lanes: BTreeMap<u64, usize>,
    waiting: [VecDeque<u64>; 3],
    delayed: BTreeSet<(u64, u64)>,
    attempts: BTreeMap<u64, u32>,
    /// Calls whose last attempt has begun and not come to anything.
    marked: BTreeSet<u64>,
    /// When calls that were put off were due.
    due: BTreeMap<u64, u64>,
    ended: BTreeMap<u64, bool>,
    /// The journal's numbers.
    numbers: BTreeMap<u64, u64>,
    now: u64,
}

impl Model {
    fn wake(&mut self) {
        while let Some((due, call)) =
            self.delayed.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.delayed.remove(&(due, call));
            self.waiting[self.lanes[&call]].push_back(call);
        }
    }

    /// Takes the call that the journal should have leased, and holds the record against it.
    fn lease(&mut self, lane: usize, record: Option<&Record>) -> u64 {
        let expected = self.waiting[lane].pop_front();
        assert_eq!(record.is_some(), expected.is_some());
        let (Some(record), Some(call)) = (record, expected) else { return 0 };
        let attempts = self.attempts.entry(call).or_default();
        *attempts += 1;
        assert_eq!(record.attempts, *attempts, "attempts of {call}");
        // The same call has the same number, also after the next opening.
        assert_eq!(*self.numbers.entry(call).or_insert(record.seq), record.seq);
        self.marked.insert(call);
        call
    }

    /// Leased calls wait again, in the order of the numbers, and what was put off is behind it.
    fn reopen(&mut self, leased: &[u64]) {
        for lane in 0..LANES.len() {
            let mut all: BTreeSet<u64> = self.waiting[lane].drain(..).collect();
            all.extend(leased.iter().filter(|call| self.lanes[call] == lane));
            let late = |call: &u64| self.due.contains_key(call) && !self.marked.contains(call);
            let (late, early): (Vec<_>, Vec<_>) = all.into_iter().partition(late);
            self.delayed.extend(late.into_iter().map(|call| (self.due[&call], call)));
            self.waiting[lane] = early.into();
        }
    }
}

/// Runs the steps on both. `reopen` ends a journal and opens it again; `None`: it does not last.
pub(in crate::journal) async fn check<J: Journal>(
    mut journal: J,
    mut reopen: Option<impl AsyncFnMut(J) -> J>,
    steps: Vec<Step>,
) {
    let mut model = Model::default();
    // Leased records with the model's numbers, oldest first.
    let mut leased: VecDeque<(u64, Lane, Record)> = VecDeque::new();
    for step in steps {
        match step {
            Step::Append(lanes) => {
                let names: Vec<_> = lanes.iter().map(|lane| LANES[*lane]).collect();
                let (commit, _) = commit(&names, completed());
                journal.append(commit).await.unwrap();
                for lane in lanes {
                    model.lanes.insert(model.next, lane);
                    model.waiting[lane].push_back(model.next);
                    model.next += 1;
                }
            }
            Step::Lease(place) => {
                let record = journal.lease(&lane(LANES[place])).await;
                let call = model.lease(place, record.as_ref());
                leased.extend(record.map(|record| (call, lane(LANES[place]), record)));
            }
            Step::Settle(well) => {
                let Some((call, _, record)) = leased.pop_front() else { continue };
                journal.settle(&record, if well { delivered() } else { failed() });
                model.marked.remove(&call);
                model.ended.insert(call, well);
            }
            Step::Postpone(delay) => {
                let Some((call, lane, record)) = leased.pop_front() else { continue };
                let until = model.now + delay;
                let time = Timestamp::from_millis(until);
                journal.postpone(&lane, record, time, "again".to_owned());
                model.marked.remove(&call);
                model.due.insert(call, until);
                model.delayed.insert((until, call));
            }
            Step::Advance(millis) => {
                model.now += millis;
                let (_, next) = journal.wake_due(Timestamp::from_millis(model.now));
                model.wake();
                let expected = model.delayed.first().map(|(due, _)| *due);
                assert_eq!(next.map(Timestamp::as_millis), expected);
            }
            Step::Reopen => {
                let Some(reopen) = &mut reopen else { continue };
                let gone: Vec<u64> = leased.drain(..).map(|(call, _, _)| call).collect();
                journal = reopen(journal).await;
                bring_back(&journal).await;
                model.reopen(&gone);
                journal.wake_due(Timestamp::from_millis(model.now));
                model.wake();
            }
        }
        compare(&journal, &model).await;
    }
}

async fn bring_back(journal: &impl Journal) {
    while let Some(refill) = journal.refill().await.unwrap() {
        let Refill { interrupted, delayed, .. } = refill;
        assert!(interrupted.is_empty());
        for Delayed { lane, record, due } in delayed {
            journal.delay(lane, record, due);
        }
    }
    assert_eq!(journal.backlog(), 0);
}

async fn compare(journal: &impl Journal, model: &Model) {
    for (place, waiting) in model.waiting.iter().enumerate() {
        assert_eq!(journal.waiting(&lane(LANES[place])), waiting.len(), "lane {place}");
    }
    assert_eq!(journal.postponed().values().sum::<usize>(), model.delayed.len());
    let all = DeliveryQuery { limit: Some(10_000), ..DeliveryQuery::default() };
    let found = journal.deliveries(&all, &[]).await.unwrap();
    assert_eq!(found.len(), model.lanes.len());
    let count = |name| found.iter().filter(|(_, entry)| entry.status.as_str() == name).count();
    assert_eq!(count("delivered"), model.ended.values().filter(|well| **well).count());
    assert_eq!(count("failed"), model.ended.values().filter(|well| !**well).count());
}

pub(in crate::journal) fn run(future: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_journal_is_as_its_model(steps in steps()) {
        let retention = Retention { max_executions_per_workflow: 1000, ..Retention::default() };
        let journal = MemoryJournal::new(retention);
        run(check(journal, None::<fn(MemoryJournal) -> std::future::Ready<MemoryJournal>>, steps));
    }
}
