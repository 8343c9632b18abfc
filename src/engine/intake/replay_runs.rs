//! The plans and the replays of one engine: what a plan selected, and how far a replay is.
//!
//! It holds no payload and does no work: `replay.rs` hands over the calls and reports here. Both lists
//! are in memory and bounded; a plan or a replay that is left out is no longer known by its id.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use super::replay::{Replay, Replayed, Skipped};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{Force, Selection};
use crate::time::Timestamp;

/// The most plans that can be run.
const MAX_PLANS: usize = 16;
/// The most replays that are listed.
const MAX_RUNS: usize = 100;
/// The most ids that all plans, and all replays that ended, have together. The newest is always kept.
const MAX_IDS: usize = 1_000_000;

/// A request to replay or dismiss calls.
#[derive(Debug, Clone)]
pub enum ReplayRequest {
    /// A selection.
    Selection(Selection),
    /// The selection of a plan, by its id.
    Plan(String),
}

/// The calls that a plan selected.
#[derive(Debug)]
struct PlannedCalls {
    id: String,
    ids: Vec<Uuid>,
    force: Force,
}

/// The plans and replays of one engine.
#[derive(Debug, Default)]
pub(crate) struct ReplayRuns {
    plans: Mutex<VecDeque<PlannedCalls>>,
    runs: Mutex<VecDeque<Arc<ReplayRun>>>,
}

/// One replay, from its request on.
#[derive(Debug)]
pub struct ReplayRun {
    id: String,
    started_at: Timestamp,
    is_cancelled: AtomicBool,
    cancelled: Notify,
    progress: Mutex<ReplayState>,
}

#[derive(Debug, Default)]
struct ReplayState {
    total: usize,
    /// Calls that another process has taken.
    taken: usize,
    result: Replayed,
    /// The number of skipped deliveries for each reason.
    reasons: BTreeMap<&'static str, usize>,
    end: Option<ReplayEnd>,
}

#[derive(Debug)]
struct ReplayEnd {
    at: Timestamp,
    error: Option<String>,
}

/// The progress of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayView {
    /// The id of the replay.
    pub id: String,
    /// `running`, `done`, `cancelled` or `failed`.
    pub status: &'static str,
    /// The number of calls that are handed over.
    pub replayed: usize,
    /// The number of all calls of the replay, as far as it is known.
    pub total: usize,
    /// The number of selected deliveries that cannot be replayed.
    pub skipped: usize,
    /// The time of the request.
    pub started_at: Timestamp,
    /// The time at which the last call was handed over.
    pub ended_at: Option<Timestamp>,
    /// The reason why it failed.
    pub error: Option<String>,
}

impl ReplayState {
    fn skip(&mut self, skipped: impl Iterator<Item = Skipped>) {
        for skipped in skipped {
            *self.reasons.entry(skipped.reason).or_default() += 1;
            self.result.skipped.push(skipped);
        }
    }
}

impl ReplayRun {
    fn new() -> Self {
        Self {
            id: format!("rep_{}", Uuid::now_v7().simple()),
            started_at: Timestamp::now(),
            is_cancelled: AtomicBool::new(false),
            cancelled: Notify::new(),
            progress: Mutex::default(),
        }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Stops the replay before its next calls. Those that are not handed over stay dead letters.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.cancelled.notify_waiters();
    }

    /// Returns its progress.
    #[must_use]
    pub fn view(&self) -> ReplayView {
        let progress = self.progress();
        let error = progress.end.as_ref().and_then(|end| end.error.clone());
        let status = match &progress.end {
            None => "running",
            Some(_) if error.is_some() => "failed",
            Some(_) if progress.result.cancelled => "cancelled",
            Some(_) => "done",
        };
        ReplayView {
            id: self.id.clone(),
            status,
            replayed: progress.result.replayed.len(),
            total: progress.total,
            skipped: progress.result.skipped.len(),
            started_at: self.started_at,
            ended_at: progress.end.as_ref().map(|end| end.at),
            error,
        }
    }

