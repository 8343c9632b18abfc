//! Sessions with the operator's server: opened when they are needed, kept for the next mail.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::config::Config;
use super::message::Mail;
use super::server::{Encryption, SmtpServer};
use super::smtp::{ConnectParams, Deferred, Login, Parcel, Reply, Session, SmtpStream, Stop};
use super::token::Tokens;
use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::{Egress, NetworkPlace, Progress, explain};
use crate::error::ErrorKind;

/// The time for which a session is kept for the next mail.
const IDLE: Duration = Duration::from_secs(30);

/// The time-out of checking a kept session.
const STILL_THERE: Duration = Duration::from_secs(5);

/// The way to the server.
pub(super) struct Relay {
    egress: Egress,
    /// Sessions that wait for the next mail, the youngest last.
    idle: Mutex<Vec<(Instant, Session)>>,
    tls: OnceLock<Arc<ClientConfig>>,
    tokens: Tokens,
}

/// A mail that the server has.
#[derive(Debug)]
pub(super) struct Taken {
    pub reply: Reply,
    pub warnings: Vec<String>,
}

impl Relay {
    pub(super) fn new(egress: Egress) -> Self {
        Self { egress, idle: Mutex::default(), tls: OnceLock::new(), tokens: Tokens::default() }
    }

    /// Lets go of the sessions.
    pub(super) fn close(&self) {
        self.idle().clear();
    }

    /// Hands one of the mails over: the first, or the second to a server that takes only ASCII.
    ///
    /// # Errors
    /// The verdict on the delivery.
    pub(super) async fn send(
        &self,
        config: &Config,
        server: &SmtpServer,
        mails: (&Mail, Option<&Mail>),
        deferred: Deferred,
        progress: &Progress,
    ) -> Result<Taken, Verdict> {
        if let Some(mut session) = self.kept().await {
            match self.offer(&mut session, mails, deferred, progress).await {
                Ok(offered) => return self.finish(session, offered, progress).await,
                // Nothing of the mail was sent, so a server that went away costs nothing.
                Err(stop) if stop.is_gone => {}
                Err(stop) => return Err(self.refused(session, stop)),
            }
        }
        let mut session = self.begin(config, server, progress).await?;
        match self.offer(&mut session, mails, deferred, progress).await {
            Ok(offered) => self.finish(session, offered, progress).await,
            Err(stop) => Err(self.refused(session, stop)),
        }
    }

