//! The destinations of one engine, and the one `match` that routes a call to its own.

use super::email::{self, Email};
use super::http::{self, Http};
use super::{Attempt, Destination, Failure, Kind, Outcome, Payload, RetryPolicy};
use crate::error::ErrorKind;
use crate::observability::log::RequestLog;

/// What the log shows of a call that was not sent yet, redacted, where no destination is
/// configured.
#[must_use]
pub fn describe(kind: Kind, payload: &Payload) -> RequestLog {
    match kind {
        Kind::Http => http::describe(payload),
        Kind::Email => email::describe(payload),
        Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => {
            RequestLog::recorded(payload, http::Config::default().log_body_bytes)
        }
    }
}

/// The destinations that an engine was opened with.
#[derive(Debug)]
pub struct Destinations {
    http: Http,
    email: Email,
}

impl Destinations {
    /// A set of configured destinations.
    #[must_use]
    pub const fn new(http: Http, email: Email) -> Self {
        Self { http, email }
    }

    /// Makes one attempt at the destination of this kind.
    pub async fn deliver(&self, kind: Kind, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        match kind {
            Kind::Http => self.http.deliver(payload, attempt).await,
            // Boxed: it is rare, and large beside a request.
            Kind::Email => Box::pin(self.email.deliver(payload, attempt)).await,
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => Outcome::rejected(Failure::new(
                ErrorKind::NotConfigured,
                format!("$send.{} has no destination in this version", kind.name()),
            )),
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
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => None,
        }
    }

    /// The key of the queue that a call waits in: calls with different lanes never delay each other.
    #[must_use]
    pub fn lane(&self, kind: Kind, payload: &Payload) -> String {
        match kind {
            Kind::Http => self.http.lane(payload),
            Kind::Email | Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => kind.name().to_owned(),
        }
    }

    /// How many calls of one lane may be under way at once.
    #[must_use]
    pub fn lane_concurrency(&self, kind: Kind) -> usize {
        match kind {
            Kind::Http => self.http.per_host_concurrency(),
            Kind::Email => self.email.concurrency(),
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => 1,
        }
    }

    /// What the log shows of a call that was not sent yet, redacted.
    #[must_use]
    pub fn describe(&self, kind: Kind, payload: &Payload) -> RequestLog {
        match kind {
            Kind::Http => self.http.describe(payload),
            Kind::Email => self.email.describe(payload),
            Kind::S3 | Kind::Sql | Kind::Sse | Kind::Emit => {
                RequestLog::recorded(payload, self.http.log_body_bytes())
            }
        }
    }
}
