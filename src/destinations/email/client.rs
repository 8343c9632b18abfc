//! The email destination: one call becomes one mail.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::config::Config;
use super::exchange::{answered, recorded, sent, written};
use super::file;
use super::item::Item;
use super::limits::rate_keys;
use super::message::{Charset, Mail, build, check_size};
use super::recipients::{People, decide};
use super::relay::{Relay, Taken};
use super::smtp::Deferred;
use crate::delivery::{Failure, Payload, RateLimiter, RateWait, RetryPolicy, Verdict};
use crate::destinations::{
    Attempt, Backend, BackendChoice, BuiltIn, DeadLetter, Destination, Exchange, LaneRules,
    Outcome, Resources, forward,
};
use crate::egress::{Egress, Progress};
use crate::error::{self, ErrorKind};
use crate::execution::{RequestLog, ResponseLog};
use crate::time::within;

/// Deliveries past this many whose attempts are counted are forgotten.
const MANY: usize = 10_000;

/// The email destination.
pub struct Email {
    config: Config,
    relay: Relay,
    limiter: Mutex<RateLimiter>,
    /// Attempts of deliveries that may have more.
    attempts: Mutex<HashMap<Uuid, u32>>,
    /// True once the warning about a temporary folder for mails was logged.
    warned_once: AtomicBool,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A call that can be sent.
struct PreparedMail {
    people: People,
    mail: Mail,
    /// The same for a server that takes only ASCII, if it is not the same.
    ascii: Option<Mail>,
}

impl Email {
    fn new(config: Config, egress: Egress) -> Self {
        Self {
            config,
            relay: Relay::new(egress),
            limiter: Mutex::default(),
            attempts: Mutex::default(),
            warned_once: AtomicBool::new(false),
        }
    }

    fn prepare(&self, item: &Item, attempt: &Attempt<'_>) -> Result<PreparedMail, Failure> {
        let people = decide(item, &self.config, attempt.workflow_id)?;
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(attempt.recorded_at.as_millis());
        let mail = build(item, &people, attempt.id, date, Charset::Any);
        check_size(&mail, self.config.limits.bytes)?;
        let is_ascii = mail.bytes.is_ascii() && !mail.needs_utf8;
        let ascii = (!is_ascii).then(|| build(item, &people, attempt.id, date, Charset::Ascii));
        Ok(PreparedMail { people, mail, ascii })
    }

    /// Reserves a time for the mail, or returns how long it has to wait.
    fn wait(&self, people: &People, attempt: &Attempt<'_>) -> Option<RateWait> {
        let from = people.from.address.to_string();
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = rate_keys(&from, &people.envelope(), &self.config.limits);
        limiter.admit(attempt.id, keys, Instant::now()).err()
    }

