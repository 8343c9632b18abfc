//! The hand-over of records against the end of their lanes.

use std::sync::{Arc, Mutex};

use shuttle::thread::{self, JoinHandle};

use crate::delivery::Kind;
use crate::journal::Lane;
use crate::places::Workers;

/// Two lanes whose records are counted.
struct Lanes {
    workers: Workers,
    lanes: Vec<(Lane, Mutex<Records>)>,
    limit: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Records {
    waiting: usize,
    delivered: usize,
}

impl Lanes {
    fn new(concurrency: usize, limit: usize) -> Arc<Self> {
        let lane = |kind, key: &str| (Lane { kind, key: key.into() }, Mutex::default());
        Arc::new(Self {
            workers: Workers::new(concurrency),
            lanes: vec![lane(Kind::Http, "a"), lane(Kind::Email, "email")],
            limit,
            threads: Mutex::default(),
        })
    }

    fn waiting(&self, of: usize) -> usize {
        self.lanes[of].1.lock().unwrap().waiting
    }

    /// As a hand-over does: the records first, then the places.
    fn hand_over(self: &Arc<Self>, of: usize, records: usize) {
        self.lanes[of].1.lock().unwrap().waiting += records;
        let lane = &self.lanes[of].0;
        for _ in 0..self.waiting(of).min(self.limit) {
            if !self.workers.enter(lane, self.limit) {
                break;
            }
            if self.workers.begin(lane, self.limit) {
                let (lanes, lane) = (Arc::clone(self), lane.clone());
                let worker = thread::spawn(move || lanes.work(lane));
                self.threads.lock().unwrap().push(worker);
            }
        }
    }

    fn work(&self, first: Lane) {
        let mut turn = Some((self.workers.slot(first.kind), first));
        while let Some((slot, lane)) = turn {
            let has_more = self.attempt_next(&lane);
            turn = self.workers.next(slot, has_more.then_some(lane));
        }
    }

    fn attempt_next(&self, lane: &Lane) -> bool {
        let of = self.lanes.iter().position(|(known, _)| known == lane).unwrap();
        let mut records = self.lanes[of].1.lock().unwrap();
        if records.waiting > 0 {
            records.waiting -= 1;
            records.delivered += 1;
            let has_more = records.waiting > 0;
            drop(records);
            if has_more {
                return true;
            }
        } else {
            drop(records);
        }
        let is_needed = || self.waiting(of) > 0 && self.workers.enter(lane, self.limit);
        !self.workers.leave(lane, is_needed)
    }

    /// Checks that everything was delivered and given back, once no thread works any more.
    fn check(&self, delivered: [usize; 2], concurrency: usize) {
        loop {
            let thread = self.threads.lock().unwrap().pop();
            let Some(thread) = thread else { break };
            thread.join().unwrap();
        }
        for ((_, records), expected) in self.lanes.iter().zip(delivered) {
            let records = records.lock().unwrap();
            assert_eq!((records.waiting, records.delivered), (0, expected));
        }
        assert!(self.workers.active().is_empty(), "a place was not given back");
        for _ in 0..concurrency {
            assert!(
                self.workers.begin(&self.lanes[0].0, usize::MAX),
                "a worker was not given back"
            );
        }
    }
}

fn race(concurrency: usize, limit: usize, lane_of: fn(usize) -> usize) {
    let lanes = Lanes::new(concurrency, limit);
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || {
                lanes.hand_over(lane_of(number), 1);
                lanes.hand_over(lane_of(number + 1), 2);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let sum = |lane| {
        (0..3)
            .map(|n| usize::from(lane_of(n) == lane) + 2 * usize::from(lane_of(n + 1) == lane))
            .sum()
    };
    lanes.check([sum(0), sum(1)], concurrency);
}

pub(super) fn records_are_served() {
    race(2, 2, |_| 0);
}

pub(super) fn lanes_share_a_worker() {
    race(1, 2, |number| number % 2);
}
