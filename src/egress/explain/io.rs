//! Errors of the system.

use std::io::{Error, ErrorKind};

use super::Place;
use crate::destinations::Phase;

/// Errors of a process or machine without file descriptors left (EMFILE, ENFILE).
const NO_DESCRIPTORS: [i32; 2] = [24, 23];

/// Returns the sentence of a system's error; `None` for those that only wrap another error, or say no
/// more than the phase.
pub(super) fn sentence(error: &Error, phase: Phase, place: &Place) -> Option<String> {
    let next = place.next();
    if error.raw_os_error().is_some_and(|code| cfg!(unix) && NO_DESCRIPTORS.contains(&code)) {
        return Some(format!(
            "no connection to {next} could be opened: this process has too many files open. Raise \
             the limit (ulimit -n) or lower http.concurrency"
        ));
    }
    let connecting = matches!(phase, Phase::Dns | Phase::Connect);
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => format!(
            "{next} refused the connection: no server listens there, or a firewall rejects it"
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            format!("{next} cannot be reached from this machine: there is no route to it")
        }
        ErrorKind::TimedOut if connecting => {
            format!("{next} did not answer: no server is there, or a firewall drops the packets")
        }
        ErrorKind::TimedOut => format!("the connection to {next} timed out"),
        ErrorKind::AddrNotAvailable => format!(
            "no connection to {next} could be opened: this machine has no such address or no free \
             port (egress.localAddress)"
        ),
        ErrorKind::PermissionDenied => format!(
            "no connection to {next} could be opened: this machine does not permit it (a firewall \
             or a sandbox)"
        ),
        ErrorKind::OutOfMemory => {
            format!("no connection to {next} could be opened: this machine is out of memory")
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            ended(&next, "reset", phase)
        }
        ErrorKind::UnexpectedEof => ended(&next, "closed", phase),
        _ => return None,
    })
}

/// The sentence of a connection that the other side ended.
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
