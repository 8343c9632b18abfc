//! The destinations of one engine, and the one `match` that routes a call to its own.

use std::sync::Arc;

use uuid::Uuid;

use super::custom::{CustomSet, Items};
use super::email::{self, Email};
use super::emit::Emit;
use super::http::{self, Http};
use super::jobs::{Jobs, Thread};
use super::s3::{self, S3};
use super::sql::{self, Sql};
use super::sse::Sse;
use super::{
    Attempt, BatchLimits, Call, Delays, Destination, Encoded, Failure, Kind, Notebook, Origin,
    Outcome, Payload, RetryPolicy, Stored, Verdict,
};
use crate::error::ErrorKind;
use crate::observability::log::RequestLog;
use crate::observability::time::Timestamp;

/// What the log shows of a call that was not sent yet, redacted, where no destination is
/// configured.
#[must_use]
pub fn describe(kind: Kind, payload: &Payload) -> RequestLog {
    match kind {
        Kind::Http => http::describe(payload),
        Kind::Email => email::describe(payload),
        Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit | Kind::Custom(_) => {
            RequestLog::recorded(payload, http::Config::default().log_body_bytes)
        }
    }
}

/// The destinations that an engine was opened with.
#[derive(Debug)]
pub struct Destinations {
    http: Http,
    email: Email,
    s3: S3,
    sql: Sql,
    sse: Sse,
    emit: Emit,
    custom: CustomSet,
    jobs: Arc<Jobs>,
}

/// A batch that is still growing.
#[derive(Debug)]
pub enum OpenBatch {
    /// Lines of an object.
    S3(Box<s3::Lines>),
    /// Rows of a table.
    Sql(Box<sql::Rows>),
    /// Items for a function.
    Custom(Items),
}

impl OpenBatch {
    /// Bytes that it has encoded, as far as that is known yet.
    #[must_use]
    pub fn encoded(&self) -> usize {
        match self {
            Self::S3(lines) => lines.encoded(),
            Self::Sql(rows) => rows.encoded(),
            Self::Custom(items) => items.encoded(),
        }
    }
}

impl Destinations {
    /// A set of configured destinations, some of which have work done in JavaScript, as `jobs`.
    #[must_use]
    pub fn new(
        http: Http,
        email: Email,
        s3: S3,
        sql: Sql,
        (sse, emit): (Sse, Emit),
        jobs: Arc<Jobs>,
    ) -> Self {
        let custom = CustomSet::new(Arc::clone(&jobs));
        Self { http, email, s3, sql, sse, emit, custom, jobs }
    }

    /// Makes one attempt at the destination of this kind.
    pub async fn deliver(&self, kind: Kind, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        match kind {
            Kind::Http => self.http.deliver(payload, attempt).await,
            // Boxed: it is rare, and large beside a request.
            Kind::Email => Box::pin(self.email.deliver(payload, attempt)).await,
            Kind::Sse => self.sse.deliver(payload, attempt).await,
            Kind::Emit => self.emit.deliver(payload, attempt).await,
            Kind::Custom(_) => self.custom.deliver(kind, payload, attempt).await,
            Kind::Sql => Outcome::rejected(self.sql.not_configured()),
            Kind::S3 => Outcome::rejected(no_batches(kind)),
        }
    }

    /// The destinations that are written in JavaScript.
    #[must_use]
    pub const fn custom(&self) -> &CustomSet {
        &self.custom
    }

    /// The warehouse.
    #[must_use]
    pub const fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Takes the answer of a thread to one job.
    pub fn answer_job(&self, job: u64, answer: String) {
        self.jobs.answer(job, answer);
    }

    /// Forgets what a thread did: it is gone.
    pub fn forget_thread(&self, thread: &Arc<dyn Thread>) {
        self.custom.forget(thread);
        self.sql.forget(thread);
    }

    /// Publishes that an execution was completed with an error; the answer is what is to be
    /// delivered because of it.
    #[must_use]
    pub fn publish_error(&self, attempt: &Attempt<'_>, content: String) -> Vec<Call> {
        self.emit.error(attempt, content)
    }

    /// When batches of this kind are closed; `None`: its calls are delivered one by one.
    #[must_use]
    pub fn batch_limits(&self, kind: Kind) -> Option<BatchLimits> {
        match kind {
            Kind::S3 => Some(*self.s3.limits()),
            Kind::Sql => self.sql.limits(),
            Kind::Custom(_) => self.custom.batch_limits(kind),
            _ => None,
        }
    }

    /// An empty batch, for a first record of this id; with a name, one that was called so before.
    ///
    /// # Errors
    /// `Internal`: there are no batches of this kind.
    pub fn begin_batch(
        &self,
        kind: Kind,
        first: Uuid,
        name: Option<&str>,
    ) -> Result<OpenBatch, Failure> {
        match kind {
            Kind::S3 => Ok(OpenBatch::S3(Box::new(self.s3.begin(first, name)))),
            Kind::Sql => Ok(OpenBatch::Sql(Box::new(self.sql.begin(first)))),
            Kind::Custom(_) => Ok(OpenBatch::Custom(Items::new(kind, first))),
            _ => Err(no_batches(kind)),
        }
    }

