//! The dialogue: greeting, EHLO, STARTTLS, AUTH, then mails.

use std::future::Future;
use std::pin::Pin;

use super::auth::Login;
use super::dots::stuffed;
use super::extensions::Extensions;
use super::reply::Reply;
use super::verdict::Stop;
use super::wire::{SmtpStream, Wire};
use crate::delivery::{Phase, Verdict};
use crate::destinations::email::server::Encryption;
use crate::egress::{NetworkPlace, Progress};
use crate::error::ErrorKind;

/// Commands that are sent together where the server offers PIPELINING: few enough that neither side
/// waits for the other to read.
const PIPELINED: usize = 50;

type Upgrading<'a> = Pin<Box<dyn Future<Output = Result<SmtpStream, Verdict>> + Send + 'a>>;

/// Parameters of a session.
pub(in crate::destinations::email) struct ConnectParams<'a> {
    pub encryption: Encryption,
    pub place: NetworkPlace,
    /// The name that this machine gives in EHLO.
    pub name: String,
    pub login: Option<&'a Login>,
    /// Makes the TLS handshake.
    pub upgrade: &'a (dyn Fn(SmtpStream) -> Upgrading<'a> + Sync),
    pub progress: &'a Progress,
    /// True if the server is on this machine, where encryption is not missed.
    pub is_here: bool,
}

/// A server that takes mails.
pub(in crate::destinations::email) struct Session {
    wire: Wire,
    extensions: Extensions,
    place: NetworkPlace,
    /// The reason why the connection is not encrypted although it could be.
    unencrypted: Option<String>,
}

/// One mail and its envelope, as the server gets them.
#[derive(Debug, Clone, Copy)]
pub(in crate::destinations::email) struct Parcel<'a> {
    pub from: &'a str,
    pub to: &'a [String],
    pub mail: &'a [u8],
    pub smtp_utf8: bool,
    pub eight_bit: bool,
}

/// The treatment of a mail when some of its recipients are refused temporarily (4xx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::destinations::email) enum Deferred {
    /// Nothing is sent: there will be another attempt for all.
    Wait,
    /// The others get it.
    LeaveOut,
}

impl Session {
    /// Waits for the greeting, encrypts and logs in.
    pub(in crate::destinations::email) async fn begin(
        connection: SmtpStream,
        begin: &ConnectParams<'_>,
    ) -> Result<Self, Stop> {
        let connection = if begin.encryption == Encryption::Implicit {
            begin.progress.set(Phase::Tls);
            (begin.upgrade)(connection).await.map_err(Stop::of)?
        } else {
            connection
        };
        begin.progress.set(Phase::Connect);
        let mut session = Self::over(connection, begin);
        let greeting = session.reply("the connection", Phase::Connect).await?;
        if !greeting.is_positive() {
            return Err(Stop::refused(&greeting, "the connection", Phase::Connect));
        }
        session.hello(&begin.name).await?;
        if session.starts_tls(begin).await? {
            let Some(connection) = session.wire.into_connection() else {
                let message = "something sent data ahead of the TLS handshake, so nothing is sent";
                return Err(Stop::transient(ErrorKind::Tls, message, Phase::Tls));
            };
            session = Self::over((begin.upgrade)(connection).await.map_err(Stop::of)?, begin);
            session.hello(&begin.name).await?;
        }
        begin.progress.set(Phase::Request);
        if let Some(login) = begin.login {
            session.log_in(login).await?;
        }
        Ok(session)
    }

    fn over(connection: SmtpStream, begin: &ConnectParams<'_>) -> Self {
        Self {
            wire: Wire::new(connection),
            extensions: Extensions::default(),
            place: begin.place.clone(),
            unencrypted: None,
        }
    }

    /// Returns the extensions that the server offers.
    pub(in crate::destinations::email) const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns the reason why the connection is not encrypted although it could be.
    pub(in crate::destinations::email) fn unencrypted(&self) -> Option<&str> {
        self.unencrypted.as_deref()
    }

    async fn hello(&mut self, name: &str) -> Result<(), Stop> {
        let reply = self.ask(&format!("EHLO {name}"), "EHLO").await?;
        if reply.is_positive() {
            self.extensions = Extensions::read(&reply);
            return Ok(());
        }
        if !reply.is_permanent() {
            return Err(Stop::refused(&reply, "EHLO", Phase::Request));
        }
        let reply = self.ask(&format!("HELO {name}"), "HELO").await?;
        self.extensions = Extensions::default();
        accepted(&reply, "HELO", Phase::Request)
    }

    /// Sends STARTTLS if it is to be used; returns whether the handshake follows.
    async fn starts_tls(&mut self, begin: &ConnectParams<'_>) -> Result<bool, Stop> {
        match (begin.encryption, self.extensions.starttls) {
            (Encryption::Implicit | Encryption::None, _) => return Ok(false),
            (Encryption::Offered, false) => {
                if !begin.is_here {
                    self.unencrypted = Some("the server offers no STARTTLS".to_owned());
                }
                return Ok(false);
            }
            (Encryption::Required, false) => {
                let message = "the server offers no STARTTLS, so nothing is sent; smtps:// \
                               encrypts from the first byte, ?tls=none does without";
                return Err(Stop::rejected(ErrorKind::Tls, message, Phase::Tls));
            }
            (Encryption::Offered | Encryption::Required, true) => {}
        }
        begin.progress.set(Phase::Tls);
        let reply = self.ask("STARTTLS", "STARTTLS").await?;
        if reply.is_positive() {
            return Ok(true);
        }
        let refused = Stop::refused(&reply, "STARTTLS", Phase::Tls);
        if begin.encryption == Encryption::Required || refused.is_gone {
            return Err(refused);
        }
        self.unencrypted = Some(format!("the server answered STARTTLS with {}", reply.text()));
        Ok(false)
    }