    async fn offer<'m>(
        &self,
        session: &mut Session,
        (mail, ascii): (&'m Mail, Option<&'m Mail>),
        deferred: Deferred,
        progress: &Progress,
    ) -> Result<Offered<'m>, Stop> {
        progress.set(Phase::Request);
        let offers = session.extensions();
        let fits = (offers.smtp_utf8 || !mail.needs_utf8)
            && (offers.eight_bit_mime || !mail.needs_eight_bit());
        let mail = if fits { mail } else { ascii.unwrap_or(mail) };
        if mail.to.is_empty() || (mail.needs_utf8 && !offers.smtp_utf8) {
            let message = "the address has other characters than ASCII, and the server does not \
                           offer SMTPUTF8";
            return Err(Stop::unusable(message));
        }
        let refused = session.offer(&parcel(mail), deferred).await?;
        let mut warnings = mail.warnings.clone();
        warnings.extend(refused.into_iter().map(|(recipient, said)| {
            format!("{recipient} did not get the mail: the server answered {said}")
        }));
        if let Some(reason) = session.unencrypted() {
            warnings.push(format!(
                "the mail was sent unencrypted, because {reason}; ?tls=required refuses that, and \
                 ?tls=none says that it is meant"
            ));
        }
        Ok(Offered { mail, warnings })
    }

    async fn finish(
        &self,
        mut session: Session,
        Offered { mail, warnings }: Offered<'_>,
        progress: &Progress,
    ) -> Result<Taken, Verdict> {
        progress.set(Phase::Response);
        match session.send(&parcel(mail)).await {
            Ok(reply) => {
                self.keep(session);
                Ok(Taken { reply, warnings })
            }
            Err(stop) => Err(self.refused(session, stop)),
        }
    }

    /// Keeps the session after a refusal that leaves it usable.
    fn refused(&self, session: Session, stop: Stop) -> Verdict {
        if stop.is_in_sync {
            self.keep(session);
        }
        stop.verdict
    }

    fn keep(&self, session: Session) {
        self.idle().push((Instant::now(), session));
    }

    /// Returns a session that is still good.
    async fn kept(&self) -> Option<Session> {
        loop {
            let (since, mut session) = self.idle().pop()?;
            if since.elapsed() >= IDLE {
                self.idle().clear();
                return None;
            }
            let alive = tokio::time::timeout(STILL_THERE, session.is_alive()).await;
            if alive.unwrap_or(false) {
                return Some(session);
            }
        }
    }

    /// Opens a session, with a new token if the server refuses the one that there was.
    async fn begin(
        &self,
        config: &Config,
        server: &SmtpServer,
        progress: &Progress,
    ) -> Result<Session, Verdict> {
        let Some(options) = &config.token else {
            let login = server.login.clone();
            let login = login.map(|(user, password)| Login::Password { user, password });
            return self.open(config, server, login, progress).await.map_err(|stop| stop.verdict);
        };
        let token = self.tokens.token(options, &self.egress).await?;
        let login = |token| Some(Login::Token { user: options.user.clone(), token });
        match self.open(config, server, login(token.clone()), progress).await {
            Err(stop) if stop.is_login && self.tokens.forget(options, &token) => {
                let token = self.tokens.token(options, &self.egress).await?;
                self.open(config, server, login(token), progress).await
            }
            opened => opened,
        }
        .map_err(|stop| stop.verdict)
    }

    async fn open(
        &self,
        config: &Config,
        server: &SmtpServer,
        login: Option<Login>,
        progress: &Progress,
    ) -> Result<Session, Stop> {
        progress.set(Phase::Dns);
        let stream = self.egress.connect(&server.host, server.port).await;
        let stream = stream.map_err(|failure| match failure.kind {
            ErrorKind::Dns | ErrorKind::Connect => {
                Stop::of(Verdict::Retry { failure, after: None })
            }
            _ => Stop::of(Verdict::Rejected(failure)),
        })?;
        let local = stream.local_addr().map(|address| address.ip());
        // On this machine there is nothing between the two that could read along.
        let is_here =
            stream.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        let encryption = match server.encryption {
            Encryption::Offered if config.token.is_some() => Encryption::Required,
            other => other,
        };
        let begin = ConnectParams {
            encryption,
            place: NetworkPlace::at(&server.host, server.port),
            name: config.ehlo_name.clone().unwrap_or_else(|| own_name(local.ok())),
            login: login.as_ref(),
            upgrade: &|connection| Box::pin(self.encrypted(config, server, connection)),
            progress,
            is_here,
        };
        Session::begin(Box::new(stream), &begin).await
    }

    /// Makes the TLS handshake.
    async fn encrypted(
        &self,
        config: &Config,
        server: &SmtpServer,
        connection: SmtpStream,
    ) -> Result<SmtpStream, Verdict> {
        let failed = |message: String| Failure::new(ErrorKind::Tls, message).during(Phase::Tls);
        let name = ServerName::try_from(server.host.clone()).map_err(|_| {
            let message = "the host of email.smtp is not one that a certificate can be for";
            Verdict::Rejected(failed(message.to_owned()))
        })?;
        let connector = TlsConnector::from(self.tls(config)?);
        let stream = connector.connect(name, connection).await.map_err(|error| {
            let place = NetworkPlace::at(&server.host, server.port);
            let message = explain(&error, Phase::Tls, &place);
            Verdict::Retry { failure: failed(message), after: None }
        })?;
        Ok(Box::new(stream))
    }

    /// Returns what the server's certificate is held against. It is not remembered when it fails: a
    /// missing package can be installed while we run.
    fn tls(&self, config: &Config) -> Result<Arc<ClientConfig>, Verdict> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        let tls = self.egress.tls_trusting(&config.tls).map_err(|error| {
            let message = format!("TLS cannot be set up: {error}");
            Verdict::Rejected(Failure::new(ErrorKind::Tls, message).during(Phase::Tls))
        })?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(tls))))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Session)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mail that the server is ready for.
struct Offered<'m> {
    mail: &'m Mail,
    warnings: Vec<String>,
}

fn parcel(mail: &Mail) -> Parcel<'_> {
    Parcel {
        from: &mail.from,
        to: &mail.to,
        mail: &mail.bytes,
        smtp_utf8: mail.needs_utf8,
        eight_bit: mail.needs_eight_bit(),
    }
}

/// Returns the name that this machine gives: its host name if that is one of the network, otherwise the
/// address of the connection.
fn own_name(local: Option<IpAddr>) -> String {
    let name = hostname::get().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.trim_matches('.').contains('.') && name.chars().all(is_plain) {
        return name.trim_matches('.').to_owned();
    }
    match local.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Some(IpAddr::V4(ip)) => format!("[{ip}]"),
        None => "[127.0.0.1]".to_owned(),
    }
}
