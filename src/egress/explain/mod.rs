//! Failures of connections as sentences for people: which host and port, what is wrong, and what to
//! do. Pure, and the only place that reads the errors of the network's libraries.
//!
//! **Invariant:** no sentence holds a library's own text, its debug output, an error number, a path,
//! a query or a password.

mod io;
mod protocol;
mod tls;

use std::error::Error as StdError;
use std::fmt;

use url::{Host, Url};

use super::Egress;
use crate::delivery::Phase;

pub(super) use protocol::{TooManyFrames, TooMuchHead};

/// The host and port of a connection, and the proxy that it goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlace {
    host: String,
    port: u16,
    proxy: Option<String>,
}

impl NetworkPlace {
    /// Returns the place that requests for `url` go to through `egress`.
    #[must_use]
    pub fn of(url: &Url, egress: &Egress) -> Self {
        let proxy =
            egress.policy().proxy_of(url).map(|proxy| Self::direct(&proxy.url()).to_string());
        Self { proxy, ..Self::direct(url) }
    }

    /// Returns the place of a host and port that are reached without a proxy.
    #[must_use]
    pub fn at(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, proxy: None }
    }

    /// Returns the place of a URL that is reached without a proxy.
    #[must_use]
    pub fn direct(url: &Url) -> Self {
        let host = match url.host() {
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => url.host_str().unwrap_or_default().to_owned(),
        };
        let port = url.port_or_known_default().unwrap_or_else(|| default_port(url.scheme()));
        Self { host, port, proxy: None }
    }

    /// Returns the proxy, as messages name it.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| format!("the proxy {proxy}"))
    }

    /// Returns the one that this machine connects to.
    fn next(&self) -> String {
        self.proxy().unwrap_or_else(|| self.to_string())
    }
}

/// Returns the port of proxies that name none (RFC 1928).
fn default_port(scheme: &str) -> u16 {
    if scheme.starts_with("socks") { 1080 } else { 80 }
}

impl fmt::Display for NetworkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// Returns a sentence about a request without a complete response, from the first cause that is
/// more specific than the phase.
#[must_use]
pub fn explain(error: &(dyn StdError + 'static), phase: Phase, place: &NetworkPlace) -> String {
    let causes = || super::failure::error_chain(error);
    let tls = causes().find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let sentence = tls.map(|error| tls::sentence(error, place));
    sentence
        .or_else(|| causes().find_map(|cause| protocol::sentence(cause, phase, place)))
        .or_else(|| causes().find_map(|cause| io::sentence(cause.downcast_ref()?, phase, place)))
        .unwrap_or_else(|| general(phase, place))
}

/// Returns the sentence of a failure of which no more is known.
fn general(phase: Phase, place: &NetworkPlace) -> String {
    match (phase, place.proxy()) {
        (Phase::Dns, _) => format!("the host name of {place} did not resolve"),
        (Phase::Connect, Some(proxy)) => format!("{proxy} opened no connection to {place}"),
        (Phase::Connect, None) => format!("no connection to {place} could be opened"),
        (Phase::Tls, _) => format!("the TLS handshake with {place} failed"),
        (Phase::Request | Phase::Response, _) => {
            format!("the connection to {place} broke before the response was there")
        }
        (Phase::Body, _) => {
            format!("the connection to {place} broke before the response's body was over")
        }
    }
}

#[cfg(test)]
mod tests;
