//! Replays: planned, under way, cancelled, and what of them is in the file that a process left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::super::options::LANES;
use super::super::world::now;
use super::disk::Row;
use super::ledger::{Ledger, locked};
use super::operator::Operator;
use crate::engine::{Engine, ReplayRequest, ReplayRun, Skipped};
use crate::execution::{DeliveryQuery, Force, Selection, SkipReason};

/// The replays of a simulation.
#[derive(Debug, Default)]
pub(super) struct Replays {
    /// Those of the present process that have not ended, by their numbers.
    running: BTreeMap<usize, Running>,
    count: usize,
    /// The new deliveries that were promised, or found in the file.
    pub(super) made: BTreeMap<Uuid, Made>,
    /// Calls of which a resolved one may be replayed.
    forced: BTreeSet<usize>,
    /// The last call of each replay and lane whose first attempt has begun, by its place in the replay.
    begun: BTreeMap<(usize, usize), usize>,
    /// The newest plan, and the process that made it.
    plan: Option<(String, u64)>,
}

#[derive(Debug)]
struct Running {
    run: Arc<ReplayRun>,
    /// The number of its deliveries that are known.
    known: usize,
    /// The number of skipped ones that are known.
    skipped: usize,
    began_at: u64,
    /// The most that it may make; `None`: as many as there are.
    most: Option<usize>,
}

/// A delivery that a replay made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    call: usize,
    of: Uuid,
    /// The number of the replay, and the place in it; `None`: it was found in the file.
    place: Option<(usize, usize)>,
}

impl Replays {
    /// Returns `true` if a replay is under way.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Returns the deliveries of a call that replays made.
    pub(super) fn of_call(&self, call: usize) -> Vec<Uuid> {
        let of_call = self.made.iter().filter(|(_, made)| made.call == call);
        of_call.map(|(id, _)| *id).collect()
    }

    /// Forgets those that the end of their process has ended.
    pub(super) fn end_life(&mut self) {
        self.running.clear();
    }
}

impl Ledger {
    /// Returns the call of a delivery.
    pub(super) fn call_of(&self, id: Uuid) -> Option<usize> {
        let made = self.replays.made.get(&id).map(|made| made.call);
        made.or_else(|| self.calls.iter().position(|call| call.id == Some(id)))
    }

    /// Takes note of the deliveries that the replays under way have promised.
    pub(super) fn take_replays(&mut self) {
        for number in self.replays.running.keys().copied().collect::<Vec<_>>() {
            self.take_replay(number);
        }
    }

    fn take_replay(&mut self, number: usize) {
        let running = self.replays.running.get_mut(&number).unwrap();
        let (known, began_at) = (running.known, running.began_at);
        let (made, _) = running.run.page(known, usize::MAX);
        running.known += made.len();
        let (_, skipped) = running.run.page(running.skipped, usize::MAX);
        running.skipped += skipped.len();
        if running.most.is_some_and(|most| known + made.len() > most) {
            self.violate(format!("replay {number} makes more than was planned"));
        }
        self.learn_ids();
        let unknown = |skipped: &Skipped| skipped.reason == SkipReason::Unknown.as_str();
        skipped.into_iter().filter(unknown).for_each(|skipped| self.miss(skipped.id, began_at));
        for (place, replay) in (known..).zip(made) {
            self.counts.recorded += 1;
            let place = Some((number, place));
            match self.call_of(replay.replay_of) {
                Some(call) => {
                    if self.is_removed(replay.replay_of) {
                        self.violate(format!("call {call} was removed, and is replayed"));
                    }
                    self.add_replay(replay.id, Made { call, of: replay.replay_of, place });
                }
                None => self.violate("a delivery is replayed that was never seen"),
            }
        }
    }

    fn add_replay(&mut self, id: Uuid, made: Made) {
        let call = made.call;
        self.note(&format!("call {call} is replayed"));
        let is_again = self.replays.made.values().any(|other| other.of == made.of);
        if self.replays.made.insert(id, made).is_some() || is_again {
            self.violate(format!("a delivery of call {call} is replayed twice"));
        }
    }

