//! JavaScript options of the log: `log`.

use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;

use super::place::Place;
use crate::error::Result;
use crate::execution::Retention;
use crate::journal::SearchIndex;

/// Retention and redaction of the log.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogOptions {
    /// Finished executions to keep per workflow. Those with a dead letter are kept beside them. Default: 100.
    pub max_executions_per_workflow: Option<f64>,
    /// Days to keep a finished execution. Default: 30.
    pub max_age_days: Option<f64>,
    /// The largest size of requests and responses in memory, in bytes. Past it the oldest finished
    /// executions are removed, and further deliveries are logged without bodies. Default: 128 MiB.
    pub max_bytes: Option<f64>,
    /// Names of more headers to redact. Default: none beyond the built-in ones (authorization, cookies,
    /// API keys, tokens, secrets).
    pub redact: Option<Vec<String>>,
    /// Indexes the log of a data directory for searches, in the background. Without the index a search
    /// reads the log row by row, for 5 seconds at most. Default: `true`.
    pub search: Option<bool>,
}

/// The largest `maxAgeDays`: a century.
const MAX_DAYS: u64 = 36_500;
const DEFAULT_DAYS: u64 = 30;

impl LogOptions {
    /// Returns whether searches have an index.
    pub(super) fn search(&self) -> SearchIndex {
        if self.search.unwrap_or(true) { SearchIndex::Kept } else { SearchIndex::Off }
    }

    /// Reads how long executions are kept.
    pub(super) fn retention(&self) -> Result<Retention> {
        let place = Place::open("log");
        let default = Retention::default();
        let days = place.integer("maxAgeDays", self.max_age_days, 0..=MAX_DAYS, DEFAULT_DAYS)?;
        Ok(Retention {
            max_executions_per_workflow: place.count(
                "maxExecutionsPerWorkflow",
                self.max_executions_per_workflow,
                0,
                default.max_executions_per_workflow,
            )?,
            max_age: Duration::from_secs(days * 24 * 60 * 60),
            max_bytes: place.bytes("maxBytes", self.max_bytes, default.max_bytes)?,
        })
    }
}
