//! Errors of the system.

use std::io::{Error, ErrorKind};

use super::super::scarcity::passing;
use super::NetworkPlace;
use crate::delivery::Phase;

/// Returns the sentence of a system error; `None` for errors that only wrap another one, or add
/// nothing to the phase.
pub(super) fn sentence(error: &Error, phase: Phase, place: &NetworkPlace) -> Option<String> {
    let next = place.next();
    let connecting = matches!(phase, Phase::Dns | Phase::Connect);
    if let Some(reason) = unconnected(error, connecting) {
        return Some(format!("no connection to {next}: {reason}"));
    }
    Some(match error.kind() {
        ErrorKind::TimedOut => format!("the connection to {next} timed out"),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            ended(&next, "reset", phase)
        }
        ErrorKind::UnexpectedEof => ended(&next, "closed", phase),
        _ => return None,
    })
}

/// Returns the reason why a connection could not be opened.
fn unconnected(error: &Error, connecting: bool) -> Option<&'static str> {
    if let Some(reason) = passing(error) {
        return Some(reason);
    }
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => {
            "it was refused. No server listens there, or a firewall rejects it"
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            "there is no route to it from this machine"
        }
        ErrorKind::TimedOut if connecting => {
            "nothing answered. No machine is there, or a firewall drops the packets"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address, or no free port (egress.localAddress)"
        }
        ErrorKind::PermissionDenied => "this machine does not permit it (a firewall or a sandbox)",
        ErrorKind::OutOfMemory => "this machine is out of memory",
        _ => return None,
    })
}

/// Returns the sentence of a connection that the other side ended.
pub(super) fn ended(next: &str, how: &str, phase: Phase) -> String {
    match phase {
        Phase::Dns | Phase::Connect => format!("{next} {how} the connection at once"),
        Phase::Tls => format!(
            "{next} {how} the connection during the TLS handshake: perhaps it does not speak TLS on \
             this port, or knows no certificate for this host name"
        ),
        Phase::Request | Phase::Response => {
            format!("{next} {how} the connection before its response was complete")
        }
        Phase::Body => {
            format!("{next} {how} the connection before the response's body was over")
        }
    }
}
