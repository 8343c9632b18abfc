//! The validated configuration of an engine: typed, with every default applied.
//!
//! What JavaScript passes is read and checked in `binding::options`; from here on it is trusted.

use std::path::PathBuf;

use crate::destinations::{email, http, s3, sql};
use crate::egress;
use crate::journal;
use crate::observability::log::Retention;
use crate::private;
use crate::server;

/// What an engine is opened with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The name under which other threads of the process open the same engine.
    pub name: Option<String>,
    /// Warnings throw at the call.
    pub strict: bool,
    /// Bytes that one recorded call may have. Default: 10 MiB.
    pub max_payload_bytes: usize,
    /// Bytes that all undelivered calls may have together. Default: 256 MiB.
    pub max_pending_bytes: usize,
    /// The egress policy.
    pub egress: egress::Options,
    /// The HTTP destination.
    pub http: http::Config,
    /// The email destination.
    pub email: email::Config,
    /// The S3 destination.
    pub s3: s3::Config,
    /// The SQL destination.
    pub sql: sql::Config,
    /// The server; `None`: no socket is opened.
    pub server: Option<server::Config>,
    /// What the log keeps.
    pub log: Retention,
    /// The data directory; `None`: everything is in memory.
    pub journal: Option<journal::Options>,
}

/// One recorded call may have this many bytes: 10 MiB.
pub const DEFAULT_MAX_PAYLOAD_BYTES: usize = 10 << 20;
/// All undelivered calls together may have this many bytes: 256 MiB.
pub const DEFAULT_MAX_PENDING_BYTES: usize = 256 << 20;

/// The folder of mails when the options name none.
#[must_use]
pub fn mail_folder() -> PathBuf {
    private::temporary_folder().join("mail")
}

/// The folder of objects when the options name none.
#[must_use]
pub fn object_folder() -> PathBuf {
    private::temporary_folder().join("s3")
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            strict: false,
            max_payload_bytes: DEFAULT_MAX_PAYLOAD_BYTES,
            max_pending_bytes: DEFAULT_MAX_PENDING_BYTES,
            egress: egress::Options::default(),
            http: http::Config::default(),
            email: email::Config::files(mail_folder(), true),
            s3: s3::Config::files(object_folder(), true),
            sql: sql::Config::default(),
            server: None,
            log: Retention::default(),
            journal: None,
        }
    }
}
