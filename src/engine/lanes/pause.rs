//! Pauses: queues and workflows of which nothing is attempted before they are resumed.
//!
//! **Invariant:** a pause is in the journal before it has an effect, so that it outlives the process.
//! A paused queue keeps its records where they are; records of a paused workflow leave the queues that
//! other workflows share, and are postponed until the workflow is resumed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Lanes;
use crate::engine::closed;
use crate::engine::shared::SharedParts;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Lane, Record};
use crate::observability::metrics::PauseView;
use crate::time::Timestamp;

/// The target of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseTarget {
    /// Every queue.
    All,
    /// The queues of a host, `name` or `name:port`.
    Host(String),
    /// The queues of a destination, by name.
    Destination(String),
    /// The calls of a workflow.
    WorkflowId(String),
}

impl PauseTarget {
    /// Returns the only target that is given.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none, or more than one.
    pub fn only(targets: impl IntoIterator<Item = Self>) -> Result<Self> {
        let refused = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        let mut targets = targets.into_iter();
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return refused("give one of host, destination, workflowId and all: true");
        };
        match target {
            Self::Host(text) | Self::Destination(text) | Self::WorkflowId(text)
                if text.is_empty() =>
            {
                refused("host, destination and workflowId must not be empty")
            }
            Self::Host(host) => Ok(Self::Host(host.to_ascii_lowercase())),
            target => Ok(target),
        }
    }

    /// Returns `true` if it is about this queue.
    fn has_lane(&self, lane: &Lane) -> bool {
        match self {
            Self::All => true,
            Self::Host(host) => is_host(&lane.key, host),
            Self::Destination(name) => lane.kind.name() == name,
            Self::WorkflowId(_) => false,
        }
    }

    /// Returns the id of its registration.
    fn id(&self) -> String {
        match self {
            Self::All => "pause:all".to_owned(),
            Self::Host(host) => format!("pause:host:{host}"),
            Self::Destination(name) => format!("pause:destination:{name}"),
            Self::WorkflowId(id) => format!("pause:workflow:{id}"),
        }
    }
}

/// Returns `true` if the name of a queue is an origin of this host, with or without its port.
pub(super) fn is_host(key: &str, host: &str) -> bool {
    let Some((_, authority)) = key.split_once("://") else { return false };
    authority == host || authority.rsplit_once(':').is_some_and(|(name, _)| name == host)
}

/// A pause, as the journal registers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseRecord {
    target: PauseTarget,
    /// Milliseconds since 1970.
    since: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RegisteredPause {
    Pause(PauseRecord),
}

/// Returns the pauses among all registrations.
fn paused(registrations: &[String]) -> impl Iterator<Item = PauseRecord> {
    registrations.iter().filter_map(|text| {
        let RegisteredPause::Pause(pause) = serde_json::from_str(text).ok()?;
        Some(pause)
    })
}

/// Returns `true` for the registration of a pause.
pub(crate) fn is_pause(text: &str) -> bool {
    serde_json::from_str::<RegisteredPause>(text).is_ok()
}

impl From<PauseRecord> for PauseView {
    fn from(PauseRecord { target, since }: PauseRecord) -> Self {
        let mut view = Self {
            host: None,
            destination: None,
            workflow_id: None,
            all: None,
            since: Timestamp::from_millis(since),
        };
        match target {
            PauseTarget::All => view.all = Some(true),
            PauseTarget::Host(host) => view.host = Some(host),
            PauseTarget::Destination(name) => view.destination = Some(name),
            PauseTarget::WorkflowId(id) => view.workflow_id = Some(id),
        }
        view
    }
}

/// The pauses of one engine, and the work that they hold back.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// `true` if there is a pause: the only look of most attempts.
    any: AtomicBool,
    state: Mutex<PausedWork>,
    resumed: tokio::sync::Notify,
    /// Held while pauses are changed, so that the journal and the memory agree.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct PausedWork {
    pauses: Vec<PauseRecord>,
    /// Queues with work that were found paused.
    lanes: HashSet<Lane>,
    /// Numbers of the records that wait for their workflow.
    records: HashSet<u64>,
    /// Records of sealed batches that are not stored meanwhile.
    in_batches: usize,
}

