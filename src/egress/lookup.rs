//! Resolves a host name to its addresses, bounded against name servers that do not respond.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::scarcity::passing;

/// The addresses of one name, on their way.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// A source of addresses for host names.
pub trait Lookup: Send + Sync {
    /// Returns the addresses of a name, in the order they should be tried. No address at all is the
    /// same as an error; an error of the kind `WouldBlock` passes. The policy is not this trait's
    /// concern.
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a>;
}

/// Lookups that may block a thread at the same time. The system's resolver cannot be cancelled and
/// takes half a minute to give up on a dead name server; Tokio has 512 threads for such calls.
const MAX_CONCURRENT: usize = 128;

/// The result that all waiters for a name share. `io::Error` cannot be cloned, its parts can.
type LookupResult = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// The system's resolver (`getaddrinfo`), so that `/etc/hosts` and its peers count.
///
/// **Invariant:** one name is looked up once at a time, however many wait for it, and a name
/// without waiters does not take a permit.
#[derive(Clone)]
pub struct SystemLookup(Arc<SharedLookups>);

struct SharedLookups {
    turns: Semaphore,
    pending: Mutex<HashMap<String, watch::Sender<Option<LookupResult>>>>,
    ask: fn(String) -> Looking<'static>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemLookup {
    /// Returns a lookup with no name in it. Clones share what is under way.
    #[must_use]
    pub fn new() -> Self {
        Self::asking(ask_system, MAX_CONCURRENT)
    }

    pub(super) fn asking(ask: fn(String) -> Looking<'static>, turns: usize) -> Self {
        Self(Arc::new(SharedLookups {
            turns: Semaphore::new(turns),
            pending: Mutex::default(),
            ask,
        }))
    }

    #[cfg(test)]
    pub(super) fn pending_names(&self) -> usize {
        self.0.pending().len()
    }

    fn join(&self, name: &str) -> watch::Receiver<Option<LookupResult>> {
        let mut pending = self.0.pending();
        if let Some(sender) = pending.get(name) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        pending.insert(name.to_owned(), sender.clone());
        drop(pending);
        // In a task of its own, because the first caller may give up before the others.
        let entry = PendingLookup { shared: Arc::clone(&self.0), name: Some(name.to_owned()) };
        Handle::current().spawn(entry.answer(sender));
        receiver
    }
}

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, name: &'a str) -> Looking<'a> {
        Box::pin(async move {
            let mut receiver = self.join(name);
            let answer = receiver.wait_for(Option::is_some).await.map(|answer| answer.clone());
            match answer {
                Ok(Some(Ok(addresses))) => Ok(addresses),
                Ok(Some(Err((kind, message)))) => Err(io::Error::new(kind, message)),
                Ok(None) | Err(_) => Err(io::Error::other("the lookup was stopped")),
            }
        })
    }
}

/// The place of one name among the pending ones, until it is given up or the task ends.
struct PendingLookup {
    shared: Arc<SharedLookups>,
    name: Option<String>,
}

impl PendingLookup {
    async fn answer(mut self, sender: watch::Sender<Option<LookupResult>>) {
        let shared = Arc::clone(&self.shared);
        let turn = loop {
            tokio::select! {
                turn = shared.turns.acquire() => break turn,
                () = sender.closed() => if self.abandon(&sender) { return },
            }
        };
        let answer = (shared.ask)(self.name.clone().unwrap_or_default()).await;
        drop(turn);
        // Removed from the map before the waiters are notified, so that the next caller starts a
        // new lookup.
        drop(self);
        sender.send_replace(Some(answer.map_err(|error| (error.kind(), error.to_string()))));
    }

    /// Gives the place up, unless someone has begun to wait meanwhile.
    fn abandon(&mut self, sender: &watch::Sender<Option<LookupResult>>) -> bool {
        let mut pending = self.shared.pending();
        let unwanted = sender.receiver_count() == 0;
        if unwanted && let Some(name) = self.name.take() {
            pending.remove(&name);
        }
        unwanted
    }
}

impl Drop for PendingLookup {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.shared.pending().remove(&name);
        }
    }
}

impl SharedLookups {
    fn pending(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<LookupResult>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask_system(name: String) -> Looking<'static> {
    Box::pin(async move {
        let addresses = tokio::net::lookup_host((name, 0)).await.map_err(marked)?;
        Ok(addresses.map(|address| address.ip()).collect())
    })
}

/// The texts of `EAI_AGAIN` of glibc and macOS, and of musl.
const TEMPORARY: [&str; 2] = ["Temporary failure in name resolution", "Try again"];

/// `WSATRY_AGAIN` of Windows.
const WINDOWS_TEMPORARY: i32 = 11002;

/// Marks a temporary failure with its own error kind. The standard library keeps no code of a
/// failed lookup: its text is all there is.
fn marked(error: io::Error) -> io::Error {
    let text = error.to_string();
    let is_temporary = TEMPORARY.iter().any(|temporary| text.ends_with(temporary))
        || (cfg!(windows) && error.raw_os_error() == Some(WINDOWS_TEMPORARY));
    if is_temporary || passing(&error).is_some() {
        return io::Error::new(io::ErrorKind::WouldBlock, text);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_failure_is_told_from_an_unknown_name() {
        for (text, expected) in [
            ("failed to lookup address information: Temporary failure in name resolution", true),
            ("failed to lookup address information: Try again", true),
            ("failed to lookup address information: Name or service not known", false),
        ] {
            let is_temporary = marked(io::Error::other(text)).kind() == io::ErrorKind::WouldBlock;
            assert_eq!(is_temporary, expected, "{text}");
        }
        let kind = |code| marked(io::Error::from_raw_os_error(code)).kind();
        assert_eq!(kind(24) == io::ErrorKind::WouldBlock, cfg!(unix));
    }
}