    /// Checks that a delivery that is not the first of its call was made by a replay. Returns `false` if its
    /// call was begun after a later one of its lane.
    pub(super) fn check_replay(&mut self, id: Uuid, number: usize, is_first: bool) -> bool {
        self.take_replays();
        let Some(made) = self.replays.made.get(&id).copied() else {
            self.violate(format!("call {number} was repeated with another id"));
            return true;
        };
        let (Some((replay, place)), true) = (made.place, is_first) else { return true };
        let lane = self.calls[number].lane;
        let before = self.replays.begun.insert((replay, lane), place);
        before.is_none_or(|before| before < place)
    }

    /// Checks the deliveries in the file that replays have made. Learns of those that were not promised.
    pub(super) fn check_replays(&mut self, rows: &[Row]) {
        self.take_replays();
        let by_id: BTreeMap<Uuid, &Row> = rows.iter().map(|row| (row.id, row)).collect();
        let is_missing = |id: &&Uuid| !by_id.contains_key(id) && !self.is_removed(**id);
        if let Some(id) = self.replays.made.keys().find(is_missing) {
            let call = self.replays.made[id].call;
            self.violate(format!("the replay of call {call} is not stored"));
        }
        for (row, of) in rows.iter().filter_map(|row| Some((row, row.replay_of?))) {
            let call = row.call();
            if by_id.get(&of).is_none_or(|before| before.replayed_by != Some(row.id)) {
                self.violate(format!("the replay of call {call} is not linked"));
            }
            // A sync may have failed after it was written.
            let may_be_new = self.replays.is_running() || self.counts.is_disk_broken;
            let is_expected = self.replays.made.contains_key(&row.id) || may_be_new;
            if !is_expected {
                self.violate(format!("a replay of call {call} is stored that was not made"));
            } else if !self.replays.made.contains_key(&row.id) {
                self.add_replay(row.id, Made { call, of, place: None });
            }
        }
        let mut chains: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            chains.entry(row.call()).or_default().push(row);
        }
        for (call, mut chain) in chains {
            chain.sort_by_key(|row| depth(row, &by_id));
            self.check_chain(call, &chain);
        }
    }

    /// Checks the deliveries of a call, the oldest first.
    fn check_chain(&mut self, call: usize, chain: &[&Row]) {
        let is_forced = self.replays.forced.contains(&call);
        let before = &chain[..chain.len() - 1];
        let is_resolved = |row: &&Row| row.status == "delivered" || row.dismissed_at.is_some();
        if let Some(row) = before.iter().find(|row| !row.is_terminal()) {
            self.violate(format!("call {call} was replayed while it was {}", row.status));
        }
        if before.iter().any(is_resolved) && !is_forced {
            self.violate(format!("call {call} was replayed after it was resolved"));
        }
        let delivered = chain.iter().find(|row| row.status == "delivered").map(|row| row.id);
        let dead = chain.iter().take_while(|row| Some(row.id) != delivered);
        for row in dead.filter(|row| row.status == "failed") {
            if row.resolved_by.is_some() != delivered.is_some() {
                let (by, expected) = (row.resolved_by.is_some(), delivered.is_some());
                self.violate(format!("call {call} is resolved by a replay: {by}, not {expected}"));
            }
        }
    }

    /// Checks that a plan is known to the process that made it, and to no other.
    fn check_plan(&mut self, engine: &Engine) -> Option<Selection> {
        let (plan, life) = self.replays.plan.clone()?;
        let found = engine.selection_of(ReplayRequest::Plan(plan)).ok();
        if found.is_some() != (life == self.life) {
            self.violate(format!("a plan of process {life} in process {}", self.life));
        }
        found
    }
}

/// Returns the number of deliveries of the call before this one.
fn depth(row: &Row, by_id: &BTreeMap<Uuid, &Row>) -> usize {
    let before = |row: &&Row| row.replay_of.and_then(|id| by_id.get(&id).copied());
    std::iter::successors(Some(row), before).take(by_id.len()).count()
}