/// Records of a sealed batch that wait. They are counted until this is dropped.
struct WaitingBatch<'a>(&'a Pauses, usize);

impl Drop for WaitingBatch<'_> {
    fn drop(&mut self) {
        self.0.state().in_batches -= self.1;
    }
}

impl Pauses {
    /// The pauses of earlier processes, among all registrations.
    pub(crate) fn restore(registrations: &[String]) -> Self {
        let pauses = Self::default();
        paused(registrations).for_each(|pause| pauses.add(pause));
        pauses
    }

    /// Takes on the pauses among all registrations. If one ended, returns the queues that may have work.
    fn renew(&self, registrations: &[String]) -> Option<Vec<Lane>> {
        let mut pauses: Vec<PauseRecord> = paused(registrations).collect();
        pauses.sort_by_key(|pause| pause.since);
        let mut state = self.state();
        let before = std::mem::replace(&mut state.pauses, pauses);
        self.any.store(!state.pauses.is_empty(), Ordering::Release);
        let goes_on = |ended: &PauseRecord| state.pauses.iter().any(|p| p.target == ended.target);
        if before.iter().all(goes_on) {
            return None;
        }
        let lanes = state.lanes.drain().collect();
        drop(state);
        self.resumed.notify_waiters();
        Some(lanes)
    }

    /// Returns `true` if something is paused.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Returns `true` if the queue is paused; it is woken when it is resumed.
    pub(crate) fn holds(&self, lane: &Lane) -> bool {
        if !self.any() {
            return false;
        }
        let mut state = self.state();
        let holds = state.has_lane(lane);
        if holds && !state.lanes.contains(lane) {
            state.lanes.insert(lane.clone());
        }
        holds
    }

    /// Returns `true` if the queue is paused.
    pub(crate) fn is_paused(&self, lane: &Lane) -> bool {
        self.any() && self.state().has_lane(lane)
    }

    /// Returns the reason why a record waits for its workflow, if it does.
    pub(crate) fn note(&self, record: &Record) -> Option<String> {
        if !self.any() {
            return None;
        }
        let id = &record.execution.info.workflow_id;
        let mut state = self.state();
        let since = state.workflow(id)?.since;
        state.records.insert(record.seq);
        let since = Timestamp::from_millis(since);
        Some(format!("workflow {id} is paused since {since}: it waits"))
    }

    /// Returns `true` if the workflow is paused.
    pub(super) fn has_workflow(&self, id: &str) -> bool {
        self.state().workflow(id).is_some()
    }

    /// Returns `true` if a record waits for a workflow that is still paused. Forgets it otherwise.
    pub(crate) fn keeps(&self, record: &Record) -> bool {
        let mut state = self.state();
        let keeps = state.records.contains(&record.seq)
            && state.workflow(&record.execution.info.workflow_id).is_some();
        if !keeps {
            state.records.remove(&record.seq);
        }
        keeps
    }

    /// Waits until a queue is not paused; `records` of a sealed batch wait with it.
    pub(crate) async fn resumed(&self, lane: &Lane, records: usize, wait: impl Fn()) {
        if !self.is_paused(lane) {
            return;
        }
        self.state().in_batches += records;
        let _waiting = WaitingBatch(self, records);
        wait();
        loop {
            let resumed = self.resumed.notified();
            tokio::pin!(resumed);
            resumed.as_mut().enable();
            if !self.is_paused(lane) {
                return;
            }
            resumed.await;
        }
    }