    /// Returns whether the server is still there, and forgets a mail that was begun.
    pub(in crate::destinations::email) async fn is_alive(&mut self) -> bool {
        self.ask("RSET", "RSET").await.is_ok_and(|reply| reply.is_positive())
    }

    /// Sends one command and waits for its reply.
    pub(super) async fn ask(&mut self, command: &str, step: &str) -> Result<Reply, Stop> {
        self.write(format!("{command}\r\n").as_bytes(), step, Phase::Request).await?;
        self.reply(step, Phase::Request).await
    }

    async fn write(&mut self, bytes: &[u8], step: &str, phase: Phase) -> Result<(), Stop> {
        let written = self.wire.write(bytes).await;
        written.map_err(|error| Stop::broken(error, step, phase, &self.place))
    }

    async fn reply(&mut self, step: &str, phase: Phase) -> Result<Reply, Stop> {
        let reply = self.wire.reply().await;
        reply.map_err(|error| Stop::broken(error, step, phase, &self.place))
    }

    /// Sends the envelope, up to the point where the server expects the mail. Nothing of the mail
    /// itself is sent, so all of it can be repeated on another connection.
    pub(in crate::destinations::email) async fn offer(
        &mut self,
        parcel: &Parcel<'_>,
        deferred: Deferred,
    ) -> Result<Vec<(String, String)>, Stop> {
        self.check_size(parcel.mail.len())?;
        let refused = self.envelope(parcel, deferred).await?;
        let reply = self.ask("DATA", "DATA").await?;
        if !reply.is_intermediate() {
            return Err(Stop::refused(&reply, "DATA", Phase::Request));
        }
        Ok(refused)
    }

    /// Sends the mail.
    pub(in crate::destinations::email) async fn send(
        &mut self,
        parcel: &Parcel<'_>,
    ) -> Result<Reply, Stop> {
        self.write(&stuffed(parcel.mail), "the message", Phase::Response).await?;
        let reply = self.reply("the message", Phase::Response).await?;
        accepted(&reply, "the message", Phase::Response)?;
        Ok(reply)
    }

    fn check_size(&self, bytes: usize) -> Result<(), Stop> {
        match self.extensions.size {
            Some(limit) if bytes > limit => {
                let message = format!(
                    "the mail has {bytes} bytes, and the server takes no more than {limit}"
                );
                let stop = Stop::rejected(ErrorKind::PayloadTooLarge, message, Phase::Request);
                Err(Stop { is_in_sync: true, ..stop })
            }
            _ => Ok(()),
        }
    }

    /// Sends MAIL and RCPT, and returns the recipients that are refused.
    async fn envelope(
        &mut self,
        parcel: &Parcel<'_>,
        deferred: Deferred,
    ) -> Result<Vec<(String, String)>, Stop> {
        let mail = self.mail_command(parcel);
        let recipients = parcel.to.iter().map(|recipient| format!("RCPT TO:<{recipient}>"));
        let commands: Vec<_> = std::iter::once(mail).chain(recipients).collect();
        let together = if self.extensions.pipelining { PIPELINED } else { 1 };
        let mut replies = Vec::with_capacity(commands.len());
        for group in commands.chunks(together) {
            let bytes = format!("{}\r\n", group.join("\r\n"));
            if let [command] = group {
                self.write(bytes.as_bytes(), step(command), Phase::Request).await?;
            } else {
                let written = self.wire.write_group(bytes.as_bytes()).await;
                let place = &self.place;
                written.map_err(|e| Stop::broken(e, step(&group[0]), Phase::Request, place))?;
            }
            for command in group {
                let reply = self.reply(step(command), Phase::Request).await?;
                if reply.code == 421 {
                    return Err(Stop::refused(&reply, step(command), Phase::Request));
                }
                replies.push(reply);
            }
            accepted(&replies[0], "MAIL FROM", Phase::Request)?;
        }
        let mut refused = Vec::new();
        let mut last: Option<Stop> = None;
        for ((recipient, command), reply) in parcel.to.iter().zip(&commands[1..]).zip(&replies[1..])
        {
            if reply.is_positive() {
                continue;
            }
            let stop = Stop::refused(reply, command, Phase::Request);
            if !reply.is_permanent() && (!reply.is_transient() || deferred == Deferred::Wait) {
                return Err(stop);
            }
            refused.push((recipient.clone(), reply.text()));
            // Of several, one that may pass decides.
            if last.is_none() || reply.is_transient() {
                last = Some(stop);
            }
        }
        match last {
            Some(stop) if refused.len() == parcel.to.len() => Err(stop),
            _ => Ok(refused),
        }
    }

    fn mail_command(&self, parcel: &Parcel<'_>) -> String {
        let mut command = format!("MAIL FROM:<{}>", parcel.from);
        if self.extensions.size.is_some() {
            command.push_str(" SIZE=");
            command.push_str(&parcel.mail.len().to_string());
        }
        if parcel.eight_bit && self.extensions.eight_bit_mime {
            command.push_str(" BODY=8BITMIME");
        }
        if parcel.smtp_utf8 && self.extensions.smtp_utf8 {
            command.push_str(" SMTPUTF8");
        }
        command
    }
}

/// Returns a command as messages name it: MAIL without its parameters.
fn step(command: &str) -> &str {
    if command.starts_with("MAIL") { "MAIL FROM" } else { command }
}

fn accepted(reply: &Reply, step: &str, phase: Phase) -> Result<(), Stop> {
    if reply.is_positive() { Ok(()) } else { Err(Stop::refused(reply, step, phase)) }
}
