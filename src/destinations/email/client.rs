//! The one part of the email destination that talks to the network or the disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lettre::transport::smtp::client::TlsParameters;
use lettre::transport::smtp::response::Response;

use super::config::Config;
use super::dialogue::{Beginning, Dialogue};
use super::exchange::{answered, recorded, sent, written};
use super::file;
use super::item::Item;
use super::limits::Ledger;
use super::message::{Mail, build, check_size};
use super::recipients::{People, decide};
use super::server::Server;
use crate::destinations::{
    Attempt, Destination, Exchange, Failure, Outcome, Payload, Phase, RetryPolicy, Verdict,
};
use crate::egress::{Door, Progress};
use crate::error::ErrorKind;
use crate::observability::log::{RequestLog, ResponseLog};

/// How long a connection is kept for the next mail.
const IDLE: Duration = Duration::from_secs(30);

/// How long a kept connection may take to say that it is still good.
const STILL_THERE: Duration = Duration::from_secs(5);

/// The email destination.
pub struct Email {
    config: Config,
    door: Door,
    /// Connections that wait for the next mail, the youngest last.
    idle: Mutex<Vec<(Instant, Dialogue)>>,
    tls: OnceLock<TlsParameters>,
    ledger: Mutex<Ledger>,
    /// Whether it was said that mails become files in a folder that nobody chose.
    told: AtomicBool,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A call that can be sent.
struct Prepared {
    item: Item,
    people: People,
    mail: Mail,
}

impl Email {
    /// A destination that reaches its server through `door`.
    #[must_use]
    pub fn new(config: Config, door: Door) -> Self {
        Self {
            config,
            door,
            idle: Mutex::default(),
            tls: OnceLock::new(),
            ledger: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// Lets go of the connections that are kept for the next mail.
    pub fn close(&self) {
        self.idle().clear();
    }

    /// Mails under way at once.
    #[must_use]
    pub const fn concurrency(&self) -> usize {
        self.config.concurrency
    }

    /// When a failed attempt is followed by another; `None`: never.
    #[must_use]
    pub fn retry_policy(&self) -> Option<RetryPolicy> {
        self.config.retry.clone()
    }

    /// What the log shows of a call that was not sent yet.
    #[must_use]
    pub fn describe(&self, payload: &Payload) -> RequestLog {
        described(payload, self.config.log_body_bytes)
    }

    fn prepare(&self, payload: &Payload, attempt: &Attempt<'_>) -> Result<Prepared, Failure> {
        let item = Item::parse(payload)?;
        let people = decide(&item, &self.config, attempt.workflow_id)?;
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(attempt.recorded_at.as_millis());
        let mail = build(&item, &people, attempt.id, date)?;
        check_size(&mail, self.config.limits.bytes)?;
        Ok(Prepared { item, people, mail })
    }

    /// Takes a place for the mail, or answers how long it has to wait for it.
    fn wait(&self, people: &People, attempt: &Attempt<'_>) -> Option<Duration> {
        let to: Vec<String> = people.envelope().iter().map(ToString::to_string).collect();
        let from = people.from.email.to_string();
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.admit(attempt.id, &from, &to, &self.config.limits, Instant::now()).err()
    }

    async fn hand_over(
        &self,
        mail: &Mail,
        attempt: &Attempt<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<ResponseLog, Verdict> {
        let begun = Instant::now();
        let Some(server) = &self.config.smtp else {
            let path = self.write(mail, attempt, warnings).await?;
            return Ok(written(&path, begun.elapsed()));
        };
        let progress = Progress::new();
        let sending = progress.scope(self.send(server, mail, &progress));
        let response = tokio::time::timeout(self.config.timeout, sending).await;
        let response = response.unwrap_or_else(|_| {
            let limit = self.config.timeout.as_millis();
            let message = format!("the server did not take the mail within {limit} ms");
            let failure = Failure::new(ErrorKind::Timeout, message).during(progress.phase());
            Err(Verdict::Retry { failure, after: None })
        })?;
        Ok(answered(server, &response, begun.elapsed()))
    }

    async fn write(
        &self,
        mail: &Mail,
        attempt: &Attempt<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<PathBuf, Verdict> {
        let path = file::write(&self.config.folder, attempt.id, mail.bytes.clone()).await?;
        if self.config.folder_is_temporary && !self.told.swap(true, Ordering::Relaxed) {
            warnings.push(format!(
                "no server is configured (email.smtp), so mails become files in {}",
                self.config.folder.display()
            ));
        }
        Ok(path)
    }

    async fn send(
        &self,
        server: &Server,
        mail: &Mail,
        progress: &Progress,
    ) -> Result<Response, Verdict> {
        let mut dialogue = match self.kept().await {
            Some(dialogue) => dialogue,
            None => self.begin(server, progress).await?,
        };
        let answer = dialogue.send(&mail.envelope, &mail.bytes, progress).await;
        // After a refusal the server may still be listening; the next mail finds out.
        self.idle().push((Instant::now(), dialogue));
        answer
    }

    /// A connection that is still good.
    async fn kept(&self) -> Option<Dialogue> {
        loop {
            let (since, mut dialogue) = self.idle().pop()?;
            if since.elapsed() >= IDLE {
                self.idle().clear();
                return None;
            }
            let alive = tokio::time::timeout(STILL_THERE, dialogue.is_alive()).await;
            if alive.unwrap_or(false) {
                return Some(dialogue);
            }
        }
    }

    async fn begin(&self, server: &Server, progress: &Progress) -> Result<Dialogue, Verdict> {
        progress.set(Phase::Dns);
        let addresses = self.door.endpoints(&server.host, server.port).await;
        let addresses = addresses.map_err(|failure| match failure.kind {
            ErrorKind::Dns => Verdict::Retry { failure, after: None },
            _ => Verdict::Rejected(failure),
        })?;
        let beginning = Beginning {
            server,
            addresses,
            local_address: self.door.policy().local_address(),
            tls: &|| self.tls(server),
            progress,
        };
        Dialogue::begin(beginning).await
    }

    /// What the server's certificate is held against. It is not remembered when it fails: a missing
    /// package can be installed while we run.
    fn tls(&self, server: &Server) -> Result<TlsParameters, Verdict> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let tls = TlsParameters::builder(server.host.clone()).build_rustls().map_err(|error| {
            let message = format!("TLS cannot be set up: {error}");
            Verdict::Rejected(Failure::new(ErrorKind::Tls, message).during(Phase::Tls))
        })?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Dialogue)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination for Email {
    async fn deliver(&self, payload: &Payload, attempt: &Attempt<'_>) -> Outcome {
        let Prepared { item, people, mail } = match self.prepare(payload, attempt) {
            Ok(prepared) => prepared,
            Err(failure) => {
                let request = Some(self.describe(payload));
                let exchange = Exchange { request, ..Exchange::default() };
                return Outcome::of(Verdict::Rejected(failure), exchange);
            }
        };
        if let Some(after) = self.wait(&people, attempt) {
            let reason = "email.limits".to_owned();
            return Outcome::of(Verdict::Later { after, reason }, Exchange::default());
        }
        let request = Some(sent(&item, &people, &mail, &self.config));
        let mut warnings: Vec<String> = item.warnings.into_iter().chain(people.warnings).collect();
        let (verdict, response) = match self.hand_over(&mail, attempt, &mut warnings).await {
            Ok(response) => (Verdict::Delivered, Some(Box::new(response))),
            Err(verdict) => (verdict, None),
        };
        Outcome::of(verdict, Exchange { request, response, warnings })
    }
}

/// What the log shows of a call where no destination is configured.
#[must_use]
pub fn describe(payload: &Payload) -> RequestLog {
    described(payload, 64 << 10)
}

fn described(payload: &Payload, limit: usize) -> RequestLog {
    match Item::parse(payload) {
        Ok(item) => recorded(&item, limit),
        Err(_) => RequestLog::recorded(payload, limit),
    }
}