    /// Returns the paused queues that have work.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        self.state().lanes.iter().cloned().collect()
    }

    /// Returns the number of calls that wait, with `waiting` in each queue.
    pub(crate) fn waiting(&self, waiting: impl Fn(&Lane) -> usize) -> usize {
        if !self.any() {
            return 0;
        }
        let state = self.state();
        let in_lanes: usize = state.lanes.iter().map(waiting).sum();
        in_lanes + state.records.len() + state.in_batches
    }

    /// Returns the pauses, oldest first.
    pub(crate) fn views(&self) -> Vec<PauseView> {
        self.state().pauses.iter().cloned().map(PauseView::from).collect()
    }

    fn add(&self, pause: PauseRecord) {
        let mut state = self.state();
        if !state.pauses.iter().any(|known| known.target == pause.target) {
            state.pauses.push(pause);
        }
        self.any.store(true, Ordering::Release);
    }

    /// Removes pauses. Returns the queues that may have work.
    fn remove(&self, targets: &[PauseTarget]) -> Vec<Lane> {
        let mut state = self.state();
        state.pauses.retain(|pause| !targets.contains(&pause.target));
        self.any.store(!state.pauses.is_empty(), Ordering::Release);
        #[cfg_attr(not(test), expect(unused_mut, reason = "only a simulation needs an order"))]
        let mut lanes: Vec<Lane> = state.lanes.drain().collect();
        #[cfg(test)]
        lanes.sort_by(|a, b| a.key.cmp(&b.key));
        drop(state);
        self.resumed.notify_waiters();
        lanes
    }

    /// Returns the pauses that end with this target: with all, every one.
    fn ended_by(&self, target: &PauseTarget) -> Vec<PauseTarget> {
        let targets = self.state().pauses.iter().map(|pause| pause.target.clone()).collect();
        if *target == PauseTarget::All { targets } else { vec![target.clone()] }
    }

    fn state(&self) -> MutexGuard<'_, PausedWork> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PausedWork {
    fn has_lane(&self, lane: &Lane) -> bool {
        self.pauses.iter().any(|pause| pause.target.has_lane(lane))
    }

    fn workflow(&self, id: &str) -> Option<&PauseRecord> {
        let is_paused = |pause: &&PauseRecord| matches!(&pause.target, PauseTarget::WorkflowId(paused) if paused == id);
        self.pauses.iter().find(is_paused)
    }
}

