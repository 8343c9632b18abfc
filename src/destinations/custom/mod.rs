//! Destinations that are written in JavaScript: `$send.NAME(argument)` becomes a call of a function
//! on the thread that gave it.

mod answer;
mod items;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::jobs::{Jobs, Thread};
use super::{
    Attempt, BatchLimits, Delays, Encoded, Exchange, Failure, Kind, Notebook, Origin, Outcome,
    Payload, RetryPolicy, Stored, Verdict,
};
use crate::error::{Error, ErrorKind, Result};
use crate::observability::log::ResponseLog;
use crate::observability::time::Timestamp;

pub use items::Items;

use answer::{Answer, Ended};
use items::{Ends, item};

/// How a custom destination is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How long the function may take. Default: 30 s.
    pub timeout: Duration,
    /// Calls of it at once. Default: 4.
    pub concurrency: usize,
    /// When a delivery is attempted again that it asks to retry; `None`: never.
    pub retry: Option<RetryPolicy>,
    /// When a batch is closed; `None`: each call is delivered by itself.
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
struct Work<'a> {
    /// The same for each attempt at the same items.
    batch: &'a str,
    items: &'a [&'a RawValue],
}

/// A call, as the function gets it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: uuid::Uuid,
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
}

impl fmt::Debug for CustomSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomSet").finish_non_exhaustive()
    }
}

/// The wait before a call is taken up again whose thread has gone away.
pub(super) const THREAD_GONE: Duration = Duration::from_millis(100);

impl CustomSet {
    /// None yet.
    pub(super) fn new(jobs: Arc<Jobs>) -> Self {
        Self { handlers: Mutex::default(), jobs }
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

    /// Forgets the destinations of a thread: it is gone. What it was doing is done again, by
    /// whoever comes next.
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

    pub(super) fn retry_policy(&self, kind: Kind) -> Option<RetryPolicy> {
        let handler = self.handlers().get(&kind).cloned();
        // Whose thread went away meanwhile did not ask for an end.
        handler.map_or_else(|| Options::default().retry, |handler| handler.options.retry.clone())
    }

    /// Calls at once; 0 while nobody has the function: they wait.
    pub(super) fn concurrency(&self, kind: Kind) -> usize {
        self.handlers().get(&kind).map_or(0, |handler| handler.options.concurrency)
    }

    pub(super) fn batch_limits(&self, kind: Kind) -> Option<BatchLimits> {
        self.handlers().get(&kind).and_then(|handler| handler.options.batch)
    }

    /// The waits between attempts at a batch.
    pub(super) fn delays(&self, kind: Kind) -> Delays {
        let policy = self.retry_policy(kind);
        policy.map_or_else(|| Delays::Schedule(Vec::new()), |policy| policy.delays)
    }

    pub(super) async fn deliver(
        &self,
        kind: Kind,
        payload: &Payload,
        attempt: &Attempt<'_>,
    ) -> Outcome {
        let Attempt { id, workflow_id, recorded_at, .. } = *attempt;
        let item = match item(payload, Origin { id, workflow_id, recorded_at }) {
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
        let said = Said { result: ended.response, duration_ms: begun.elapsed().as_millis() };
        let response = Some(Box::new(ResponseLog::new(&said, None)));
        Outcome::of(ended.verdict, Exchange { response, ..Exchange::default() })
    }

    /// Makes one attempt at the items of a batch that have no end yet.
    pub(super) async fn store(
        &self,
        kind: Kind,
        batch: &Encoded,
        left: Option<&str>,
        notebook: &impl Notebook,
    ) -> Stored {
        let mut ends = Ends::noted(left);
        let items: Vec<&RawValue> = serde_json::from_slice(&batch.bytes).unwrap_or_default();
        let open = ends.open(&items);
        let wanted: Vec<_> = open.iter().map(|(_, item)| *item).collect();
        let answer = match self.call(kind, &batch.name, &wanted).await {
            Ok(answer) => answer,
            Err(verdict) => {
                return Stored { exceptions: ends.exceptions(), ..Stored::nowhere(verdict) };
            }
        };
        let mut again = None;
        for ((place, _), Ended { verdict, .. }) in
            open.into_iter().zip(answer.read(kind, wanted.len()))
        {
            match verdict {
                Verdict::Delivered => ends.add(place, None),
                Verdict::Rejected(failure) => ends.add(place, Some(failure.message)),
                verdict => again = Some(verdict),
            }
        }
        if again.is_some()
            && let Some(note) = ends.note()
        {
            notebook.write(Some(&note)).await;
        }
        let verdict = again.unwrap_or(Verdict::Delivered);
        Stored { exceptions: ends.exceptions(), ..Stored::nowhere(verdict) }
    }

    /// Has the function called. `Err`: it gave no answer.
    async fn call(
        &self,
        kind: Kind,
        batch: &str,
        items: &[&RawValue],
    ) -> std::result::Result<Answer, Verdict> {
        let gone = || {
            let reason = format!("engine.destination({:?}), which is not there", kind.name());
            Verdict::Later { after: THREAD_GONE, reason }
        };
        // Before its function is looked for, so that it is forgotten with it.
        let mut waiting = self.jobs.begin(kind);
        let handler = self.handlers().get(&kind).cloned();
        let Some(handler) = handler else { return Err(gone()) };
        waiting.hand_to(handler.thread.as_ref(), &Work { batch, items });
        let limit = handler.options.timeout;
        match tokio::time::timeout(limit, waiting.answered()).await {
            Ok(Some(answer)) => Ok(Answer::of(&answer)),
            Ok(None) => Err(gone()),
            Err(_) => Err(too_slow(kind, limit)),
        }
    }

    fn handlers(&self) -> MutexGuard<'_, HashMap<Kind, Arc<Handler>>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the log shows as the response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    duration_ms: u128,
}

fn too_slow(kind: Kind, limit: Duration) -> Verdict {
    let message = format!(
        "deliver of {:?} gave no answer within {} ms (timeoutMs)",
        kind.name(),
        limit.as_millis()
    );
    Verdict::Retry { failure: Failure::new(ErrorKind::Timeout, message), after: None }
}
