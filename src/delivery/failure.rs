//! Failed deliveries: data for the log, never an exception in the runner.

use std::fmt;

use crate::error::ErrorKind;

/// The part of a delivery that was under way when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the host name.
    Dns,
    /// Opening the connection, to the host or to the proxy.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Writing the request.
    Request,
    /// Waiting for the response's status and headers.
    Response,
    /// Reading the response's body.
    Body,
}

impl Phase {
    /// Every phase, in the order of a request.
    pub const ALL: [Self; 6] =
        [Self::Dns, Self::Connect, Self::Tls, Self::Request, Self::Response, Self::Body];

    /// The phase with this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    /// The spelling in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Response => "response",
            Self::Body => "body",
        }
    }
}

/// The cause of a failed delivery: data for the log, never an exception in the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code of the log's `error.code`.
    pub kind: ErrorKind,
    /// A sentence for people; it names no secret.
    pub message: String,
    /// The phase of the failure, if known.
    pub phase: Option<Phase>,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// This machine lacked a resource: it says nothing about the destination.
    pub is_local: bool,
}

impl Failure {
    /// A failure outside any network phase.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), phase: None, status: None, is_local: false }
    }

    /// The same failure, as one of this machine's own.
    #[must_use]
    pub const fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// The same failure, with the status of the response.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same failure, with the phase it happened in.
    #[must_use]
    pub fn during(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
