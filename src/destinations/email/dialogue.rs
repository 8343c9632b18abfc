//! The talk with an SMTP server, and what its answers mean.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, response::Response};

use super::server::{Encryption, Server};
use crate::destinations::{Failure, Phase, Verdict};
use crate::egress::Progress;
use crate::error::ErrorKind;

/// How long one address of several may take to connect before the next one is tried.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_secs(10);

/// What the server was asked for last, for messages.
type Step<'a> = &'a str;

/// A server that listens.
pub(super) struct Dialogue {
    connection: AsyncSmtpConnection,
}

/// What a dialogue needs to begin.
pub(super) struct Beginning<'a> {
    pub server: &'a Server,
    /// Where it is: addresses that may be connected to.
    pub addresses: Vec<SocketAddr>,
    pub local_address: Option<IpAddr>,
    /// What its certificate is held against, for when it is needed.
    pub tls: &'a (dyn Fn() -> Result<TlsParameters, Verdict> + Sync),
    pub progress: &'a Progress,
}

impl Dialogue {
    /// Connects, encrypts and logs in.
    ///
    /// # Errors
    /// The verdict on the delivery.
    pub(super) async fn begin(beginning: Beginning<'_>) -> Result<Self, Verdict> {
        let Beginning { server, addresses, local_address, tls, progress } = beginning;
        let implicit = server.encryption == Encryption::Implicit;
        let hello = ClientId::default();
        progress.set(Phase::Connect);
        let mut connection = None;
        let (count, mut last) = (addresses.len(), None);
        for (at, address) in addresses.into_iter().enumerate() {
            let limit = (at + 1 < count).then_some(NEXT_ADDRESS_AFTER);
            let tls = implicit.then(tls).transpose()?;
            let opened =
                AsyncSmtpConnection::connect_tokio1(address, limit, &hello, tls, local_address);
            match opened.await {
                Ok(opened) => {
                    connection = Some(opened);
                    break;
                }
                Err(error) => last = Some(verdict(&error, Phase::Connect, "the connection")),
            }
        }
        let Some(connection) = connection else { return Err(last.unwrap_or_else(no_address)) };
        let mut dialogue = Self { connection };
        if dialogue.should_encrypt(server)? {
            progress.set(Phase::Tls);
            let encrypted = dialogue.connection.starttls(tls()?, &hello).await;
            encrypted.map_err(|error| verdict(&error, Phase::Tls, "STARTTLS"))?;
        }
        progress.set(Phase::Request);
        dialogue.log_in(server).await?;
        Ok(dialogue)
    }

    fn should_encrypt(&self, server: &Server) -> Result<bool, Verdict> {
        match (server.encryption, self.connection.can_starttls()) {
            (Encryption::Implicit | Encryption::None, _) | (Encryption::Offered, false) => {
                Ok(false)
            }
            (Encryption::Offered | Encryption::Required, true) => Ok(true),
            (Encryption::Required, false) => {
                let message = "the server offers no STARTTLS, so nothing is sent; smtps:// \
                               encrypts from the first byte, ?tls=none does without";
                Err(Verdict::Rejected(Failure::new(ErrorKind::Tls, message).during(Phase::Tls)))
            }
        }
    }

    async fn log_in(&mut self, server: &Server) -> Result<(), Verdict> {
        let Some((user, password)) = &server.login else { return Ok(()) };
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if self.connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
            let message = "the server offers neither AUTH PLAIN nor AUTH LOGIN, and email.smtp has \
                           a user";
            let failure = Failure::new(ErrorKind::InvalidResponse, message);
            return Err(Verdict::Rejected(failure.during(Phase::Request)));
        }
        let credentials = Credentials::new(user.clone(), password.clone());
        let answer = self.connection.auth(&mechanisms, &credentials).await;
        answer.map_err(|error| verdict(&error, Phase::Request, "AUTH"))?;
        Ok(())
    }

    /// Whether the server is still there.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.connection.command(Rset).await.is_ok()
    }

    /// Hands a mail over. All recipients get it, or none.
    ///
    /// # Errors
    /// The verdict on the delivery.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        mail: &[u8],
        progress: &Progress,
    ) -> Result<Response, Verdict> {
        progress.set(Phase::Request);
        let parameters = self.parameters(envelope, mail)?;
        let from = Mail::new(envelope.from().cloned(), parameters);
        self.ask(from, "MAIL FROM").await?;
        for recipient in envelope.to() {
            let step = format!("RCPT TO:<{recipient}>");
            self.ask(Rcpt::new(recipient.clone(), Vec::new()), &step).await?;
        }
        self.ask(Data, "DATA").await?;
        progress.set(Phase::Response);
        let answer = self.connection.message(mail).await;
        answer.map_err(|error| verdict(&error, Phase::Response, "the message"))
    }

    async fn ask(
        &mut self,
        command: impl std::fmt::Display,
        step: Step<'_>,
    ) -> Result<(), Verdict> {
        let answer = self.connection.command(command).await;
        answer.map(drop).map_err(|error| verdict(&error, Phase::Request, step))
    }

    fn parameters(&self, envelope: &Envelope, mail: &[u8]) -> Result<Vec<MailParameter>, Verdict> {
        let offers = |extension| self.connection.server_info().supports_feature(extension);
        let mut parameters = Vec::new();
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        if addresses.any(|address| !address.to_string().is_ascii()) {
            if !offers(Extension::SmtpUtfEight) {
                return Err(unsupported("an address has other characters than ASCII", "SMTPUTF8"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !mail.is_ascii() {
            if !offers(Extension::EightBitMime) {
                return Err(unsupported("the mail has other characters than ASCII", "8BITMIME"));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }
}

fn no_address() -> Verdict {
    Verdict::Rejected(Failure::new(ErrorKind::Dns, "the server has no address").during(Phase::Dns))
}

fn unsupported(what: &str, extension: &str) -> Verdict {
    let message = format!("{what}, and the server does not offer {extension}");
    Verdict::Rejected(Failure::new(ErrorKind::InvalidArgument, message).during(Phase::Request))
}

/// What an error means. 4xx is transient and 5xx permanent, as is what the server cannot be
/// understood in.
fn verdict(error: &Error, phase: Phase, step: Step<'_>) -> Verdict {
    let said = || error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        let message = format!("the server answered {step} with {code} {}", said());
        let failure = Failure::new(ErrorKind::Status, message.trim_end())
            .with_status(code.into())
            .during(phase);
        return if error.is_transient() {
            Verdict::Retry { failure, after: None }
        } else {
            Verdict::Rejected(failure)
        };
    }
    if let Some(error) = cause::<rustls::Error>(error) {
        let message = format!("the TLS handshake with the server failed: {error}");
        let failure = Failure::new(ErrorKind::Tls, message).during(Phase::Tls);
        return Verdict::Retry { failure, after: None };
    }
    let (kind, message) = match (error.is_response() || error.is_client(), phase) {
        (true, _) => (ErrorKind::InvalidResponse, format!("{step}: {error}")),
        (false, Phase::Connect) => {
            (ErrorKind::Connect, format!("no connection to the server: {}", said()))
        }
        (false, _) => (
            ErrorKind::Connection,
            format!("the connection to the server broke during {step}: {}", said()),
        ),
    };
    let failure = Failure::new(kind, message).during(phase);
    if kind == ErrorKind::InvalidResponse {
        return Verdict::Rejected(failure);
    }
    Verdict::Retry { failure, after: None }
}

/// The first cause of a type. An I/O error holds one that its `source` does not lead to.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |error| deeper(*error))
        .take(16)
        .find_map(|error| error.downcast_ref())
}

fn deeper<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
