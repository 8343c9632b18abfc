//! Dead letters: their replays, which are new attempt chains of the same calls, and their dismissal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::budget::{Reservation, Room, room_for};
use super::commit::{append, lane_of};
use super::replay_runs::{ReplayRequest, ReplayRun, ReplayRuns, RunningReplay};
use crate::engine::lanes::Lanes;
use crate::error::{Error, Result};
use crate::execution::{ExecutionLog, Force, Selection, SkipReason};
use crate::id::{delivery_id, id_seed};
use crate::journal::{Commit, Completion, Lane, Refusal, Replayable, Selected};
use crate::observability::events::{ReplayProgress, Topic};
use crate::recording::Item;
use crate::time::Timestamp;

/// The result of a replay request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Replayed {
    /// The new deliveries.
    pub replayed: Vec<Replay>,
    /// The selected deliveries that cannot be replayed.
    pub skipped: Vec<Skipped>,
    /// `true` if the request was cancelled before all calls were handed over.
    pub cancelled: bool,
}

/// A new delivery and the one that it repeats.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// The new delivery.
    pub id: Uuid,
    /// The failed one.
    pub replay_of: Uuid,
}

/// A delivery that cannot be replayed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Skipped {
    /// The delivery.
    pub id: Uuid,
    /// The reason.
    pub reason: &'static str,
}

/// The plan of a replay: its effect, if it were made now.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayPlan {
    /// The id of the plan, by which these calls, and no others, are replayed.
    pub id: String,
    /// The number of calls.
    pub count: usize,
    /// The bytes of their payloads.
    pub bytes: usize,
    /// The number of calls for each queue: for `http` the origin, otherwise the destination.
    pub hosts: BTreeMap<String, usize>,
    /// The number of calls for each error code.
    pub errors: BTreeMap<&'static str, usize>,
    /// The time of the oldest call.
    pub oldest: Option<Timestamp>,
    /// The number of selected deliveries that cannot be replayed.
    pub skipped: usize,
    /// The number of them for each reason.
    pub reasons: BTreeMap<&'static str, usize>,
}

/// Calls of one execution that are committed together.
struct ReplayGroup {
    execution: Arc<ExecutionLog>,
    seed: u64,
    /// The memory that they take.
    bytes: usize,
    items: Vec<(Lane, Item)>,
    replays: Vec<Replay>,
}

/// The replays and dismissals of one engine.
#[derive(Debug)]
pub(crate) struct Replays {
    lanes: Arc<Lanes>,
    /// The plans, and the replays that run or ended.
    pub(crate) runs: ReplayRuns,
    /// Held while dead letters are selected and replayed or dismissed: no call is replayed twice.
    alone: tokio::sync::Mutex<()>,
}

