//! Destinations that are written in JavaScript: `$send.NAME(argument)` becomes a call of a function
//! on the thread that gave it.

mod items;
mod reply;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Attempt, BatchCheckpoint, BatchLimits, Batching, Destination, Encoded, Exchange, LaneRules,
    OpenBatch, Origin, Outcome, StoreOutcome,
};
use crate::delivery::{Delays, Failure, Kind, Payload, RetryPolicy, Verdict};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{RequestLog, ResponseLog};
use crate::jobs::{Jobs, Thread};
use crate::time::{Timestamp, millis, within};

use items::{Ends, Items, item};
use reply::{ItemOutcome, JobReply};

/// The options of a custom destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The timeout of the function. Default: 30 s.
    pub timeout: Duration,
    /// Calls of it at once. Default: 4.
    pub concurrency: usize,
    /// The retry policy of deliveries that request a retry; `None`: none.
    pub retry: Option<RetryPolicy>,
    /// The limits of a batch; `None`: each call is delivered by itself.
    pub batch: Option<BatchLimits>,
}

/// The failures of a custom destination after which there may be another attempt.
pub const MENDABLE: [ErrorKind; 2] = [ErrorKind::Unavailable, ErrorKind::Timeout];

impl Default for Options {
    fn default() -> Self {
        let retry = RetryPolicy {
            errors: MENDABLE.to_vec(),
            statuses: Vec::new(),
            breaker: None,
            ..RetryPolicy::default()
        };
        Self { timeout: Duration::from_secs(30), concurrency: 4, retry: Some(retry), batch: None }
    }
}

/// One call of the function.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCall<'a> {
    /// The same for each attempt at the same items.
    batch: &'a str,
    timeout_ms: u64,
    items: &'a [&'a RawValue],
}

/// A call, as the function gets it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: Uuid,
    call_id: Uuid,
    workflow_id: &'a str,
    argument: &'a RawValue,
    recorded_at: Timestamp,
}

struct Handler {
    options: Options,
    thread: Arc<dyn Thread>,
}

/// The custom destinations of an engine.
pub struct CustomSet {
    handlers: Mutex<HashMap<Kind, Arc<Handler>>>,
    jobs: Arc<Jobs>,
    /// Bytes of each call that the log keeps.
    log_body_bytes: usize,
}

/// A custom destination of an engine, which no thread may have added yet.
#[derive(Debug)]
pub struct CustomDestination<'a> {
    kind: Kind,
    set: &'a CustomSet,
}

impl fmt::Debug for CustomSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomSet").finish_non_exhaustive()
    }
}

/// The wait before a call is taken up again whose thread has gone away.
pub(super) const THREAD_GONE: Duration = Duration::from_millis(100);

impl CustomSet {
    /// Returns a registry without destinations.
    pub(super) fn new(jobs: Arc<Jobs>, log_body_bytes: usize) -> Self {
        Self { handlers: Mutex::default(), jobs, log_body_bytes }
    }

