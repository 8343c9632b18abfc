//! The destinations of one engine, by kind.

use std::ops::Deref;
use std::sync::Arc;

use super::custom::{CustomDestination, CustomSet};
use super::email::{self, Email};
use super::emit::Emit;
use super::http::{self, Http};
use super::s3::S3;
use super::sql::Sql;
use super::sse::Sse;
use super::{Attempt, Batching, Destination, FollowUpCall};
use crate::delivery::{Kind, Payload};
use crate::execution::RequestLog;
use crate::jobs::{Jobs, Thread};

/// Returns the log entry of a pending call when no destination is configured. It has nothing that
/// an engine's options may hide, such as bodies and headers.
#[must_use]
pub fn describe(kind: Kind, payload: &Payload) -> RequestLog {
    match kind {
        Kind::Http => http::describe(payload),
        Kind::Email => email::describe(payload),
        Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit | Kind::Custom(_) => {
            RequestLog::recorded(payload, 0)
        }
    }
}

/// The destinations that an engine was opened with.
#[derive(Debug)]
pub struct DestinationRegistry {
    /// In the order of [`Kind::ALL`].
    built_in: [Arc<dyn Destination>; Kind::ALL.len()],
    custom: CustomSet,
    sql: Arc<Sql>,
    emit: Arc<Emit>,
    jobs: Arc<Jobs>,
}

/// A destination of the registry.
#[derive(Debug)]
pub enum DestinationRef<'a> {
    /// One that is built in.
    BuiltIn(&'a dyn Destination),
    /// One that is written in JavaScript.
    Custom(CustomDestination<'a>),
}

impl<'a> Deref for DestinationRef<'a> {
    type Target = dyn Destination + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::BuiltIn(destination) => *destination,
            Self::Custom(destination) => destination,
        }
    }
}

impl DestinationRegistry {
    /// Returns the registry of these destinations. Those that are written in JavaScript run with
    /// `jobs`, and the log keeps `log_body_bytes` of their calls.
    #[must_use]
    pub fn new(
        (http, email, s3): (Http, Email, S3),
        (sql, sse, emit): (Sql, Sse, Emit),
        jobs: Arc<Jobs>,
        log_body_bytes: usize,
    ) -> Self {
        let (sql, emit) = (Arc::new(sql), Arc::new(emit));
        let built_in: [Arc<dyn Destination>; Kind::ALL.len()] = [
            Arc::new(http),
            Arc::new(email),
            Arc::new(s3),
            Arc::clone(&sql) as _,
            Arc::new(sse),
            Arc::clone(&emit) as _,
        ];
        let custom = CustomSet::new(Arc::clone(&jobs), log_body_bytes);
        Self { built_in, custom, sql, emit, jobs }
    }

    /// Returns the destination of this kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> DestinationRef<'_> {
        let number = usize::try_from(kind.number()).ok();
        match number.and_then(|number| self.built_in.get(number)) {
            Some(destination) => DestinationRef::BuiltIn(&**destination),
            None => DestinationRef::Custom(self.custom.of(kind)),
        }
    }

    /// Returns the kinds that are built in, with their destinations.
    pub fn built_in(&self) -> impl Iterator<Item = (Kind, &dyn Destination)> {
        Kind::ALL.into_iter().zip(self.built_in.iter().map(|destination| &**destination))
    }

    /// Returns the key of the queue that a call waits in: calls in different queues never delay each
    /// other.
    #[must_use]
    pub fn lane(&self, kind: Kind, payload: &Payload) -> String {
        self.of(kind).lane(payload).unwrap_or_else(|| kind.name().to_owned())
    }

    /// Returns `true` if calls of this kind are stored together.
    #[must_use]
    pub fn is_batched(&self, kind: Kind) -> bool {
        self.of(kind).batching().and_then(Batching::limits).is_some()
    }

    /// Returns the destinations that are written in JavaScript.
    #[must_use]
    pub const fn custom(&self) -> &CustomSet {
        &self.custom
    }

    /// Returns the warehouse.
    #[must_use]
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Completes a job with the reply of a thread.
    pub fn answer_job(&self, job: u64, answer: String) {
        self.jobs.answer(job, answer);
    }

    /// Forgets what a thread did: it is gone.
    pub fn forget_thread(&self, thread: &Arc<dyn Thread>) {
        self.custom.forget(thread);
        self.sql.forget(thread);
    }

    /// Publishes that an execution was completed with an error. Returns the calls that follow from
    /// it.
    #[must_use]
    pub fn publish_error(&self, attempt: &Attempt<'_>, content: String) -> Vec<FollowUpCall> {
        self.emit.error(attempt, content)
    }

    /// Closes connections that are kept for the next call.
    pub fn close(&self) {
        self.built_in.iter().for_each(|destination| destination.close());
    }
}
