//! The one error that crosses module borders, and the codes that JavaScript sees.
//!
//! An [`Error`] is a refusal: the call, option or hand-over did not happen. A delivery that did not
//! reach its destination is not an error but data, see [`crate::destinations::Failure`]; both speak
//! the same [`ErrorKind`]s.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, in the vocabulary that users match on. [`ErrorKind::code`] is its spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The native addon could not be loaded. Only the package's JavaScript reports it.
    Addon,
    /// An option of `Engine.open` is unknown, of the wrong type, or out of range.
    InvalidOption,
    /// An argument of a call is of the wrong type, or cannot be snapshotted.
    InvalidArgument,
    /// One recorded call is larger than `maxPayloadBytes`.
    PayloadTooLarge,
    /// The undelivered calls in memory would exceed `maxPendingBytes`.
    JournalFull,
    /// The address that the server is to listen on is in use.
    AddressInUse,
    /// Another process has the data directory open.
    DataDirLocked,
    /// The journal in the data directory cannot be opened, read or written.
    Journal,
    /// The execution was completed or discarded before this call.
    ExecutionCompleted,
    /// The engine is closed or closing.
    Closed,
    /// A wait, or a delivery's whole-request deadline, ran out.
    Timeout,
    /// `$send` was used outside a step.
    NoStep,
    /// The step asked its runner for something that only some runners can do.
    NotSupported,
    /// The destination has no configuration in this engine, so nothing was sent.
    NotConfigured,
    /// The URL does not parse, or is not one that a request can be sent to.
    InvalidUrl,
    /// A header's name or value may not be sent.
    InvalidHeader,
    /// The egress policy forbids the address, host, port or scheme.
    EgressDenied,
    /// The host name did not resolve.
    Dns,
    /// No connection could be opened to the host or the proxy.
    Connect,
    /// The proxy answered in the place of the host, with a status of its own.
    Proxy,
    /// The TLS handshake failed, or the certificate was refused.
    Tls,
    /// An open connection broke before the response was complete.
    Connection,
    /// The response is not valid HTTP, or could not be decoded.
    InvalidResponse,
    /// The response's status is not 2xx.
    Status,
    /// The redirect limit was reached.
    TooManyRedirects,
    /// The delivery was cut off by the engine's close; its outcome is unknown.
    Interrupted,
    /// The execution was discarded before it was completed.
    Discarded,
    /// A destination written in JavaScript, or a warehouse, refused the call.
    Refused,
    /// A destination written in JavaScript asks for another attempt, or a warehouse cannot take the
    /// batch now.
    Unavailable,
    /// The event is one too many in a row of executions that started each other.
    EmitLoop,
    /// The query is not one reading statement, or asks for something outside the warehouse.
    QueryNotAllowed,
    /// The query took longer than it may.
    QueryTimeout,
    /// The result of the query is larger than it may be.
    QueryTooLarge,
    /// The query cannot be answered: its text is wrong, or names what is not there.
    QueryFailed,
    /// A defect of this package: please report it.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self::Addon,
        Self::InvalidOption,
        Self::InvalidArgument,
        Self::PayloadTooLarge,
        Self::JournalFull,
        Self::AddressInUse,
        Self::DataDirLocked,
        Self::Journal,
        Self::ExecutionCompleted,
        Self::Closed,
        Self::Timeout,
        Self::NoStep,
        Self::NotSupported,
        Self::NotConfigured,
        Self::InvalidUrl,
        Self::InvalidHeader,
        Self::EgressDenied,
        Self::Dns,
        Self::Connect,
        Self::Proxy,
        Self::Tls,
        Self::Connection,
        Self::InvalidResponse,
        Self::Status,
        Self::TooManyRedirects,
        Self::Interrupted,
        Self::Discarded,
        Self::Refused,
        Self::Unavailable,
        Self::EmitLoop,
        Self::QueryNotAllowed,
        Self::QueryTimeout,
        Self::QueryTooLarge,
        Self::QueryFailed,
        Self::Internal,
    ];

    /// The kind with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The code that JavaScript reads from `error.code`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Addon => "ERR_SEND_ADDON",
            Self::InvalidOption => "ERR_SEND_INVALID_OPTION",
            Self::InvalidArgument => "ERR_SEND_INVALID_ARGUMENT",
            Self::PayloadTooLarge => "ERR_SEND_PAYLOAD_TOO_LARGE",
            Self::JournalFull => "ERR_SEND_JOURNAL_FULL",
            Self::AddressInUse => "ERR_SEND_ADDRESS_IN_USE",
            Self::DataDirLocked => "ERR_SEND_DATA_DIR_LOCKED",
            Self::Journal => "ERR_SEND_JOURNAL",
            Self::ExecutionCompleted => "ERR_SEND_EXECUTION_COMPLETED",
            Self::Closed => "ERR_SEND_CLOSED",
            Self::Timeout => "ERR_SEND_TIMEOUT",
            Self::NoStep => "ERR_SEND_NO_STEP",
            Self::NotSupported => "ERR_SEND_NOT_SUPPORTED",
            Self::NotConfigured => "ERR_SEND_NOT_CONFIGURED",
            Self::InvalidUrl => "ERR_SEND_INVALID_URL",
            Self::InvalidHeader => "ERR_SEND_INVALID_HEADER",
            Self::EgressDenied => "ERR_SEND_EGRESS_DENIED",
            Self::Dns => "ERR_SEND_DNS",
            Self::Connect => "ERR_SEND_CONNECT",
            Self::Proxy => "ERR_SEND_PROXY",
            Self::Tls => "ERR_SEND_TLS",
            Self::Connection => "ERR_SEND_CONNECTION",
            Self::InvalidResponse => "ERR_SEND_INVALID_RESPONSE",
            Self::Status => "ERR_SEND_STATUS",
            Self::TooManyRedirects => "ERR_SEND_TOO_MANY_REDIRECTS",
            Self::Interrupted => "ERR_SEND_INTERRUPTED",
            Self::Discarded => "ERR_SEND_DISCARDED",
            Self::Refused => "ERR_SEND_REFUSED",
            Self::Unavailable => "ERR_SEND_UNAVAILABLE",
            Self::EmitLoop => "ERR_SEND_EMIT_LOOP",
            Self::QueryNotAllowed => "ERR_SEND_QUERY_NOT_ALLOWED",
            Self::QueryTimeout => "ERR_SEND_QUERY_TIMEOUT",
            Self::QueryTooLarge => "ERR_SEND_QUERY_TOO_LARGE",
            Self::QueryFailed => "ERR_SEND_QUERY_FAILED",
            Self::Internal => "ERR_SEND_INTERNAL",
        }
    }
}

/// A refusal: its kind, a sentence for people that names no secret, and the cause if there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a call that can be refused.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal with a sentence that says what to do about it.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with the name of the call that was refused before its sentence.
    #[must_use]
    pub fn within(mut self, call: &str) -> Self {
        self.context = format!("{call}: {}", self.context);
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_unique_and_prefixed() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(codes.iter().all(|code| code.starts_with("ERR_SEND_")));
    }
}