    /// Returns a page of its new deliveries and of what was skipped, from these places on.
    #[must_use]
    pub fn page(&self, offset: usize, limit: usize) -> (Vec<Replay>, Vec<Skipped>) {
        let progress = self.progress();
        let Replayed { replayed, skipped, .. } = &progress.result;
        (
            replayed.iter().skip(offset).take(limit).copied().collect(),
            skipped.iter().skip(offset).take(limit).copied().collect(),
        )
    }

    /// Returns the number of skipped deliveries for each reason.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        self.progress().reasons.clone()
    }

    /// Returns its result.
    pub(super) fn result(&self) -> Replayed {
        self.progress().result.clone()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Resolves when the replay is cancelled.
    pub(super) async fn cancelled(&self) {
        loop {
            let cancelled = self.cancelled.notified();
            tokio::pin!(cancelled);
            cancelled.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            cancelled.await;
        }
    }

    /// Notes the number of its calls, those that were taken included.
    pub(super) fn note_total(&self, total: usize) {
        let mut progress = self.progress();
        progress.total = total.saturating_sub(progress.taken);
    }

    /// Notes deliveries that cannot be replayed.
    pub(super) fn note_skipped(&self, skipped: impl Iterator<Item = Skipped>) {
        self.progress().skip(skipped);
    }

    /// Notes calls that another process has taken.
    pub(super) fn note_taken(&self, taken: impl ExactSizeIterator<Item = Skipped>) {
        let mut progress = self.progress();
        progress.taken += taken.len();
        progress.total = progress.total.saturating_sub(taken.len());
        progress.skip(taken);
    }

    /// Notes calls that are handed over. Returns their number so far, and that of all calls.
    pub(super) fn note_replayed(&self, replays: Vec<Replay>) -> (usize, usize) {
        let mut progress = self.progress();
        progress.result.replayed.extend(replays);
        (progress.result.replayed.len(), progress.total)
    }

    /// Notes that calls are left because it was cancelled.
    pub(super) fn note_cancelled(&self) {
        self.progress().result.cancelled = true;
    }

    fn end(&self, error: Option<String>) {
        self.progress().end.get_or_insert_with(|| ReplayEnd { at: Timestamp::now(), error });
    }

    fn ids(&self) -> usize {
        let progress = self.progress();
        progress.result.replayed.len() + progress.result.skipped.len()
    }

    fn progress(&self) -> MutexGuard<'_, ReplayState> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a replay when it is dropped.
pub(super) struct RunningReplay<'a>(&'a ReplayRun, Option<String>);

impl<'a> RunningReplay<'a> {
    pub(super) fn new(run: &'a ReplayRun) -> Self {
        Self(run, Some("the engine closed before all calls were handed over".to_owned()))
    }

    /// Ends it with a result.
    pub(super) fn end<T>(mut self, result: Result<T>) -> Result<T> {
        self.1 = result.as_ref().err().map(ToString::to_string);
        result
    }
}

impl Drop for RunningReplay<'_> {
    fn drop(&mut self) {
        self.0.end(self.1.take());
    }
}

impl ReplayRuns {
    /// Keeps the calls of a plan. Returns the id of the plan.
    pub(super) fn add_plan(&self, ids: Vec<Uuid>, force: Force) -> String {
        let id = format!("plan_{}", Uuid::now_v7().simple());
        let mut plans = self.plans();
        plans.push_front(PlannedCalls { id: id.clone(), ids, force });
        plans.truncate(MAX_PLANS);
        let kept = kept(plans.iter().map(|plan| plan.ids.len()));
        plans.truncate(kept);
        id
    }