impl Replays {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes, runs: ReplayRuns::default(), alone: tokio::sync::Mutex::default() }
    }

    /// Returns the selection of a request.
    ///
    /// # Errors
    /// `InvalidArgument` for a plan that is not known any more.
    pub(crate) fn selection_of(&self, request: ReplayRequest) -> Result<Selection> {
        match request {
            ReplayRequest::Selection(selection) => Ok(selection),
            ReplayRequest::Plan(id) => self.runs.planned(&id),
        }
    }

    /// Replays the calls of a selection in their original order, and waits where they do not fit into
    /// memory. Resolves when the new deliveries are as durable as a completion. After `run` is
    /// cancelled, no more calls are committed.
    ///
    /// # Errors
    /// `JournalFull` when a call does not fit and waiting makes no room: those before it are committed.
    pub(crate) async fn replay(&self, selection: &Selection, run: &ReplayRun) -> Result<Replayed> {
        let running = RunningReplay::new(run);
        running.end(self.replay_parts(selection, run).await)?;
        Ok(run.result())
    }

    async fn replay_parts(&self, selection: &Selection, run: &ReplayRun) -> Result<()> {
        let shared = &self.lanes.shared;
        shared.stage.check_open()?;
        let work = shared.begin_work();
        // A second request sees the calls of the first one as under way.
        let alone = self.alone.lock().await;
        let parts = shared.journal.parts(selection).await?;
        let (mut after, sizes) = (0, parts.iter().map(size_of_part).collect::<Option<Vec<_>>>());
        let mut left = sizes.map_or(0, |sizes| sizes.iter().sum());
        for part in &parts {
            let Selected { calls, skipped } = shared.journal.replayable(part).await?;
            left = left.saturating_sub(size_of_part(part).unwrap_or(0));
            after += calls.len();
            let total = after + left;
            let skipped = skipped.into_iter().map(|(id, why)| Skipped { id, reason: why.as_str() });
            run.note_skipped(skipped);
            if !self.replay_part(calls, total, run).await? {
                run.note_cancelled();
                break;
            }
        }
        drop((alone, work));
        Ok(())
    }

    /// Returns `false` if calls are left because the replay was cancelled.
    async fn replay_part(
        &self,
        calls: Vec<Replayable>,
        total: usize,
        run: &ReplayRun,
    ) -> Result<bool> {
        run.note_total(total);
        for group in self.groups(calls) {
            let replays = self.commit_group(group, run).await.map_err(|error| {
                let view = run.view();
                let (done, total) = (view.replayed, view.total);
                Error::new(error.kind(), format!("{error} ({done} of {total} calls are replayed)"))
            })?;
            let Some(replays) = replays else { return Ok(false) };
            let (replayed, total) = run.note_replayed(replays);
            let id = run.id();
            let events = &self.lanes.shared.observers.events;
            events.emit(Topic::Replay, || ReplayProgress { id, replayed, total });
        }
        Ok(true)
    }

    /// Returns the plan of a replay without making it. The plan is kept, to be run by its id.
    pub(crate) async fn plan(&self, selection: &Selection) -> Result<ReplayPlan> {
        let shared = &self.lanes.shared;
        let mut plan = ReplayPlan::default();
        let force = match selection {
            Selection::Ids(_, force) => *force,
            Selection::Query(_) => Force::No,
        };
        let mut ids = Vec::new();
        for part in shared.journal.parts(selection).await? {
            let Selected { calls, skipped } = shared.journal.replayable(&part).await?;
            plan.count += calls.len();
            plan.skipped += skipped.len();
            for (id, reason) in skipped {
                ids.push(id);
                *plan.reasons.entry(reason.as_str()).or_default() += 1;
            }
            let oldest = calls.first().map(|first| time_of(first.replay.call));
            plan.oldest = plan.oldest.or(oldest);
            for Replayable { replay, code, execution, item, .. } in calls {
                let workflow_id = &execution.info.workflow_id;
                let lane = lane_of(&shared.destinations, &item, workflow_id, None);
                ids.push(replay.id);
                plan.bytes += item.payload.len();
                *plan.hosts.entry(lane.key.to_string()).or_default() += 1;
                *plan.errors.entry(code.code()).or_default() += 1;
            }
        }
        plan.id = self.runs.add_plan(ids, force);
        Ok(plan)
    }

    /// Dismisses the dead letters of a selection. Returns their number.
    pub(crate) async fn dismiss(&self, selection: &Selection) -> Result<usize> {
        let shared = &self.lanes.shared;
        shared.stage.check_open()?;
        let _alone = self.alone.lock().await;
        shared.journal.dismiss(selection).await
    }

    /// Groups neighbouring calls of one execution, so that the order of the calls is kept.
    fn groups(&self, calls: Vec<Replayable>) -> Vec<ReplayGroup> {
        let shared = &self.lanes.shared;
        let mut groups: Vec<ReplayGroup> = Vec::new();
        let most = shared.budget.limit() / GROUP_SHARE;
        for Replayable { replay, execution, item, .. } in calls {
            let fits = |group: &&mut ReplayGroup| {
                group.execution.serial() == execution.serial()
                    && group.items.len() < MAX_GROUP
                    && group.bytes + item.payload.cost() <= most
            };
            let workflow_id = &execution.info.workflow_id;
            let lane = lane_of(&shared.destinations, &item, workflow_id, None);
            if let Some(group) = groups.last_mut().as_mut().filter(|group| fits(group)) {
                group.push(replay.id, lane, item);
                continue;
            }
            let seed = id_seed(execution.serial(), Uuid::now_v7().as_u64_pair().1);
            let (items, replays) = (Vec::new(), Vec::new());
            let mut group = ReplayGroup { execution, seed, bytes: 0, items, replays };
            group.push(replay.id, lane, item);
            groups.push(group);
        }
        groups
    }

    /// Reserves memory for calls, and waits until there is some. `None`: the replay was cancelled.
    async fn reserved(&self, bytes: usize, run: &ReplayRun) -> Result<Option<Reservation<'_>>> {
        let shared = &self.lanes.shared;
        loop {
            if run.is_cancelled() {
                return Ok(None);
            }
            let error = match shared.budget.reserve(bytes) {
                Ok(reserved) => return Ok(Some(reserved)),
                Err(error) => error,
            };
            let room = tokio::select! {
                room = room_for(shared, bytes) => room,
                () = run.cancelled() => Room::Some,
            };
            match room {
                Room::Some => {}
                Room::None => return Err(error),
            }
        }
    }

    /// Commits the calls of a group, without those that another process replays or dismisses meanwhile.
    /// `None`: the replay was cancelled before.
    async fn commit_group(
        &self,
        mut group: ReplayGroup,
        run: &ReplayRun,
    ) -> Result<Option<Vec<Replay>>> {
        while !group.items.is_empty() {
            let Some(reserved) = self.reserved(group.bytes, run).await? else { return Ok(None) };
            let ReplayGroup { execution, seed, items, .. } = &mut group;
            let (execution, items) = (Arc::clone(execution), std::mem::take(items));
            let completion = Completion::Continues;
            let commit = Commit { execution, seed: *seed, items, completion, forwards: None };
            let Err(refusal) = append(&self.lanes, commit).await else {
                reserved.keep();
                return Ok(Some(group.replays));
            };
            let Refusal { error, commit, taken } = *refusal;
            if taken.is_empty() {
                return Err(error);
            }
            group.keep_without(commit.items, &taken);
            self.skip_taken(taken, run).await?;
        }
        Ok(Some(Vec::new()))
    }

    /// Notes calls that another process replays or dismissed meanwhile, each with the reason.
    async fn skip_taken(&self, taken: Vec<Uuid>, run: &ReplayRun) -> Result<()> {
        let selection = Selection::Ids(taken.clone(), Force::No);
        let Selected { skipped, .. } = self.lanes.shared.journal.replayable(&selection).await?;
        let reason_of = |id| {
            let found = skipped.iter().find(|(skipped, _)| *skipped == id);
            // A dead letter again: the other replay has failed already.
            found.map_or(SkipReason::UnderWay, |(_, reason)| *reason)
        };
        run.note_taken(taken.into_iter().map(|id| Skipped { id, reason: reason_of(id).as_str() }));
        Ok(())
    }
}