impl Lanes {
    /// Pauses queues or a workflow; resolves when the pause is as durable as a completion. Attempts
    /// under way go on. Returns all pauses.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub(crate) async fn pause(self: &Arc<Self>, target: PauseTarget) -> Result<Vec<PauseView>> {
        let SharedParts { stage, journal, pauses, .. } = &*self.shared;
        stage.check_open()?;
        let _alone = pauses.changing.lock().await;
        self.read_pauses().await?;
        if !pauses.state().pauses.iter().any(|pause| pause.target == target) {
            let pause = PauseRecord { target, since: Timestamp::now().as_millis() };
            let id = pause.target.id();
            let text =
                serde_json::to_string(&RegisteredPause::Pause(pause.clone())).map_err(|error| {
                    let message = "a pause cannot be registered";
                    Error::new(ErrorKind::Internal, message).with_source(error)
                })?;
            journal.register(vec![(id, Some(text))]).await?;
            pauses.add(pause);
        }
        Ok(pauses.views())
    }

    /// Ends a pause; [`PauseTarget::All`] ends every pause. Returns those that are left.
    ///
    /// # Errors
    /// `Closed`, `Journal`.
    pub(crate) async fn resume(self: &Arc<Self>, target: &PauseTarget) -> Result<Vec<PauseView>> {
        let SharedParts { stage, journal, pauses, .. } = &*self.shared;
        stage.check_open()?;
        let _alone = pauses.changing.lock().await;
        self.read_pauses().await?;
        let ended = pauses.ended_by(target);
        let changes = ended.iter().map(|target| (target.id(), None)).collect();
        journal.register(changes).await?;
        let lanes = pauses.remove(&ended);
        self.wake(lanes);
        self.release_held(None);
        Ok(pauses.views())
    }

    /// Takes on the pauses that other nodes of a fleet began or ended.
    ///
    /// # Errors
    /// `Journal`.
    pub(crate) async fn renew_pauses(self: &Arc<Self>) -> Result<()> {
        let _alone = self.shared.pauses.changing.lock().await;
        self.read_pauses().await
    }

    /// Reads the pauses of a fleet. The caller holds `changing`.
    async fn read_pauses(self: &Arc<Self>) -> Result<()> {
        let SharedParts { journal, pauses, tasks, .. } = &*self.shared;
        if journal.fleet().is_none() {
            return Ok(());
        }
        let reader = Arc::clone(journal);
        let read = tasks.runtime.spawn_blocking(move || reader.registrations()).await;
        let registrations = read.unwrap_or_else(|_| Err(closed()))?;
        if let Some(lanes) = pauses.renew(&registrations) {
            self.wake(lanes);
            self.release_held(None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Kind;

    fn lane(kind: Kind, key: &str) -> Lane {
        Lane { kind, key: key.into() }
    }

    #[test]
    fn a_target_names_queues() {
        let http = lane(Kind::Http, "https://api.example.com:443");
        for (target, expected) in [
            (PauseTarget::All, true),
            (PauseTarget::Host("api.example.com".into()), true),
            (PauseTarget::Host("api.example.com:443".into()), true),
            (PauseTarget::Host("api.example.com:80".into()), false),
            (PauseTarget::Host("example.com".into()), false),
            (PauseTarget::Destination("http".into()), true),
            (PauseTarget::Destination("s3".into()), false),
            (PauseTarget::WorkflowId("p_a".into()), false),
        ] {
            assert_eq!(target.has_lane(&http), expected, "{target:?}");
        }
        assert!(!PauseTarget::Host("email".into()).has_lane(&lane(Kind::Email, "email")));
        assert!(is_host("http://[::1]:80", "[::1]") && is_host("http://[::1]:80", "[::1]:80"));
    }

    #[test]
    fn a_target_is_one_thing() {
        let host = || PauseTarget::Host("A.example.com".into());
        assert!(PauseTarget::only([]).is_err());
        assert!(PauseTarget::only([host(), PauseTarget::All]).is_err());
        assert!(PauseTarget::only([PauseTarget::WorkflowId(String::new())]).is_err());
        let lower = PauseTarget::Host("a.example.com".into());
        assert_eq!(PauseTarget::only([host()]).unwrap(), lower);
    }

    #[test]
    fn a_queue_that_was_found_paused_is_woken() {
        let pauses = Pauses::default();
        let (one, other) = (lane(Kind::Http, "http://a:80"), lane(Kind::S3, "s3"));
        assert!(!pauses.holds(&one));
        let target = PauseTarget::Host("a".into());
        pauses.add(PauseRecord { target: target.clone(), since: 1 });
        pauses.add(PauseRecord { target: target.clone(), since: 2 });
        assert!(pauses.holds(&one) && pauses.holds(&one) && !pauses.holds(&other));
        assert_eq!(pauses.waiting(|_| 3), 3);
        assert_eq!(pauses.views().iter().map(|p| p.since.as_millis()).collect::<Vec<_>>(), [1]);
        assert_eq!(pauses.remove(&[target]), std::slice::from_ref(&one));
        assert!(!pauses.any() && !pauses.holds(&one));
    }

    #[test]
    fn pauses_of_other_nodes_are_taken_on() {
        let pauses = Pauses::default();
        let one = lane(Kind::Http, "http://a:80");
        let text = |target: PauseTarget| {
            let pause = PauseRecord { target, since: 1 };
            serde_json::to_string(&RegisteredPause::Pause(pause)).unwrap()
        };
        let (a, all) = (text(PauseTarget::Host("a".into())), text(PauseTarget::All));
        let other = r#"{"service":{"destination":"s3"}}"#.to_owned();
        assert_eq!(pauses.renew(&[a.clone(), all, other]), None);
        assert!(pauses.holds(&one) && pauses.views().len() == 2);
        assert_eq!(pauses.renew(std::slice::from_ref(&a)), Some(vec![one.clone()]));
        assert!(pauses.holds(&one));
        assert_eq!(pauses.renew(&[a]), None);
        assert_eq!(pauses.renew(&[]), Some(vec![one.clone()]));
        assert!(!pauses.any() && !pauses.holds(&one));
    }

    #[test]
    fn a_pause_is_told_from_other_registrations() {
        let pause = PauseRecord { target: PauseTarget::All, since: 5 };
        let text = serde_json::to_string(&RegisteredPause::Pause(pause)).unwrap();
        assert_eq!(text, r#"{"pause":{"target":"all","since":5}}"#);
        assert!(is_pause(&text));
        assert!(!is_pause(r#"{"service":{"destination":"s3"}}"#));
    }
}
