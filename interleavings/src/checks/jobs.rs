//! Jobs against their answers, their time-outs and the end of their thread.

use std::sync::{Arc, Mutex};

use shuttle::future::block_on;
use shuttle::thread;
use tokio::sync::Notify;

use crate::delivery::Kind;
use crate::jobs::{JobChannel, Jobs, Thread};

/// A thread that answers in another.
struct Answering(Arc<Jobs>, Mutex<Vec<thread::JoinHandle<()>>>);

impl Thread for Answering {
    fn call(&self, job: &str) {
        let order: serde_json::Value = serde_json::from_str(job).unwrap();
        let (jobs, number) = (Arc::clone(&self.0), order["job"].as_u64().unwrap());
        let answer = thread::spawn(move || jobs.answer(number, order["of"].to_string()));
        self.1.lock().unwrap().push(answer);
    }
}

#[derive(serde::Serialize)]
struct Work {
    of: usize,
}

pub(super) fn jobs_end_once() {
    let jobs = Arc::<Jobs>::default();
    let answering = Arc::new(Answering(Arc::clone(&jobs), Mutex::default()));
    let waiting: Vec<_> = (0..2)
        .map(|of| {
            let (jobs, answering) = (Arc::clone(&jobs), Arc::clone(&answering));
            thread::spawn(move || {
                let mut job = jobs.begin(Kind::Http);
                job.hand_to(&*answering, &Work { of });
                let answer = block_on(job.answered());
                assert!(answer.is_none_or(|answer| answer == of.to_string()));
            })
        })
        .collect();
    let impatient = {
        let (jobs, answering) = (Arc::clone(&jobs), Arc::clone(&answering));
        thread::spawn(move || jobs.begin(Kind::Email).hand_to(&*answering, &Work { of: 2 }))
    };
    let ended = {
        let jobs = Arc::clone(&jobs);
        thread::spawn(move || jobs.forget(&[Kind::Http]))
    };
    for thread in waiting.into_iter().chain([impatient, ended]) {
        thread.join().unwrap();
    }
    let answers = std::mem::take(&mut *answering.1.lock().unwrap());
    answers.into_iter().for_each(|thread| thread.join().unwrap());
}

pub(super) fn jobs_are_taken() {
    let woken = Arc::<Notify>::default();
    let wakes = Arc::clone(&woken);
    let channel = Arc::new(JobChannel::new(Box::new(move || wakes.notify_one())));
    let senders: Vec<_> = (0..2)
        .map(|sender| {
            let channel = Arc::clone(&channel);
            thread::spawn(move || (0..2).for_each(|job| channel.send(&format!("[{sender},{job}]"))))
        })
        .collect();
    let mut taken: Vec<(String, (usize, usize))> = Vec::new();
    while taken.len() < 4 {
        block_on(woken.notified());
        // JavaScript takes one part for each wake.
        if let Some(part) = channel.take() {
            taken.extend(serde_json::from_str::<Vec<_>>(&part).unwrap());
        }
    }
    senders.into_iter().for_each(|thread| thread.join().unwrap());
    for sender in 0..2 {
        let of = taken.iter().filter(|(_, (by, _))| *by == sender).map(|(_, (_, job))| *job);
        assert_eq!(of.collect::<Vec<_>>(), [0, 1]);
    }
}
