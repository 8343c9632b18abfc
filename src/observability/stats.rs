//! Counters and gauges of one engine.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

/// What an engine counts while it works.
#[derive(Debug, Default)]
pub struct Counters {
    /// Calls recorded since the engine was opened.
    pub recorded: AtomicU64,
    /// Deliveries that reached their destination.
    pub delivered: AtomicU64,
    /// Deliveries that failed.
    pub failed: AtomicU64,
    /// Calls that were discarded.
    pub discarded: AtomicU64,
    /// Attempts under way.
    pub in_flight: AtomicUsize,
    /// Bytes of all undelivered calls.
    pub pending_bytes: AtomicUsize,
}

/// The counters at one moment.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Calls recorded since the engine was opened.
    pub recorded: u64,
    /// Deliveries that reached their destination.
    pub delivered: u64,
    /// Deliveries that failed.
    pub failed: u64,
    /// Calls that were discarded.
    pub discarded: u64,
    /// Handed over and not terminal, those in flight included.
    pub pending: usize,
    /// Attempts under way.
    pub in_flight: usize,
    /// Bytes of all undelivered calls.
    pub pending_bytes: usize,
    /// Executions that are neither completed nor discarded.
    pub open_executions: usize,
    /// Deliveries that wait for their next attempt.
    pub retrying: usize,
    /// Lanes (for `http`: hosts) that have work or fail, busiest first.
    pub lanes: Vec<LaneStats>,
}

/// One lane at one moment.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LaneStats {
    /// The destination.
    pub destination: &'static str,
    /// For `http` the origin of the URL, otherwise the destination's name.
    pub lane: String,
    /// Attempts under way.
    pub in_flight: usize,
    /// Records that wait.
    pub waiting: usize,
    /// `closed`, or why the lane is left alone: `open`, or `half-open` while it is probed.
    pub breaker: &'static str,
}

impl Counters {
    /// The counters now, completed with what only the engine knows.
    #[must_use]
    pub fn read(
        &self,
        pending: usize,
        retrying: usize,
        open_executions: usize,
        lanes: Vec<LaneStats>,
    ) -> Stats {
        Stats {
            recorded: self.recorded.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            discarded: self.discarded.load(Ordering::Relaxed),
            pending,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            pending_bytes: self.pending_bytes.load(Ordering::Relaxed),
            open_executions,
            retrying,
            lanes,
        }
    }
}