    /// Adds a call of a lane to its batch.
    ///
    /// # Errors
    /// Why it can be in none.
    pub fn add_to_batch(
        &self,
        lane: &str,
        batch: &mut OpenBatch,
        payload: &Payload,
        origin: Origin<'_>,
    ) -> Result<(), Failure> {
        match batch {
            OpenBatch::S3(lines) => self.s3.add(lane, lines, payload),
            OpenBatch::Sql(rows) => self.sql.add(lane, rows, payload),
            OpenBatch::Custom(items) => items.add(payload, origin),
        }
    }

    /// Closes the batch of a lane and encodes what is left of it: some work for the processor.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn close_batch(
        &self,
        lane: &str,
        batch: OpenBatch,
        at: Timestamp,
    ) -> Result<Encoded, Failure> {
        match batch {
            OpenBatch::S3(lines) => self.s3.finish(lane, *lines, at),
            OpenBatch::Sql(rows) => Ok(self.sql.finish(lane, *rows)),
            OpenBatch::Custom(items) => Ok(items.finish()),
        }
    }

    /// How many batches may be stored at once in one place.
    #[must_use]
    pub fn batch_concurrency(&self, kind: Kind) -> usize {
        match kind {
            Kind::Custom(_) => self.custom.concurrency(kind).max(1),
            Kind::Sql => self.sql.concurrency(),
            _ => 4,
        }
    }

    /// The waits between attempts to store a batch; `None`: it is kept until it is stored or refused.
    #[must_use]
    pub fn batch_delays(&self, kind: Kind) -> Option<Delays> {
        match kind {
            Kind::Custom(_) => Some(self.custom.delays(kind)),
            _ => None,
        }
    }

    /// Where a batch of this name is stored: one place that does not answer delays no other.
    #[must_use]
    pub fn batch_place<'a>(&self, kind: Kind, name: &'a str) -> &'a str {
        match kind {
            Kind::S3 => s3::bucket_of(name),
            _ => kind.name(),
        }
    }

    /// Makes one attempt to store a batch. `left` is what an earlier attempt noted.
    pub async fn store_batch(
        &self,
        kind: Kind,
        batch: &Encoded,
        left: Option<&str>,
        notebook: &impl Notebook,
    ) -> Stored {
        match kind {
            Kind::S3 => self.s3.store(batch, left, notebook).await,
            Kind::Sql => self.sql.store(batch).await,
            Kind::Custom(_) => self.custom.store(kind, batch, left, notebook).await,
            _ => Stored::nowhere(Verdict::Rejected(no_batches(kind))),
        }
    }

    /// Lets go of connections that are kept for the next call.
    pub fn close(&self) {
        self.email.close();
    }

    /// When a failed attempt of this call is followed by another; `None`: never.
    #[must_use]
    pub fn retry_policy(&self, kind: Kind, payload: &Payload) -> Option<RetryPolicy> {
        match kind {
            Kind::Http => self.http.retry_policy(payload),
            Kind::Email => self.email.retry_policy(),
            Kind::Custom(_) => self.custom.retry_policy(kind),
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => None,
        }
    }

    /// The key of the queue that a call waits in: calls with different lanes never delay each other.
    #[must_use]
    pub fn lane(&self, kind: Kind, payload: &Payload) -> String {
        match kind {
            Kind::Http => self.http.lane(payload),
            Kind::S3 => self.s3.lane(payload),
            Kind::Sql => self.sql.lane(payload),
            Kind::Email | Kind::Sse | Kind::Emit | Kind::Custom(_) => kind.name().to_owned(),
        }
    }

    /// How many calls of one lane may be under way at once.
    #[must_use]
    pub fn lane_concurrency(&self, kind: Kind) -> usize {
        match kind {
            Kind::Http => self.http.per_host_concurrency(),
            Kind::Email => self.email.concurrency(),
            Kind::Custom(_) => self.custom.concurrency(kind),
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => 1,
        }
    }

    /// What the log shows of a call that was not sent yet, redacted.
    #[must_use]
    pub fn describe(&self, kind: Kind, payload: &Payload) -> RequestLog {
        match kind {
            Kind::Http => self.http.describe(payload),
            Kind::Email => self.email.describe(payload),
            Kind::S3 => self.s3.describe(payload),
            Kind::Sql => self.sql.describe(payload),
            Kind::Sse | Kind::Emit | Kind::Custom(_) => {
                RequestLog::recorded(payload, self.http.log_body_bytes())
            }
        }
    }
}

fn no_batches(kind: Kind) -> Failure {
    let message =
        format!("a defect of dollar-send: the batches of {}. Please report it", kind.name());
    Failure::new(ErrorKind::Internal, message)
}