    /// Returns the selection of a plan.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no such plan any more.
    pub(super) fn planned(&self, id: &str) -> Result<Selection> {
        let plans = self.plans();
        let plan = plans.iter().find(|plan| plan.id == id).ok_or_else(|| {
            let message = format!(
                "plan: the engine has no plan {id:?}; it keeps the last {MAX_PLANS}. Make a new one \
                 with dryRun"
            );
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        Ok(Selection::Ids(plan.ids.clone(), plan.force))
    }

    /// Begins a replay.
    pub(crate) fn begin(&self) -> Arc<ReplayRun> {
        let run = Arc::new(ReplayRun::new());
        let mut runs = self.runs();
        runs.push_front(Arc::clone(&run));
        let (mut count, mut ids) = (0, 0);
        runs.retain(|run| {
            count += 1;
            ids += run.ids();
            count == 1 || run.progress().end.is_none() || count <= MAX_RUNS && ids <= MAX_IDS
        });
        run
    }

    /// Returns the replays, the newest first.
    pub(crate) fn list(&self) -> Vec<ReplayView> {
        self.runs().iter().map(|run| run.view()).collect()
    }

    /// Returns a replay by its id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<ReplayRun>> {
        self.runs().iter().find(|run| run.id == id).map(Arc::clone)
    }

    fn plans(&self) -> MutexGuard<'_, VecDeque<PlannedCalls>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, VecDeque<Arc<ReplayRun>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how many of these, the newest first, have [`MAX_IDS`] or less together; at least one.
fn kept(sizes: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0_usize;
    let within = sizes.take_while(|size| {
        sum += size;
        sum <= MAX_IDS
    });
    within.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<Uuid> {
        (0..count).map(|n| Uuid::from_u128(n as u128)).collect()
    }

    #[test]
    fn plans_are_kept_within_bounds_and_the_newest_always() {
        let replays = ReplayRuns::default();
        let first = replays.add_plan(ids(1), Force::No);
        assert!(replays.planned(&first).is_ok());
        let large = replays.add_plan(ids(MAX_IDS + 1), Force::No);
        assert!(replays.planned(&first).is_err());
        assert!(replays.planned(&large).is_ok());
        let newest: Vec<_> = (0..MAX_PLANS).map(|_| replays.add_plan(ids(1), Force::No)).collect();
        assert!(replays.planned(&large).unwrap_err().to_string().contains("Make a new one"));
        assert!(newest.iter().all(|id| replays.planned(id).is_ok()));
    }

    #[test]
    fn a_replay_that_runs_is_listed_however_many_follow() {
        let replays = ReplayRuns::default();
        let running = replays.begin();
        for _ in 0..2 * MAX_RUNS {
            replays.begin().end(None);
        }
        assert_eq!(replays.list().len(), MAX_RUNS + 1);
        assert_eq!(replays.find(running.id()).unwrap().view().status, "running");
        drop(RunningReplay::new(&running));
        assert_eq!(running.view().status, "failed");
        replays.begin();
        assert!(replays.find(running.id()).is_none());
    }

    #[test]
    fn skipped_deliveries_are_counted_by_reason() {
        let run = ReplayRun::new();
        let skipped = |reason| Skipped { id: Uuid::nil(), reason };
        run.note_skipped([skipped("late"), skipped("lost")].into_iter());
        run.note_taken(std::iter::once(skipped("late")));
        assert_eq!(run.reasons(), BTreeMap::from([("late", 2), ("lost", 1)]));
        assert_eq!(run.view().skipped, 3);
        // Those that another process has are no calls of this replay any more.
        run.note_total(5);
        assert_eq!(run.view().total, 4);
        run.note_taken([skipped("lost"), skipped("lost")].into_iter());
        assert_eq!((run.view().total, run.view().skipped), (2, 5));
        assert_eq!(run.reasons(), BTreeMap::from([("late", 2), ("lost", 3)]));
    }

    #[tokio::test]
    async fn a_replay_is_cancelled_once_and_for_all() {
        let run = ReplayRun::new();
        assert!(!run.is_cancelled());
        run.cancel();
        run.cancelled().await;
        run.note_cancelled();
        RunningReplay::new(&run).end(Ok(())).unwrap();
        let view = run.view();
        assert_eq!((view.status, view.replayed, view.error), ("cancelled", 0, None));
    }
}
