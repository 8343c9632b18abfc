//! What is done in JavaScript, as the engine takes it on: custom destinations, and DuckDB.

use std::sync::Arc;

use super::Engine;
use crate::destinations::custom::Options;
use crate::destinations::sql::duckdb::DuckDb;
use crate::destinations::sql::{Answered, Query};
use crate::destinations::{Kind, Thread};
use crate::error::Result;
use crate::journal::Lane;

impl Engine {
    /// Adds a destination; what waits for it is delivered from here on.
    ///
    /// # Errors
    /// `InvalidArgument`, `Closed`.
    pub fn add_destination(
        self: &Arc<Self>,
        name: &str,
        options: Options,
        thread: Arc<dyn Thread>,
    ) -> Result<Kind> {
        self.check_open()?;
        let kind = self.destinations.custom().add(name, options, thread)?;
        self.wake(vec![Lane { kind, key: kind.name().into() }]);
        Ok(kind)
    }

    /// Forgets the destinations of a thread that is gone, and the warehouse that it ran.
    pub fn forget_destinations(&self, thread: &Arc<dyn Thread>) {
        self.destinations.forget_thread(thread);
    }

    /// DuckDB, if that is the warehouse.
    #[must_use]
    pub fn duckdb(&self) -> Option<&DuckDb> {
        self.destinations.sql().duckdb()
    }

    /// Answers a query to the warehouse.
    ///
    /// # Errors
    /// `Closed`, `NotConfigured`, `QueryNotAllowed`, `QueryTimeout`, `QueryTooLarge`, `QueryFailed`.
    pub async fn query(&self, query: &Query) -> Result<Answered> {
        self.check_open()?;
        self.destinations.sql().query(query).await
    }

    /// Takes the answer of a thread to one job.
    pub fn answer_job(&self, job: u64, answer: String) {
        self.destinations.answer_job(job, answer);
    }
}