/// The most calls that are committed together, so that a large replay can be cancelled.
const MAX_GROUP: usize = 1000;
/// The part of `maxPendingBytes` that calls may take that are committed together.
const GROUP_SHARE: usize = 8;

impl ReplayGroup {
    fn push(&mut self, replay_of: Uuid, lane: Lane, item: Item) {
        let id = delivery_id(item.recorded_at, item.index, self.seed);
        self.replays.push(Replay { id, replay_of });
        self.bytes += item.payload.cost();
        self.items.push((lane, item));
    }

    /// Takes the calls of a refused commit back, without those of these deliveries.
    fn keep_without(&mut self, mut items: Vec<(Lane, Item)>, taken: &[Uuid]) {
        let is_taken = |item: &Item| item.replay.as_ref().is_some_and(|of| taken.contains(&of.id));
        items.retain(|(_, item)| !is_taken(item));
        self.replays.retain(|replay| !taken.contains(&replay.replay_of));
        self.bytes = items.iter().map(|(_, item)| item.payload.cost()).sum();
        self.items = items;
    }
}

/// Returns the number of calls in a part that is known before it is read.
const fn size_of_part(part: &Selection) -> Option<usize> {
    match part {
        Selection::Ids(ids, _) => Some(ids.len()),
        Selection::Query(_) => None,
    }
}

/// Returns the time in the id of a call.
fn time_of(call: Uuid) -> Timestamp {
    Timestamp::from_millis(call.as_u64_pair().0 >> 16)
}
