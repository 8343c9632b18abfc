//! Temporary shortages of this machine: no file descriptor, port or buffer is free, or the name
//! server reports a temporary failure. Nothing was sent, so the step is retried until the caller's
//! deadline.

use std::io;
use std::time::Duration;

use super::progress;

/// The maximum duration of retries for callers without a deadline.
const LONGEST: Duration = Duration::from_secs(30);

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(320);

/// `EMFILE`, `ENFILE`.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];
/// `ENOBUFS` of Linux and of the BSDs.
const NO_BUFFERS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

/// Returns the sentence for people about an error that passes; `None` for one that does not.
pub(super) fn passing(error: &io::Error) -> Option<&'static str> {
    if let Some(code) = error.raw_os_error().filter(|_| cfg!(unix)) {
        if NO_DESCRIPTORS.contains(&code) {
            return Some(
                "this process has too many files open. Raise the limit (ulimit -n) or lower \
                 http.concurrency",
            );
        }
        if code == NO_BUFFERS {
            return Some("this machine has no buffer for another connection");
        }
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => Some("this machine has no free port for another connection"),
        io::ErrorKind::WouldBlock => Some("the name server could not answer for now"),
        _ => None,
    }
}

/// The waits between tries. Dropped, it takes back what it has reported.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waited: Duration,
    next: Duration,
}

impl Patience {
    /// Waits before the next try, and reports the reason; returns whether there is to be one.
    pub(super) async fn wait(&mut self, reason: &'static str) -> bool {
        if self.waited >= LONGEST {
            return false;
        }
        progress::lack(Some(reason));
        self.next = (self.next * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        tokio::time::sleep(self.next).await;
        self.waited += self.next;
        true
    }

    /// Takes back the report: it has passed.
    pub(super) fn end(&self) {
        if !self.waited.is_zero() {
            progress::lack(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let system = io::Error::from_raw_os_error;
        for code in NO_DESCRIPTORS.into_iter().chain([NO_BUFFERS]) {
            assert_eq!(passing(&system(code)).is_some(), cfg!(unix), "{code}");
        }
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::NetworkUnreachable,
        ] {
            assert_eq!(passing(&kind.into()), None, "{kind}");
        }
    }
}
