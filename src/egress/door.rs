//! The door: what a destination holds to reach the network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{ClientBuilder, redirect, retry};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::connections::Connections;
use super::connector::ReportLayer;
use super::explain::{Place, explain};
use super::lookup::Lookup;
use super::policy::Policy;
use super::progress::Progress;
use super::resolver::{PolicyResolver, addresses_of, permitted};
use super::tcp;
use super::tls::{HttpTls, LoadRoots, client_config, system_roots};
use super::trust::HttpOptions;
use crate::destinations::{Failure, Phase};
use crate::error::{Error, ErrorKind, Result};

/// The policy, and the means to connect under it. Clones are the same door.
#[derive(Clone)]
pub struct Door {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Arc<dyn Lookup>,
    load_roots: LoadRoots,
}

impl Door {
    /// A door with this policy, for names that `lookup` knows.
    #[must_use]
    pub fn new(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy: Arc::new(policy), lookup, load_roots: system_roots }
    }

    /// A client that connects to permitted addresses only, from the operator's local address and
    /// through the operator's proxy. It neither follows redirects nor retries, keeps no cookies,
    /// and reads no proxy from the environment. Time-outs, pool and headers are the caller's.
    ///
    /// **Invariant:** the caller asks [`Door::admit`] before every request it sends with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] when the client refuses the proxy, [`ErrorKind::Internal`] when
    /// TLS cannot be set up at all.
    pub fn client_builder(&self) -> Result<ClientBuilder> {
        let resolver =
            PolicyResolver { policy: Arc::clone(&self.policy), lookup: Arc::clone(&self.lookup) };
        let builder = ClientBuilder::new()
            .tls_backend_preconfigured(client_config(self.load_roots)?)
            .dns_resolver(resolver)
            .connector_layer(ReportLayer)
            .local_address(self.policy.local_address())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        let Some(proxy) = self.policy.proxy() else { return Ok(builder.no_proxy()) };
        let all = reqwest::Proxy::all(proxy.url()).map_err(|_| {
            // Without its source, which may repeat the URL and so the password in it.
            Error::new(ErrorKind::InvalidOption, "egress.proxy: the client refuses this proxy")
        })?;
        let proxy = if self.policy.has_direct_hosts() {
            let policy = Arc::clone(&self.policy);
            reqwest::Proxy::custom(move |url| Some(policy.proxy_of(url)?.url()))
        } else {
            all
        };
        Ok(builder.proxy(proxy))
    }

    /// Connections of our own for HTTP, each closed after `idle` without an exchange, for requests
    /// that do not go [through the proxy](Self::is_direct).
    ///
    /// **Invariant:** the caller asks [`Door::admit`] before every request it sends with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] for certificates that cannot be used, [`ErrorKind::Internal`] when
    /// TLS cannot be set up at all.
    pub fn connections(&self, idle: Duration, options: &HttpOptions) -> Result<Connections> {
        let tls = HttpTls::new(self.load_roots, options)?;
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Ok(Connections::new(policy, lookup, tls, idle))
    }

    /// Returns whether any request goes through a proxy.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.policy.proxy().is_some()
    }

    /// Returns whether requests for `url` go without the proxy.
    #[must_use]
    pub fn is_direct(&self, url: &Url) -> bool {
        self.policy.proxy_of(url).is_none()
    }

    /// Decides over a URL before a request or a redirect hop goes there. Without a proxy, a name's
    /// addresses are checked as they are connected to. A proxy does the connecting itself, so then
    /// the name is resolved here, and all of its addresses must be permitted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`], or [`ErrorKind::Dns`] when the name has to be resolved here and
    /// does not.
    pub async fn admit(&self, url: &Url) -> std::result::Result<(), Failure> {
        self.policy.check_url(url)?;
        match url.host() {
            Some(Host::Domain(name)) if !self.is_direct(url) => self.admit_behind_proxy(name).await,
            _ => Ok(()),
        }
    }

    /// Where a host is that does not speak HTTP: the addresses that may be connected to, at least
    /// one. The proxy is not for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`], [`ErrorKind::Dns`].
    pub async fn endpoints(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<Vec<SocketAddr>, Failure> {
        self.policy.check_endpoint(host, port)?;
        let addresses = permitted(&self.policy, self.lookup.as_ref(), host).await?;
        addresses.iter().try_for_each(|ip| self.policy.check_socket(*ip, port))?;
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// Connects to a host that does not speak HTTP, at an address that is permitted. The proxy is
    /// not for it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`], [`ErrorKind::Dns`], [`ErrorKind::Connect`].
    pub async fn connect(&self, host: &str, port: u16) -> std::result::Result<TcpStream, Failure> {
        let endpoints = self.endpoints(host, port).await?;
        let addresses: Vec<_> = endpoints.iter().map(SocketAddr::ip).collect();
        tcp::connect(&addresses, port, self.policy.local_address()).await.map_err(|error| {
            let message = explain(&error, Phase::Connect, &Place::at(host, port));
            Failure::new(ErrorKind::Connect, message).during(Phase::Connect)
        })
    }

    /// How to encrypt a connection that does not speak HTTP.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when TLS cannot be set up at all.
    pub fn tls(&self) -> Result<ClientConfig> {
        let mut config = client_config(self.load_roots)?;
        // The names are those of HTTP.
        config.alpn_protocols.clear();
        Ok(config)
    }

    /// The policy of this door.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same door, trusting other certificate authorities than the machine's.
    #[cfg(test)]
    pub(crate) fn trusting(mut self, load_roots: LoadRoots) -> Self {
        self.load_roots = load_roots;
        self
    }

    async fn admit_behind_proxy(&self, name: &str) -> std::result::Result<(), Failure> {
        if self.policy.opens_every_address(name) {
            return Ok(());
        }
        let addresses = addresses_of(self.lookup.as_ref(), name).await;
        if let Some(progress) = Progress::current() {
            progress.connected();
        }
        let check = |ip: IpAddr| self.policy.check_address(name, ip);
        addresses?.into_iter().try_for_each(check).map_err(|failure| failure.during(Phase::Dns))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("policy", &self.policy).finish_non_exhaustive()
    }
}
