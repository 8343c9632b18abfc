//! Classification of failures in a session.

use super::reply::Reply;
use super::wire::WireError;
use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::{NetworkPlace, explain};
use crate::error::ErrorKind;

/// The code by which a server ends a session at any time.
const CLOSING: u16 = 421;

/// The end of a session or of a mail.
#[derive(Debug)]
pub(in crate::destinations::email) struct Stop {
    pub(in crate::destinations::email) verdict: Verdict,
    /// True if the connection is gone: the server closed it, or announced that.
    pub(in crate::destinations::email) is_gone: bool,
    /// True if the server refused the login.
    pub(in crate::destinations::email) is_login: bool,
    /// True if the session can go on: the server refused something, and nothing is under way.
    pub(in crate::destinations::email) is_in_sync: bool,
}

impl Stop {
    /// Returns a verdict that has nothing to do with the state of the session.
    pub(in crate::destinations::email) const fn of(verdict: Verdict) -> Self {
        Self { verdict, is_gone: false, is_login: false, is_in_sync: false }
    }

    /// Returns the verdict on a mail that this server cannot accept; the session can go on.
    pub(in crate::destinations::email) fn unusable(message: &str) -> Self {
        let stop = Self::rejected(ErrorKind::InvalidArgument, message, Phase::Request);
        Self { is_in_sync: true, ..stop }
    }

    /// Returns a permanent failure.
    pub(super) fn rejected(kind: ErrorKind, message: impl Into<String>, phase: Phase) -> Self {
        Self::of(Verdict::Rejected(Failure::new(kind, message).during(phase)))
    }

    /// Returns a transient failure.
    pub(super) fn transient(kind: ErrorKind, message: impl Into<String>, phase: Phase) -> Self {
        let failure = Failure::new(kind, message).during(phase);
        Self::of(Verdict::Retry { failure, after: None })
    }

    /// Classifies an unexpected reply: 4xx is transient, 5xx permanent.
    pub(super) fn refused(reply: &Reply, step: &str, phase: Phase) -> Self {
        let said = reply.text();
        if !reply.is_transient() && !reply.is_permanent() {
            let message =
                format!("the server answered {step} with {said}, which is no answer to it");
            return Self::rejected(ErrorKind::InvalidResponse, message, phase);
        }
        let message = format!("the server answered {step} with {said}");
        let failure =
            Failure::new(ErrorKind::Status, message).with_status(reply.code).during(phase);
        let verdict = if reply.is_transient() {
            Verdict::Retry { failure, after: None }
        } else {
            Verdict::Rejected(failure)
        };
        let is_gone = reply.code == CLOSING;
        Self { verdict, is_gone, is_login: step == "AUTH", is_in_sync: !is_gone }
    }

    /// Classifies a missing or malformed reply.
    pub(super) fn broken(error: WireError, step: &str, phase: Phase, place: &NetworkPlace) -> Self {
        let ended = |message| Self::transient(ErrorKind::Connection, message, phase);
        match error {
            WireError::Closed => Self {
                is_gone: true,
                ..ended(format!("the server closed the connection during {step}"))
            },
            WireError::Broken(error) => {
                let message = explain(&error, phase, place);
                Self {
                    is_gone: true,
                    ..ended(format!("the connection broke during {step}: {message}"))
                }
            }
            WireError::MalformedReply(what) => {
                let message = format!("the server answered {step} with {what}");
                Self::rejected(ErrorKind::InvalidResponse, message, phase)
            }
            WireError::Early(reply) if reply.code >= 400 => {
                Self { is_in_sync: false, ..Self::refused(&reply, step, phase) }
            }
            WireError::Early(reply) => {
                let said = reply.text();
                let message = format!("the server answered {said} before it had all of {step}");
                Self::rejected(ErrorKind::InvalidResponse, message, phase)
            }
        }
    }
}
