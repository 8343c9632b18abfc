//! Sessions of the page in a browser: each stands for a token, and is named by a cookie.
//!
//! They are in memory and end with the server, so that none outlives its token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::server::TokenRole;
use crate::error::{Error, ErrorKind, Result};

/// The time after which a session ends.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at once. One more ends the oldest.
const MAX_SESSIONS: usize = 1000;
/// Random bytes in the name of a session.
const NAME_BYTES: usize = 32;

/// A session that is open.
#[derive(Debug, Clone)]
pub(super) struct BrowserSession {
    /// The acts that it allows.
    pub(super) role: TokenRole,
    /// The time at which it ends.
    pub(super) until: Instant,
    /// Closed when the session ends earlier.
    open: watch::Receiver<()>,
}

impl BrowserSession {
    /// Resolves when the session has ended.
    pub(super) async fn ended(mut self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            _ = self.open.changed() => {}
        }
    }
}

/// The sessions of a server, by the digests of their names: the time of a look-up says nothing about
/// a name.
#[derive(Debug, Default)]
pub(super) struct BrowserSessions(Mutex<HashMap<[u8; 32], HeldSession>>);

#[derive(Debug)]
struct HeldSession {
    session: BrowserSession,
    /// Ends the streams of the session when it is dropped.
    _open: watch::Sender<()>,
}

impl BrowserSessions {
    /// Opens a session. Returns its name, which is never one that a client chose.
    ///
    /// # Errors
    /// `Internal` when the system has no random numbers.
    pub(super) fn open(&self, role: TokenRole) -> Result<String> {
        let mut drawn = [0; NAME_BYTES];
        aws_lc_rs::rand::fill(&mut drawn)
            .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
        let name = URL_SAFE_NO_PAD.encode(drawn);
        let (sender, open) = watch::channel(());
        let session = BrowserSession { role, until: Instant::now() + LIFETIME, open };
        let mut held = self.held();
        if held.len() >= MAX_SESSIONS {
            let oldest = held.iter().min_by_key(|(_, held)| held.session.until);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                held.remove(&oldest);
            }
        }
        held.insert(key(&name), HeldSession { session, _open: sender });
        Ok(name)
    }

    /// Returns the session with this name.
    pub(super) fn find(&self, name: &str) -> Option<BrowserSession> {
        let mut held = self.held();
        let key = key(name);
        let session = held.get(&key)?.session.clone();
        if session.until > Instant::now() {
            return Some(session);
        }
        held.remove(&key);
        None
    }

    /// Ends the session with this name, and its streams.
    pub(super) fn end(&self, name: &str) {
        self.held().remove(&key(name));
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], HeldSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, name.as_bytes()).as_ref());
    hash
}

/// Returns the values of the cookies with this name. There may be several: a neighbour under the same
/// host name can set them.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(given, _)| given.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_its_time() {
        let sessions = BrowserSessions::default();
        let name = sessions.open(TokenRole::Read).unwrap();
        let session = sessions.find(&name).unwrap();
        assert_eq!(session.role, TokenRole::Read);
        session.ended().await;
        assert!(sessions.find(&name).is_none());
    }

    #[tokio::test]
    async fn an_ended_session_ends_its_streams() {
        let sessions = BrowserSessions::default();
        let (first, second) =
            (sessions.open(TokenRole::Act).unwrap(), sessions.open(TokenRole::Act).unwrap());
        assert_ne!(first, second);
        let session = sessions.find(&first).unwrap();
        sessions.end(&first);
        session.ended().await;
        assert!(sessions.find(&first).is_none() && sessions.find(&second).is_some());
    }

    #[tokio::test]
    async fn sessions_are_bounded() {
        let sessions = BrowserSessions::default();
        let first = sessions.open(TokenRole::Act).unwrap();
        for _ in 0..MAX_SESSIONS {
            sessions.open(TokenRole::Act).unwrap();
        }
        assert!(sessions.find(&first).is_none());
        assert_eq!(sessions.held().len(), MAX_SESSIONS);
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "xa=1; a=2;a = 3".parse().unwrap());
        headers.append(COOKIE, "a=4".parse().unwrap());
        assert_eq!(cookies(&headers, "a").collect::<Vec<_>>(), ["2", "3", "4"]);
    }
}