    async fn hand_over(
        &self,
        prepared: &PreparedMail,
        attempt: &Attempt<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<ResponseLog, Verdict> {
        let begun = Instant::now();
        let Some(server) = &self.config.smtp else {
            let path = self.write(&prepared.mail, attempt, warnings).await?;
            return Ok(written(&path, begun.elapsed()));
        };
        let deferred = self.deferred(attempt.id);
        let progress = Progress::new();
        let mails = (&prepared.mail, prepared.ascii.as_ref());
        let sending =
            progress.scope(self.relay.send(&self.config, server, mails, deferred, &progress));
        let taken = within(self.config.timeout, pin!(sending)).await;
        let taken = taken.unwrap_or_else(|| {
            let limit = self.config.timeout.as_millis();
            let message = format!("the server did not take the mail within {limit} ms");
            let failure = Failure::new(ErrorKind::Timeout, message).during(progress.phase());
            Err(Verdict::Retry { failure, after: None })
        });
        if !matches!(taken, Err(Verdict::Retry { .. })) {
            self.attempts().remove(&attempt.id);
        }
        let Taken { reply, warnings: more } = taken?;
        warnings.extend(more);
        Ok(answered(server, &reply, begun.elapsed()))
    }

    /// Counts an attempt. While there are more to come, a mail waits for recipients that the server
    /// refuses for now; the last attempt leaves them out.
    fn deferred(&self, id: Uuid) -> Deferred {
        let Some(policy) = &self.config.retry else { return Deferred::LeaveOut };
        let mut attempts = self.attempts();
        if attempts.len() >= MANY {
            attempts.clear();
        }
        let made = attempts.entry(id).or_default();
        *made += 1;
        if *made < policy.delays.attempts() {
            return Deferred::Wait;
        }
        attempts.remove(&id);
        Deferred::LeaveOut
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, u32>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(
        &self,
        mail: &Mail,
        attempt: &Attempt<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<PathBuf, Verdict> {
        let path = file::write(&self.config.folder, attempt.id, mail.bytes.clone()).await?;
        if self.config.folder_is_temporary && !self.warned_once.swap(true, Ordering::Relaxed) {
            warnings.push(format!(
                "no server is configured (email.smtp), so mails become files in {}",
                self.config.folder.display()
            ));
        }
        Ok(path)
    }
}

impl Destination for Email {
    fn deliver<'a>(
        &'a self,
        payload: &'a Payload,
        attempt: &'a Attempt<'a>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.attempt(payload, attempt))
    }

    fn describe(&self, payload: &Payload) -> RequestLog {
        described(payload, self.config.log_body_bytes)
    }

    fn lane_rules(&self) -> LaneRules {
        LaneRules { lane_concurrency: self.config.concurrency, ..LaneRules::default() }
    }

    fn retry_policy(&self, _payload: &Payload) -> Option<RetryPolicy> {
        self.config.retry.clone()
    }

    /// Also the longest time after which a queued mail checks its reservation again.
    fn longest_wait(&self, _payload: &Payload) -> Duration {
        let limits = &self.config.limits;
        let rates = limits.per_sender.into_iter().chain(limits.per_recipient);
        let by_limits = rates.map(|rate| rate.period).max().unwrap_or_default();
        let retry = self.config.retry.as_ref().map(RetryPolicy::longest_wait);
        by_limits.max(retry.unwrap_or_default())
    }

    fn backend(&self) -> Option<Backend> {
        let folder = self.config.folder.display();
        Some(Backend {
            transport: BackendChoice::of(self.config.smtp.is_some(), self.config.folder_is_chosen),
            noun: "a mail server",
            options: "email.smtp, or email.file to write files instead",
            file_warning: Some(format!(
                "no mail server is configured (email.smtp): mails become files in {folder}"
            )),
        })
    }

    fn close(&self) {
        self.relay.close();
    }
}

impl Email {
    async fn attempt(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let kept = self.config.log_body_bytes;
        let rejected = |failure, request| {
            let exchange = Exchange { request: Some(request), ..Exchange::default() };
            Outcome::of(Verdict::Rejected(failure), exchange).with_retry(self.config.retry.clone())
        };
        let item = match Item::parse(payload, &self.config.allow_headers) {
            Ok(item) => item,
            Err(failure) => return rejected(failure, RequestLog::recorded(payload, kept)),
        };
        let prepared = match self.prepare(&item, attempt) {
            Ok(prepared) => prepared,
            Err(failure) => return rejected(failure, recorded(&item, kept)),
        };
        let PreparedMail { people, mail, .. } = &prepared;
        if let Some(RateWait { left: after, option: reason }) = self.wait(people, attempt) {
            return Outcome::of(Verdict::Later { after, reason }, Exchange::default());
        }
        let request = Some(sent(&item, people, mail, &self.config));
        let mut warnings: Vec<String> =
            item.warnings.iter().chain(&people.warnings).cloned().collect();
        let (verdict, response) = match self.hand_over(&prepared, attempt, &mut warnings).await {
            Ok(response) => (Verdict::Delivered, Some(Box::new(response))),
            Err(verdict) => (verdict, None),
        };
        let retry = self.config.retry.as_ref().filter(|_| !matches!(verdict, Verdict::Delivered));
        let exchange = Exchange { request, response, warnings, timings: None };
        Outcome::of(verdict, exchange).with_retry(retry.cloned())
    }
}

impl BuiltIn for Email {
    type Config = Config;

    const DEAD_LETTER: DeadLetter = Ok(forward::mail);

    #[cfg(test)]
    const EXAMPLE: &'static str = r#"{"subject":"s","text":"t"}"#;

    fn open(config: &Config, resources: &Resources) -> error::Result<Self> {
        Ok(Self::new(config.clone(), resources.egress.clone()))
    }

    fn describe_alone(payload: &Payload) -> RequestLog {
        described(payload, 0)
    }
}

fn described(payload: &Payload, limit: usize) -> RequestLog {
    match Item::parse(payload, &[]) {
        Ok(item) => recorded(&item, limit),
        Err(_) => RequestLog::recorded(payload, limit),
    }
}
