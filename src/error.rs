//! The one error that crosses module borders, and the codes that JavaScript sees.
//!
//! An [`Error`] is a refusal: the call, option or hand-over did not happen. A delivery that did not
//! reach its destination is not an error but data, see [`crate::delivery::Failure`]; both speak
//! the same [`ErrorKind`]s.

use std::error::Error as StdError;
use std::fmt;

/// Defines [`ErrorKind`] once: its kinds, their codes, and the list of all.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal,)*) => {
        /// The kind of an error, in the vocabulary that users match on. [`ErrorKind::code`] is its
        /// spelling.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The code that JavaScript reads from `error.code`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }
        }
    };
}

error_kinds! {
    /// The native addon could not be loaded. Only the package's JavaScript reports it.
    Addon = "ERR_SEND_ADDON",
    /// An option of `Engine.open` is unknown, of the wrong type, or out of range.
    InvalidOption = "ERR_SEND_INVALID_OPTION",
    /// An argument of a call is of the wrong type, or cannot be snapshotted.
    InvalidArgument = "ERR_SEND_INVALID_ARGUMENT",
    /// One recorded call is larger than `maxPayloadBytes`.
    PayloadTooLarge = "ERR_SEND_PAYLOAD_TOO_LARGE",
    /// The undelivered calls in memory would exceed `maxPendingBytes`.
    JournalFull = "ERR_SEND_JOURNAL_FULL",
    /// The address that the server is to listen on is in use.
    AddressInUse = "ERR_SEND_ADDRESS_IN_USE",
    /// Another process has the data directory open.
    DataDirLocked = "ERR_SEND_DATA_DIR_LOCKED",
    /// The journal in the data directory cannot be opened, read or written.
    Journal = "ERR_SEND_JOURNAL",
    /// The execution was completed or discarded before this call.
    ExecutionCompleted = "ERR_SEND_EXECUTION_COMPLETED",
    /// The engine is closed or closing.
    Closed = "ERR_SEND_CLOSED",
    /// A wait, or a delivery's whole-request deadline, ran out.
    Timeout = "ERR_SEND_TIMEOUT",
    /// `$send` was used outside a step.
    NoStep = "ERR_SEND_NO_STEP",
    /// The step requested something that this runner does not support.
    NotSupported = "ERR_SEND_NOT_SUPPORTED",
    /// The destination has no configuration in this engine, so nothing was sent.
    NotConfigured = "ERR_SEND_NOT_CONFIGURED",
    /// The URL does not parse, or is not one that a request can be sent to.
    InvalidUrl = "ERR_SEND_INVALID_URL",
    /// A header's name or value may not be sent.
    InvalidHeader = "ERR_SEND_INVALID_HEADER",
    /// The egress policy forbids the address, host, port or scheme.
    EgressDenied = "ERR_SEND_EGRESS_DENIED",
    /// The host name did not resolve.
    Dns = "ERR_SEND_DNS",
    /// No connection could be opened to the host or the proxy.
    Connect = "ERR_SEND_CONNECT",
    /// The proxy answered in the place of the host, with a status of its own.
    Proxy = "ERR_SEND_PROXY",
    /// The TLS handshake failed, or the certificate was refused.
    Tls = "ERR_SEND_TLS",
    /// An open connection broke before the response was complete.
    Connection = "ERR_SEND_CONNECTION",
    /// The response is not valid HTTP, or could not be decoded.
    InvalidResponse = "ERR_SEND_INVALID_RESPONSE",
    /// The response's status is not 2xx.
    Status = "ERR_SEND_STATUS",
    /// The redirect limit was reached.
    TooManyRedirects = "ERR_SEND_TOO_MANY_REDIRECTS",
    /// The delivery was cut off by the engine's close; its outcome is unknown.
    Interrupted = "ERR_SEND_INTERRUPTED",
    /// The execution was discarded before it was completed.
    Discarded = "ERR_SEND_DISCARDED",
    /// A destination written in JavaScript, or a warehouse, refused the call.
    Refused = "ERR_SEND_REFUSED",
    /// A destination written in JavaScript requests a retry, or a warehouse cannot load the batch
    /// now.
    Unavailable = "ERR_SEND_UNAVAILABLE",
    /// The event is one too many in a row of executions that started each other.
    EmitLoop = "ERR_SEND_EMIT_LOOP",
    /// The webhook of the event is disabled or removed, so nothing was sent.
    WebhookDisabled = "ERR_SEND_WEBHOOK_DISABLED",
    /// The query is not a single read-only statement, or refers to something outside the warehouse.
    QueryNotAllowed = "ERR_SEND_QUERY_NOT_ALLOWED",
    /// The query took longer than it may.
    QueryTimeout = "ERR_SEND_QUERY_TIMEOUT",
    /// The result of the query is larger than it may be.
    QueryTooLarge = "ERR_SEND_QUERY_TOO_LARGE",
    /// The query cannot be answered: its text is wrong, or names what is not there.
    QueryFailed = "ERR_SEND_QUERY_FAILED",
    /// A defect of this package: please report it.
    Internal = "ERR_SEND_INTERNAL",
}

impl ErrorKind {
    /// Returns the kind with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
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

    /// Returns the kind.
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
