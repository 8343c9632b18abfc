//! The functions of the destinations: they answer by the seed, and remember what they received.

use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Handle;

use super::super::destination::{Order, Reaction, duration, react};
use super::super::dice::Dice;
use super::super::options::LANES;
use super::super::world::later;
use super::ledger::{Job, Ledger, SharedLedger, locked};
use crate::jobs::Thread;

/// The function of a lane, in one process.
pub(super) struct Function {
    lane: usize,
    life: u64,
    ledger: Weak<Mutex<Ledger>>,
}

impl Function {
    pub(super) fn new(ledger: &SharedLedger, lane: usize, life: u64) -> Self {
        Self { lane, life, ledger: Arc::downgrade(ledger) }
    }
}

impl Thread for Function {
    fn call(&self, job: &str) {
        let Some(shared) = self.ledger.upgrade() else { return };
        let mut ledger = locked(&shared);
        if ledger.life != self.life {
            return;
        }
        let Order { job, batch, items } = serde_json::from_str(job).unwrap();
        let calls: Vec<_> = items.iter().map(|item| item.argument.n).collect();
        let firsts: Vec<_> = items.iter().map(|item| item.call_id).collect();
        let items: Vec<_> = items.iter().map(|item| item.id).collect();
        let timeout = ledger.lanes[self.lane].options.timeout;
        let model = Job { lane: self.lane, items, until: later(timeout) };
        ledger.begin_attempt(job, model, &calls, &firsts, &batch);
        let seed = ledger.seed ^ ledger.attempts << 32 ^ calls[0] as u64;
        let mut dice = Dice::new(seed);
        let reaction = react(&mut dice, ledger.lanes[self.lane].mood, calls.len());
        let delay = duration(&mut dice, timeout);
        ledger.note(&format!("{} gets {calls:?}: {reaction:?} after {delay:?}", LANES[self.lane]));
        drop(ledger);
        let life = self.life;
        if delay.is_zero() && !matches!(reaction, Reaction::Silent) {
            return answer(&shared, life, job, &reaction);
        }
        Handle::current().spawn(async move {
            tokio::time::sleep(delay).await;
            answer(&shared, life, job, &reaction);
        });
    }
}

fn answer(shared: &SharedLedger, life: u64, job: u64, reaction: &Reaction) {
    let mut ledger = locked(shared);
    let Some(text) = reaction.text() else { return };
    if ledger.life != life {
        return;
    }
    let Some(engine) = ledger.engine.clone() else { return };
    ledger.take_answer(job, reaction);
    drop(ledger);
    engine.answer_job(job, text);
}