    /// Returns the destination of this kind.
    pub(super) const fn of(&self, kind: Kind) -> CustomDestination<'_> {
        CustomDestination { kind, set: self }
    }

    /// Adds a destination.
    ///
    /// # Errors
    /// `InvalidArgument`: it cannot be called so, or is there already.
    pub fn add(&self, name: &str, options: Options, thread: Arc<dyn Thread>) -> Result<Kind> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
        let Some(kind @ Kind::Custom(_)) = Kind::from_name(name) else {
            return Err(invalid(format!(
                "engine.destination(): {name:?} is the name of a destination that is built in, or \
                 none that a method has: letters, digits and _, a letter first, at most 64"
            )));
        };
        let mut handlers = self.handlers();
        if handlers.contains_key(&kind) {
            return Err(invalid(format!("engine.destination(): there is a {name:?} already")));
        }
        handlers.insert(kind, Arc::new(Handler { options, thread }));
        Ok(kind)
    }

    /// Removes the destinations of a thread that is gone. Its pending calls are delivered by the
    /// next thread that adds the same destination.
    pub fn forget(&self, thread: &Arc<dyn Thread>) {
        let mut gone = Vec::new();
        self.handlers().retain(|kind, handler| {
            let stays = !Arc::ptr_eq(&handler.thread, thread);
            if !stays {
                gone.push(*kind);
            }
            stays
        });
        self.jobs.forget(&gone);
    }

    fn options<T>(&self, kind: Kind, read: impl FnOnce(&Options) -> T) -> Option<T> {
        self.handlers().get(&kind).map(|handler| read(&handler.options))
    }

    async fn deliver(&self, kind: Kind, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let Attempt { id, call, workflow_id, recorded_at, .. } = *attempt;
        let item = match item(payload, Origin { id, call, workflow_id, recorded_at }) {
            Ok(item) => item,
            Err(failure) => return Outcome::rejected(failure),
        };
        let Ok(item) = serde_json::value::to_raw_value(&item) else {
            let message = "the recorded call cannot be read";
            return Outcome::rejected(Failure::new(ErrorKind::InvalidArgument, message));
        };
        let begun = std::time::Instant::now();
        let answer = match self.call(kind, &id.to_string(), &[&item]).await {
            Ok(answer) => answer,
            Err(verdict) => return Outcome::of(verdict, Exchange::default()),
        };
        let mut ended = answer.read(kind, 1);
        let ended = ended.pop().unwrap_or_default();
        let said = LoggedReply { result: ended.response, duration_ms: millis(begun.elapsed()) };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        Outcome::of(ended.verdict, Exchange { response, ..Exchange::default() })
    }

    /// Makes one attempt at the items of a batch that have no end yet.
    async fn store(
        &self,
        kind: Kind,
        batch: &Encoded,
        left: Option<&str>,
        checkpoint: &dyn BatchCheckpoint,
    ) -> StoreOutcome {
        let mut ends = match Ends::noted(left) {
            Ok(ends) => ends,
            Err(failure) => return StoreOutcome::without_response(Verdict::Rejected(failure)),
        };
        let items: Vec<&RawValue> = match serde_json::from_slice(&batch.bytes) {
            Ok(items) => items,
            Err(error) => {
                let message = format!("the batch {} cannot be read: {error}", batch.name);
                let failure = Failure::new(ErrorKind::Internal, message);
                return StoreOutcome::without_response(Verdict::Rejected(failure));
            }
        };
        let open = ends.open(&items);
        let wanted: Vec<_> = open.iter().map(|(_, item)| *item).collect();
        let answer = match self.call(kind, &batch.name, &wanted).await {
            Ok(answer) => answer,
            Err(verdict) => {
                return StoreOutcome {
                    exceptions: ends.exceptions(),
                    ..StoreOutcome::without_response(verdict)
                };
            }
        };
        let mut retries = BTreeMap::new();
        let mut not_before = None;
        for ((place, _), ItemOutcome { verdict, .. }) in
            open.into_iter().zip(answer.read(kind, wanted.len()))
        {
            match verdict {
                Verdict::Delivered => ends.add(place, None),
                Verdict::Rejected(failure) => ends.add(place, Some(failure.message)),
                Verdict::Retry { failure, after } => {
                    not_before = not_before.max(after);
                    retries.insert(place, failure);
                }
                Verdict::Later { after, reason } => {
                    not_before = not_before.max(Some(after));
                    retries.insert(place, Failure::new(ErrorKind::Unavailable, reason));
                }
            }
        }
        if !retries.is_empty()
            && let Some(note) = ends.note()
        {
            checkpoint.write(Some(&note)).await;
        }
        let last = retries.last_key_value();
        let verdict = last.map_or(Verdict::Delivered, |(_, failure)| Verdict::Retry {
            failure: failure.clone(),
            after: not_before,
        });
        let exceptions = ends.exceptions();
        StoreOutcome { exceptions, retries, ..StoreOutcome::without_response(verdict) }
    }

    /// Calls the function in JavaScript. `Err`: it gave no result.
    async fn call(
        &self,
        kind: Kind,
        batch: &str,
        items: &[&RawValue],
    ) -> std::result::Result<JobReply, Verdict> {
        let gone = || {
            let reason = format!("engine.destination({:?}), which is not there", kind.name());
            Verdict::Later { after: THREAD_GONE, reason }
        };
        // Before its function is looked for, so that it is forgotten with it.
        let mut waiting = self.jobs.begin(kind);
        let handler = self.handlers().get(&kind).cloned();
        let Some(handler) = handler else { return Err(gone()) };
        let limit = handler.options.timeout;
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        waiting.hand_to(handler.thread.as_ref(), &FunctionCall { batch, timeout_ms, items });
        match within(limit, pin!(waiting.answered())).await {
            Some(Some(answer)) => Ok(JobReply::of(&answer)),
            Some(None) => Err(gone()),
            None => Err(too_slow(kind, limit)),
        }
    }

    fn handlers(&self) -> MutexGuard<'_, HashMap<Kind, Arc<Handler>>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for CustomDestination<'_> {
    fn deliver<'a>(
        &'a self,
        payload: &'a Payload,
        attempt: &'a Attempt<'a>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            let outcome = self.set.deliver(self.kind, payload, attempt).await;
            let policy = || self.retry_policy(payload);
            let failed = !matches!(outcome.verdict, Verdict::Delivered);
            outcome.with_retry(failed.then(policy).flatten())
        })
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        RequestLog::recorded(payload, self.set.log_body_bytes)
    }

    fn lane_rules(&self) -> LaneRules {
        LaneRules { lane_concurrency: self.attempts(), ..LaneRules::default() }
    }

    fn retry_policy(&self, _payload: &Payload) -> Option<RetryPolicy> {
        let policy = self.set.options(self.kind, |options| options.retry.clone());
        // If the thread is gone, the default policy applies.
        policy.unwrap_or_else(|| Options::default().retry)
    }

    fn batching(&self) -> Option<&dyn Batching> {
        Some(self)
    }
}

