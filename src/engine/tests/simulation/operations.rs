//! What workflows and operators do with calls.

use std::time::Duration;

use uuid::Uuid;

use super::operator::{OpenExecution, Operator};
use super::options::LANES;
use super::run::WORKFLOWS;
use super::world::{CallModel, World, now};
use crate::delivery::{CALL_BYTES, Kind};
use crate::engine::{RetryFilter, Run};
use crate::execution::{DeliveryQuery, Force, Selection};
use crate::recording::StepId;

impl Operator {
    pub(super) fn begin(&mut self) {
        let workflow = self.dice.below(WORKFLOWS);
        let number = self.executions;
        self.executions += 1;
        let execution = self.engine().execution(Run {
            workflow_id: format!("w{workflow}"),
            execution_id: Some(format!("e{number}")),
            attempt: 1,
            emit_depth: 0,
            trace: None,
            trigger: None,
        });
        let (execution, calls) = (execution.unwrap(), Vec::new());
        execution.step("first").unwrap();
        self.open.push(OpenExecution { execution, number, workflow, calls });
    }

    /// Chooses an execution that has not ended.
    fn choose(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.dice.below(self.open.len()))
    }

    pub(super) fn record(&mut self) {
        let Some(place) = self.choose() else { return };
        for _ in 0..=self.dice.below(5) {
            let lane = self.dice.below(LANES.len());
            self.record_one(place, lane);
        }
    }

    fn record_one(&mut self, place: usize, lane: usize) {
        let limit = self.engine().config().max_pending_bytes;
        let OpenExecution { execution, number, workflow, calls } = &mut self.open[place];
        let mut world = super::destination::locked(&self.world);
        let call = world.calls.len();
        let text = format!(r#"{{"n":{call}}}"#).into_bytes();
        let cost = text.len() + CALL_BYTES;
        let step = execution.step(&format!("s{call}")).unwrap();
        match execution.record(Kind::from_name(LANES[lane]).unwrap(), step, text, None) {
            Ok(_) => {
                world.note(&format!("record {call} in e{number} for {}", LANES[lane]));
                let (execution, workflow, recorded_at) = (*number, *workflow, now());
                let first = None;
                world.calls.push(CallModel { lane, execution, workflow, recorded_at, cost, first });
                world.sums.recorded += 1;
                world.sums.bytes += cost;
                calls.push(call);
            }
            Err(error) if world.sums.bytes + self.released + cost <= limit => {
                world.violate(format!("refused: {error}"));
            }
            Err(_) => {}
        }
    }

    pub(super) fn flush_execution(&mut self) {
        let Some(place) = self.choose() else { return };
        let open = &mut self.open[place];
        let _ = open.execution.flush().unwrap();
        let calls = std::mem::take(&mut open.calls);
        self.model(|world| world.note(&format!("flush {calls:?}")));
    }

    pub(super) fn complete(&mut self) {
        let Some(place) = self.choose() else { return };
        let mut open = self.open.remove(place);
        let error = self.dice.percent(10).then(|| "it failed".to_owned());
        let _ = open.execution.complete(error).unwrap();
        let calls = std::mem::take(&mut open.calls);
        self.model(|world| world.note(&format!("complete e{} {calls:?}", open.number)));
        self.ended.push(open);
    }

    pub(super) fn discard(&mut self, is_dropped: bool) {
        let Some(place) = self.choose() else { return };
        let open = self.open.remove(place);
        self.released += self.model(|world| {
            world.note(&format!("discard e{} {:?}", open.number, open.calls));
            world.sums.discarded += open.calls.len() as u64;
            let bytes = open.calls.iter().map(|call| world.calls[*call].cost).sum::<usize>();
            world.sums.bytes -= bytes;
            bytes
        });
        if !is_dropped {
            open.execution.discard().unwrap();
            self.ended.push(open);
        }
    }

    pub(super) fn call_late(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let place = self.dice.below(self.ended.len());
        let execution = &self.ended[place].execution;
        let text = b"{}".to_vec();
        let kind = Kind::from_name(LANES[0]).unwrap();
        if execution.log_late(kind, StepId::at(0), text).is_ok() {
            self.released += CALL_BYTES + 2;
            self.model(|world| {
                world.note("a late call");
                world.sums.recorded += 1;
                world.sums.discarded += 1;
            });
        }
    }

    pub(super) async fn retry_now(&mut self) {
        let lane = self.dice.percent(50).then(|| self.dice.below(LANES.len()));
        let destination = lane.map(|lane| LANES[lane].to_owned());
        self.model(|world| {
            world.note(&format!("retry now {destination:?}"));
            world.clear_dues(lane);
            world.clear_batch_dues();
        });
        let filter = RetryFilter { destination, ..RetryFilter::default() };
        self.engine().retry_now(&filter).await.unwrap();
    }

    fn selection(&mut self) -> Selection {
        let limit = Some(self.dice.below(20) + 1);
        if self.dice.percent(50) {
            return Selection::Query(DeliveryQuery { limit, ..DeliveryQuery::default() });
        }
        let force = if self.dice.percent(50) { Force::Resolved } else { Force::No };
        let known: Vec<Uuid> = self.model(|world| world.deliveries.keys().copied().collect());
        let share = self.dice.within(10..=60);
        let ids = known.into_iter().filter(|_| self.dice.percent(share)).collect();
        Selection::Ids(ids, force)
    }

    pub(super) async fn replay(&mut self) {
        // What is replayed has ended.
        self.take_events();
        let selection = self.selection();
        let (engine, run) = (self.engine(), self.engine().begin_replay());
        self.model(|world| world.note("replay"));
        let limit = Duration::from_secs(30);
        let _ = tokio::time::timeout(limit, engine.replay(&selection, &run)).await;
        let (replayed, _) = run.page(0, usize::MAX);
        self.model(|world| {
            for replay in replayed {
                let call = world.deliveries[&replay.replay_of].call;
                world.note(&format!("call {call} is replayed"));
                world.delivery(replay.id, call);
                world.sums.recorded += 1;
                world.sums.bytes += world.calls[call].cost;
            }
        });
    }

    pub(super) async fn dismiss(&mut self) {
        let selection = self.selection();
        self.model(|world| world.note("dismiss"));
        self.engine().dismiss(&selection).await.unwrap();
    }

    pub(super) async fn flush(&mut self) {
        let limit = self.dice.millis(1..=20_000);
        self.model(|world| world.note(&format!("flush within {limit:?}")));
        self.model(World::clear_batch_dues);
        let begun = now();
        let engine = self.engine();
        let is_flushed = engine.flush(Some(limit)).await.is_ok();
        self.model(World::clear_batch_dues);
        self.within(begun, limit, "flush");
        if is_flushed && engine.stats().pending > 0 {
            self.model(|world| world.violate("flush() resolved with calls that wait"));
        }
    }

    pub(super) async fn await_settled(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let limit = self.dice.millis(1..=10_000);
        let place = self.dice.below(self.ended.len());
        let execution = std::sync::Arc::clone(&self.ended[place].execution);
        let begun = now();
        let is_settled = execution.settled(Some(limit)).await.is_ok();
        self.within(begun, limit, "settled");
        if is_settled && execution.log().state().open() > 0 {
            self.model(|world| world.violate("settled() resolved with calls that wait"));
        }
    }

    pub(super) async fn await_room(&mut self) {
        let limit = self.dice.millis(1..=10_000);
        let begun = now();
        let is_ready = self.engine().ready(Some(limit)).await.is_ok();
        self.within(begun, limit, "ready");
        let stats = self.engine().stats();
        let half = self.engine().config().max_pending_bytes / 2;
        if is_ready && stats.pending_bytes > half && stats.pending > 0 {
            self.model(|world| world.violate("ready() resolved without room"));
        }
    }

    fn within(&self, begun: u64, limit: Duration, what: &str) {
        let passed = now() - begun;
        if u128::from(passed) > limit.as_millis() {
            self.model(|world| world.violate(format!("{what} took {passed} ms of {limit:?}")));
        }
    }
}
