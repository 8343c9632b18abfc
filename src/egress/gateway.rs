//! The gateway through which a destination reaches the network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{ClientBuilder, redirect, retry};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::client::Client;
use super::connections::Connections;
use super::connector::ReportLayer;
use super::explain::{NetworkPlace, explain};
use super::lookup::Lookup;
use super::policy::Policy;
use super::progress::{self, Progress};
use super::resolver::{PolicyResolver, addresses_of, permitted};
use super::tcp;
use super::tls::{HttpTls, LoadRoots, client_config, client_config_of, system_roots};
use super::trust::{HttpOptions, TlsOptions};
use crate::delivery::{Failure, Phase};
use crate::error::{Error, ErrorKind, Result};

/// The policy, and the means to connect under it. Clones share their state.
#[derive(Clone)]
pub struct Egress {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Arc<dyn Lookup>,
    load_roots: LoadRoots,
}

impl Egress {
    /// Returns a gateway with this policy that resolves names with `lookup`.
    #[must_use]
    pub fn new(policy: Policy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy: Arc::new(policy), lookup, load_roots: system_roots }
    }

    /// Returns a general client that connects to permitted addresses only, from the operator's
    /// local address and through the operator's proxy. It neither follows redirects nor retries,
    /// keeps no cookies, and reads no proxy from the environment. Time-outs, pool and headers are
    /// the caller's.
    ///
    /// **Invariant:** the caller asks [`Egress::check_url`] before every request it sends with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] when the client refuses the proxy, [`ErrorKind::Internal`] when
    /// TLS cannot be set up at all.
    pub(crate) fn client_builder(&self) -> Result<ClientBuilder> {
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

    /// Returns a client for HTTP with connections of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] for certificates or a proxy that cannot be used,
    /// [`ErrorKind::Internal`] when TLS cannot be set up at all.
    pub fn client(&self, options: &HttpOptions) -> Result<Client> {
        Client::new(self.clone(), options)
    }

    pub(super) fn connections(&self, idle: Duration, options: &HttpOptions) -> Result<Connections> {
        let tls = HttpTls::new(self.load_roots, options)?;
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Ok(Connections::new(policy, lookup, tls, options.header_case, idle))
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
    pub async fn check_url(&self, url: &Url) -> std::result::Result<(), Failure> {
        self.policy.check_url(url)?;
        match url.host() {
            Some(Host::Domain(name)) if !self.is_direct(url) => {
                let port = url.port_or_known_default().unwrap_or_default();
                self.admit_behind_proxy(name, port).await
            }
            _ => Ok(()),
        }
    }

    /// Returns the permitted addresses of a host that does not speak HTTP, at least one. The proxy
    /// is not used.
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
        progress::enter(Phase::Connect);
        tcp::connect(&addresses, port, self.policy.local_address()).await.map_err(|error| {
            let message = explain(&error, Phase::Connect, &NetworkPlace::at(host, port));
            Failure::new(ErrorKind::Connect, message).during(Phase::Connect)
        })
    }

    /// Connects to a host that the operator alone names, and no step can: any address is permitted,
    /// so that `egress.allow` need not open it to steps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dns`], [`ErrorKind::Connect`].
    pub async fn connect_operator(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<TcpStream, Failure> {
        let addresses = addresses_of(self.lookup.as_ref(), host).await?;
        progress::enter(Phase::Connect);
        tcp::connect_once(&addresses, port, self.policy.local_address()).await.map_err(|error| {
            let message = explain(&error, Phase::Connect, &NetworkPlace::at(host, port));
            Failure::new(ErrorKind::Connect, message).during(Phase::Connect)
        })
    }

    /// Returns the TLS configuration for a connection that does not speak HTTP.
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

    /// Returns the same, with certificate authorities, a client certificate and pins of the
    /// operator's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] for certificates that cannot be used, [`ErrorKind::Internal`] when
    /// TLS cannot be set up at all.
    pub fn tls_trusting(&self, options: &TlsOptions) -> Result<ClientConfig> {
        let mut config = client_config_of(self.load_roots, options)?;
        config.alpn_protocols.clear();
        Ok(config)
    }

    /// Returns the policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns a gateway that trusts other certificate authorities than the machine's.
    #[cfg(test)]
    pub(crate) fn trusting(mut self, load_roots: LoadRoots) -> Self {
        self.load_roots = load_roots;
        self
    }

    async fn admit_behind_proxy(&self, name: &str, port: u16) -> std::result::Result<(), Failure> {
        let may_be_own = self.policy.self_addresses().has_port(port);
        if self.policy.opens_every_address(name) && !may_be_own {
            return Ok(());
        }
        let addresses = addresses_of(self.lookup.as_ref(), name).await;
        if let Some(progress) = Progress::current() {
            progress.connected();
        }
        let check = |ip: IpAddr| {
            self.policy.check_address(name, ip)?;
            self.policy.check_socket(ip, port)
        };
        addresses?.into_iter().try_for_each(check).map_err(|failure| failure.during(Phase::Dns))
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("policy", &self.policy).finish_non_exhaustive()
    }
}