impl Operator {
    fn selection(&mut self) -> (Selection, Vec<usize>) {
        let limit = Some(self.dice.below(20) + 1);
        if self.dice.percent(50) {
            let destination =
                self.dice.percent(30).then(|| LANES[self.dice.below(LANES.len())].to_owned());
            let query = DeliveryQuery { destination, limit, ..DeliveryQuery::default() };
            return (Selection::Query(query), Vec::new());
        }
        let force = if self.dice.percent(50) { Force::Resolved } else { Force::No };
        let known = self.model(|ledger| {
            let mut known: Vec<_> =
                (0..).zip(&ledger.calls).filter_map(|(n, c)| Some((n, c.id?))).collect();
            let made = ledger.replays.made.iter().map(|(id, made)| (made.call, *id));
            known.extend(made);
            // Ids of one call have a random order.
            known.sort_by_key(|(call, _)| *call);
            known
        });
        let share = self.dice.within(5..=50);
        let chosen: Vec<_> = known.into_iter().filter(|_| self.dice.percent(share)).collect();
        let (calls, ids): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
        (Selection::Ids(ids, force), if force == Force::Resolved { calls } else { Vec::new() })
    }

    /// Begins a replay, which a task follows.
    pub(super) fn replay(&mut self) {
        let (selection, forced) = self.selection();
        self.model(|ledger| ledger.replays.forced.extend(forced));
        self.begin_replay(selection, None);
    }

    fn begin_replay(&self, selection: Selection, most: Option<usize>) {
        let engine = self.engine();
        let run = engine.begin_replay();
        let number = self.model(|ledger| {
            let number = ledger.replays.count;
            ledger.replays.count += 1;
            ledger.note(&format!("replay {number}"));
            let running =
                Running { run: Arc::clone(&run), known: 0, skipped: 0, began_at: now(), most };
            ledger.replays.running.insert(number, running);
            number
        });
        let (shared, life) = (Arc::clone(&self.ledger), self.model(|ledger| ledger.life));
        tokio::runtime::Handle::current().spawn(async move {
            let replayed = engine.replay(&selection, &run).await;
            let mut ledger = locked(&shared);
            if ledger.life != life {
                return;
            }
            ledger.take_replay(number);
            ledger.replays.running.remove(&number);
            let status = run.view().status;
            ledger.note(&format!("replay {number} ends: {status}"));
            if replayed.is_ok() != (status != "failed") || status == "running" {
                ledger.violate(format!("a replay ended as {status}: {replayed:?}"));
            }
        });
    }

    /// Plans a replay, or runs the newest plan.
    pub(super) async fn plan(&mut self) {
        let engine = self.engine();
        let planned = self.model(|ledger| ledger.check_plan(&engine));
        if let Some(selection) = planned.filter(|_| self.dice.percent(60)) {
            let Selection::Ids(ids, _) = &selection else { unreachable!("a plan has ids") };
            let most = Some(ids.len());
            return self.begin_replay(selection, most);
        }
        let (selection, forced) = self.selection();
        self.model(|ledger| ledger.replays.forced.extend(forced));
        let plan = engine.plan_replay(&selection).await;
        let Some(plan) = self.allow_error(plan) else { return };
        self.model(|ledger| {
            ledger.note(&format!("planned {} calls, without {}", plan.count, plan.skipped));
            ledger.replays.plan = Some((plan.id, ledger.life));
        });
    }

    /// Cancels the oldest replay that runs.
    pub(super) fn cancel_replay(&self) {
        self.model(|ledger| {
            if let Some((number, running)) = ledger.replays.running.first_key_value() {
                let number = *number;
                running.run.cancel();
                ledger.note(&format!("cancel replay {number}"));
            }
        });
    }

    pub(super) async fn dismiss(&mut self) {
        let (selection, _) = self.selection();
        self.model(|ledger| {
            ledger.note("dismiss");
            ledger.retained.note_dismissal();
        });
        let dismissed = self.engine().dismiss(&selection).await;
        self.allow_error(dismissed);
    }
}
