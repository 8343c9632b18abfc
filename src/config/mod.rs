//! The validated configuration of an engine: typed, with every default applied.
//!
//! What JavaScript passes is read and checked in `binding::options`; from here on it is trusted.

pub mod alerts;
pub mod server;

use crate::delivery::Kind;
use crate::destinations;
use crate::egress;
use crate::execution::Retention;
use crate::journal;

/// Policy for calls that are made after the end of their execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateCalls {
    /// Logged as discarded.
    #[default]
    Warn,
    /// Refused.
    Throw,
}

/// The checked options of an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The name under which other threads of the process open the same engine.
    pub name: Option<String>,
    /// Warnings throw at the call.
    pub strict: bool,
    /// `false` if calls wait in the data directory instead of being delivered.
    pub deliver: bool,
    /// The destination that dead letters are forwarded to.
    pub on_failed: Option<Kind>,
    /// The limits whose excess raises an alert.
    pub alerts: alerts::AlertLimits,
    /// Policy for calls that are made after the end of their execution.
    pub late_calls: LateCalls,
    /// Concurrent attempts, over all destinations. Default: 1024.
    pub concurrency: usize,
    /// Bytes that one recorded call may have. Default: 10 MiB.
    pub max_payload_bytes: usize,
    /// Bytes that all undelivered calls may have together. Default: 256 MiB.
    pub max_pending_bytes: usize,
    /// The egress policy.
    pub egress: egress::Options,
    /// The destinations.
    pub destinations: destinations::Config,
    /// The server; `None`: no socket is opened.
    pub server: Option<server::Config>,
    /// The retention of the log.
    pub log: Retention,
    /// The data directory; `None`: everything is in memory.
    pub journal: Option<journal::Options>,
    /// The journal that the nodes of a fleet share; `None`: there is no fleet.
    pub fleet: Option<journal::SharedOptions>,
}

/// This many attempts may be under way at once, over all destinations.
pub const DEFAULT_CONCURRENCY: usize = 1024;
/// One recorded call may have this many bytes: 10 MiB.
pub const DEFAULT_MAX_PAYLOAD_BYTES: usize = 10 << 20;
/// All undelivered calls together may have this many bytes: 256 MiB.
pub const DEFAULT_MAX_PENDING_BYTES: usize = 256 << 20;

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            strict: false,
            deliver: true,
            on_failed: None,
            alerts: alerts::AlertLimits::default(),
            late_calls: LateCalls::Warn,
            concurrency: DEFAULT_CONCURRENCY,
            max_payload_bytes: DEFAULT_MAX_PAYLOAD_BYTES,
            max_pending_bytes: DEFAULT_MAX_PENDING_BYTES,
            egress: egress::Options::default(),
            destinations: destinations::Config::default(),
            server: None,
            log: Retention::default(),
            journal: None,
            fleet: None,
        }
    }
}
