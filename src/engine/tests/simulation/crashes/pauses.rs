//! The pauses of queues and workflows, and what they allow.

use super::super::operator::target;
use super::super::options::LANES;
use super::super::run::WORKFLOWS;
use super::super::world::now;
use super::ledger::{DISK_MILLIS, Ledger};
use super::operator::Operator;
use crate::engine::{Engine, PauseTarget};
use crate::observability::metrics::PauseView;

/// The number of targets: each lane, each workflow, and everything.
const TARGETS: usize = LANES.len() + WORKFLOWS + 1;
/// The place of everything.
const ALL: usize = TARGETS - 1;

/// A pause, as far as it is known: a process may die while it begins or ends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Paused {
    #[default]
    No,
    Yes,
    Unknown,
}

/// The pause of one target.
#[derive(Debug, Clone, Copy, Default)]
struct PauseModel {
    paused: Paused,
    paused_at: u64,
    was_paused: bool,
}

/// The pauses of all targets, by place.
#[derive(Debug, Default)]
pub(super) struct Pauses([PauseModel; TARGETS]);

impl Pauses {
    /// Returns `true` if a target was paused for so long that nothing of it is under way.
    fn holds(&self, place: usize, begun_before: u64) -> bool {
        let PauseModel { paused, paused_at, .. } = self.0[place];
        paused == Paused::Yes && now() > paused_at + begun_before
    }

    /// Returns `true` if the lane was paused once.
    pub(super) const fn had_lane(&self, lane: usize) -> bool {
        self.0[lane].was_paused || self.0[ALL].was_paused
    }

    /// Returns `true` if the workflow was paused once.
    pub(super) const fn had_workflow(&self, workflow: usize) -> bool {
        self.0[LANES.len() + workflow].was_paused
    }

    fn begin(&mut self, place: usize) {
        let pause = &mut self.0[place];
        pause.was_paused = true;
        if pause.paused == Paused::No {
            pause.paused = Paused::Unknown;
        }
    }

    fn begun(&mut self, place: usize) {
        let pause = &mut self.0[place];
        if pause.paused != Paused::Yes {
            (pause.paused, pause.paused_at) = (Paused::Yes, now());
        }
    }

    /// Returns the pauses that end with that of this place.
    fn ended_by(&mut self, place: usize) -> impl Iterator<Item = &mut PauseModel> {
        let is_meant = move |of: usize| place == ALL || of == place;
        let all = self.0.iter_mut().enumerate();
        all.filter(move |(of, _)| is_meant(*of)).map(|(_, pause)| pause)
    }
}

impl Ledger {
    /// Checks that an attempt may begin whatever is paused.
    pub(super) fn check_paused(&mut self, lane: usize, calls: &[usize]) {
        // An attempt that waits for its lease to be on disk is under way.
        let begun_before = u64::from(self.fails_interrupted) * DISK_MILLIS;
        let holds = |place| self.pauses.holds(place, begun_before);
        if holds(lane) || holds(ALL) {
            self.violate(format!("an attempt in {}, which is paused", LANES[lane]));
        }
        // Calls that are in a batch already are stored with it.
        let is_batched = self.lanes[lane].options.batch.is_some();
        let holds = |place| self.pauses.holds(place, begun_before);
        let is_held = |call: &&usize| holds(LANES.len() + self.calls[**call].workflow);
        if let Some(call) = calls.iter().find(is_held).filter(|_| !is_batched) {
            self.violate(format!("an attempt at call {call}, whose workflow is paused"));
        }
    }

    /// Checks that a new process has the pauses that were promised, and learns of the others.
    pub(super) fn check_pauses(&mut self, engine: &Engine) {
        let views = engine.pauses();
        for place in 0..TARGETS {
            let target = target(place);
            let is_paused = views.iter().any(|view| is_of(view, &target));
            let found = if is_paused { Paused::Yes } else { Paused::No };
            let known = std::mem::replace(&mut self.pauses.0[place].paused, found);
            if known != Paused::Unknown && known != found {
                self.violate(format!("the pause of {target:?} is {found:?} after a restart"));
            }
        }
    }
}

fn is_of(view: &PauseView, target: &PauseTarget) -> bool {
    match target {
        PauseTarget::All => view.all == Some(true),
        PauseTarget::Host(host) => view.host.as_ref() == Some(host),
        PauseTarget::Destination(name) => view.destination.as_ref() == Some(name),
        PauseTarget::WorkflowId(id) => view.workflow_id.as_ref() == Some(id),
    }
}

impl Operator {
    pub(super) async fn pause(&mut self) {
        let place = self.dice.below(TARGETS);
        let target = target(place);
        self.model(|ledger| {
            ledger.note(&format!("pause {target:?}"));
            ledger.pauses.begin(place);
        });
        let paused = self.engine().pause(target).await;
        if self.allow_error(paused).is_some() {
            self.model(|ledger| ledger.pauses.begun(place));
        }
    }

    pub(super) async fn resume(&mut self, all: bool) {
        let place = if all { ALL } else { self.dice.below(TARGETS) };
        let target = target(place);
        self.model(|ledger| {
            ledger.note(&format!("resume {target:?}"));
            let paused = ledger.pauses.ended_by(place).filter(|pause| pause.paused == Paused::Yes);
            paused.for_each(|pause| pause.paused = Paused::Unknown);
        });
        let resumed = self.engine().resume(&target).await;
        if self.allow_error(resumed).is_none() {
            return;
        }
        self.model(|ledger| {
            ledger.pauses.ended_by(place).for_each(|pause| pause.paused = Paused::No);
        });
    }
}
