//! Destinations that no thread has registered: their calls wait, and a warning says so.

use std::sync::Arc;
use std::time::Duration;

use super::Lanes;
use crate::journal::Lane;

/// The time that a runner has to register its destinations after `Engine.open()`.
const PATIENCE: Duration = Duration::from_secs(5);

impl Lanes {
    /// Warns that calls wait for a destination, unless a thread registers it soon.
    pub(super) fn watch_absent(self: &Arc<Self>, lane: &Lane) {
        if !self.shared.services.begin_watch(lane.kind) {
            return;
        }
        let (lanes, lane) = (Arc::downgrade(self), lane.clone());
        self.shared.tasks.runtime.spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(lanes) = lanes.upgrade() {
                lanes.warn_of_absent(&lane);
            }
        });
    }

    fn warn_of_absent(&self, lane: &Lane) {
        let (shared, kind) = (&self.shared, lane.kind);
        shared.services.end_watch(kind);
        let is_absent = shared.destinations.of(kind).lane_rules().lane_concurrency == 0;
        let waiting = shared.journal.waiting(lane);
        if is_absent && waiting > 0 {
            shared.services.warn_of_absent(kind, waiting);
        }
    }
}
