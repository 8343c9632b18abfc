//! The changes of the log, collected for pages that show it: which rows changed, several times a second
//! at most.
//!
//! **Invariant:** a change costs one atomic read while nothing follows, and one lock while anything
//! does, however many follow.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;
use uuid::Uuid;

/// The interval of reports.
const INTERVAL: Duration = Duration::from_millis(250);
/// Rows of each kind that one report names. More are left out.
const MAX_ROWS: usize = 1000;
/// Reports that wait for a slow follower. It misses older ones.
const MAX_REPORTS: usize = 8;

/// Collects the changes of one engine.
#[derive(Debug)]
pub struct Changes {
    followers: AtomicUsize,
    collected: Mutex<Collected>,
    reports: broadcast::Sender<Arc<ChangeReport>>,
}

#[derive(Debug, Default)]
struct Collected {
    executions: HashSet<Arc<str>>,
    deliveries: HashMap<Uuid, (Arc<str>, &'static str)>,
    left_out: bool,
    is_reporting: bool,
}

/// The rows that changed.
#[derive(Debug, Serialize)]
pub struct ChangeReport {
    /// The ids of executions.
    pub executions: Vec<String>,
    /// The deliveries, each with its status.
    pub deliveries: Vec<ChangedDelivery>,
    /// `true` if some were left out.
    #[serde(skip)]
    pub left_out: bool,
}

/// A delivery that changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedDelivery {
    /// Its id.
    pub id: Uuid,
    /// The id of its execution.
    pub execution_id: String,
    /// The spelling of its status.
    pub status: &'static str,
}

/// The reports for one follower.
#[derive(Debug)]
pub struct ChangeFollower {
    changes: Arc<Changes>,
    reports: broadcast::Receiver<Arc<ChangeReport>>,
}

impl Default for Changes {
    fn default() -> Self {
        let (reports, _) = broadcast::channel(MAX_REPORTS);
        Self { followers: AtomicUsize::new(0), collected: Mutex::default(), reports }
    }
}

impl Changes {
    /// Notes that an execution changed.
    pub fn note_execution(&self, execution_id: &Arc<str>) {
        if self.is_followed() {
            self.collected().add_execution(execution_id);
        }
    }

    /// Notes the status of a delivery.
    pub fn note_delivery(&self, id: Uuid, execution_id: &Arc<str>, status: &'static str) {
        if !self.is_followed() {
            return;
        }
        let mut collected = self.collected();
        collected.add_execution(execution_id);
        if collected.deliveries.len() < MAX_ROWS || collected.deliveries.contains_key(&id) {
            collected.deliveries.insert(id, (Arc::clone(execution_id), status));
        } else {
            collected.left_out = true;
        }
    }

    /// Notes that something changed that is not named.
    pub fn note_left_out(&self) {
        if self.is_followed() {
            self.collected().left_out = true;
        }
    }

    /// Returns `true` while something follows.
    pub fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }

    /// Follows the changes, if fewer than `limit` do.
    pub fn follow(self: &Arc<Self>, limit: usize) -> Option<ChangeFollower> {
        let more = |count: usize| (count < limit).then_some(count + 1);
        self.followers.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(ChangeFollower { changes: Arc::clone(self), reports: self.reports.subscribe() })
    }

    /// Reports changes until nothing follows. Returns at once if that is done already.
    pub async fn report(&self) {
        if std::mem::replace(&mut self.collected().is_reporting, true) {
            return;
        }
        loop {
            tokio::time::sleep(INTERVAL).await;
            let mut collected = self.collected();
            if !self.is_followed() {
                *collected = Collected::default();
                return;
            }
            let report = collected.take();
            drop(collected);
            if let Some(report) = report {
                // Without receivers nothing is lost.
                let _ = self.reports.send(Arc::new(report));
            }
        }
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn add_execution(&mut self, id: &Arc<str>) {
        if self.executions.len() < MAX_ROWS {
            self.executions.insert(Arc::clone(id));
        } else if !self.executions.contains(id) {
            self.left_out = true;
        }
    }

    /// Takes what was collected; `None`: nothing was.
    fn take(&mut self) -> Option<ChangeReport> {
        if self.executions.is_empty() && !self.left_out {
            return None;
        }
        let executions = std::mem::take(&mut self.executions).into_iter();
        let deliveries =
            std::mem::take(&mut self.deliveries).into_iter().map(|(id, (execution_id, status))| {
                ChangedDelivery { id, execution_id: execution_id.to_string(), status }
            });
        Some(ChangeReport {
            executions: executions.map(|id| id.to_string()).collect(),
            deliveries: deliveries.collect(),
            left_out: std::mem::take(&mut self.left_out),
        })
    }
}

impl ChangeFollower {
    /// Returns the next report; `Err`: some were missed.
    pub async fn next(&mut self) -> Result<Arc<ChangeReport>, Missed> {
        self.reports.recv().await.map_err(|_| Missed)
    }
}

/// Reports were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed;

impl Drop for ChangeFollower {
    fn drop(&mut self) {
        self.changes.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_are_collected_while_they_are_followed() {
        let changes = Arc::<Changes>::default();
        let run: Arc<str> = "run".into();
        changes.note_execution(&run);
        assert!(changes.collected().executions.is_empty());
        let mut follower = changes.follow(1).unwrap();
        assert!(changes.follow(1).is_none());
        let id = Uuid::from_u128(1);
        changes.note_delivery(id, &run, "in-flight");
        changes.note_delivery(id, &run, "delivered");
        let reporting = {
            let changes = Arc::clone(&changes);
            async move { changes.report().await }
        };
        let reported = async {
            let report = follower.next().await.unwrap();
            assert_eq!((report.executions.len(), report.deliveries.len()), (1, 1));
            assert_eq!(report.deliveries[0].status, "delivered");
            for number in 0..=MAX_ROWS as u128 {
                changes.note_delivery(Uuid::from_u128(number), &run, "pending");
            }
            let report = follower.next().await.unwrap();
            assert_eq!((report.deliveries.len(), report.left_out), (MAX_ROWS, true));
            drop(follower);
        };
        // The reporter ends when nothing follows any more.
        tokio::join!(reporting, reported);
        assert!(changes.follow(1).is_some());
    }
}
