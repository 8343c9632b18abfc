//! Counters and gauges of one engine.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

use crate::time::Timestamp;

/// The counters of an engine.
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
    /// Batches that could not be stored and wait for another attempt, oldest first.
    pub delayed_batches: Vec<DelayedBatch>,
    /// The pauses, oldest first.
    pub pauses: Vec<PauseView>,
}

/// A sealed batch that could not be stored.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DelayedBatch {
    /// The destination.
    pub destination: &'static str,
    /// The name under which it is stored.
    pub name: String,
    /// The number of its records.
    pub records: usize,
    /// The number of attempts to store it.
    pub attempts: u32,
    /// The time of the next attempt.
    pub next_attempt_at: Timestamp,
    /// The message of the last failure.
    pub error: String,
}

/// A pause, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseView {
    /// The paused host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The paused destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The paused workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// `true` if every queue is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
    /// The time from which on nothing is attempted.
    pub since: Timestamp,
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
    /// Records without an attempt under way: those that wait for their turn, or for another attempt.
    pub waiting: usize,
    /// `closed`, or why the lane is left alone: `open`, or `half-open` while it is probed.
    pub breaker: &'static str,
    /// `true` if the operator paused it.
    pub paused: bool,
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
            pending_bytes: 0,
            open_executions,
            retrying,
            lanes,
            delayed_batches: Vec::new(),
            pauses: Vec::new(),
        }
    }
}