impl CustomDestination<'_> {
    /// Returns the number of concurrent attempts: 0 while no thread has the function.
    fn attempts(&self) -> usize {
        self.set.options(self.kind, |options| options.concurrency).unwrap_or_default()
    }
}

impl Batching for CustomDestination<'_> {
    fn limits(&self) -> Option<BatchLimits> {
        self.set.options(self.kind, |options| options.batch)?
    }

    fn begin(&self, _lane: &str, first: Uuid, _name: Option<&str>) -> Box<dyn OpenBatch> {
        Box::new(Items::new(self.kind, first))
    }

    fn store<'a>(
        &'a self,
        batch: &'a Encoded,
        left: Option<&'a str>,
        checkpoint: &'a dyn BatchCheckpoint,
    ) -> BoxFuture<'a, StoreOutcome> {
        Box::pin(self.set.store(self.kind, batch, left, checkpoint))
    }

    fn delays(&self) -> Option<Delays> {
        let policy = self.set.options(self.kind, |options| options.retry.clone());
        let policy = policy.unwrap_or_else(|| Options::default().retry);
        Some(policy.map_or_else(|| Delays::Schedule(Vec::new()), |policy| policy.delays))
    }

    fn concurrency(&self) -> usize {
        self.attempts().max(1)
    }
}

/// The response in the log.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    duration_ms: f64,
}

fn too_slow(kind: Kind, limit: Duration) -> Verdict {
    let message = format!(
        "deliver of {:?} did not return within {} ms (timeoutMs)",
        kind.name(),
        limit.as_millis()
    );
    Verdict::Retry { failure: Failure::new(ErrorKind::Timeout, message), after: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{BatchCheckpoint, BoxFuture, CustomSet, Encoded, Kind, Verdict};

    struct Unwritten;

    impl BatchCheckpoint for Unwritten {
        fn write<'a>(&'a self, _note: Option<&'a str>) -> BoxFuture<'a, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn an_unreadable_batch_or_note_delivers_nothing() {
        let set = CustomSet::new(Arc::default(), 0);
        let kind = Kind::from_name("unreadable").unwrap();
        for (bytes, note) in [("[", None), ("[]", Some("["))] {
            let batch = Encoded { name: "b".to_owned(), bytes: bytes.into(), rows: None };
            let stored = set.store(kind, &batch, note, &Unwritten).await;
            assert!(matches!(stored.verdict, Verdict::Rejected(_)), "{bytes} {note:?}");
        }
    }
}
