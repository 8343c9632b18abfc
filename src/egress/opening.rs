//! Opening a connection to the host of a URL: lookup, TCP, TLS.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::handshakes::Handshakes;
use super::lookup::Lookup;
use super::policy::Policy;
use super::progress::{self, Progress};
use super::resolver::permitted;
use super::stream::Stream;
use super::tcp;
use super::tls::HttpTls;
use crate::delivery::{Failure, Phase};
use crate::error::ErrorKind;

use super::connections::BoxError;

/// The protocols that a connection over TLS may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// HTTP/2 and HTTP/1.1.
    Both,
    /// HTTP/1.1 alone.
    Http1,
}

/// Opens connections to permitted addresses.
pub(super) struct Opener {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) tls: HttpTls,
    pub(super) handshakes: Handshakes,
}

impl Opener {
    /// Opens a connection, over TLS if the URL requires it.
    ///
    /// # Errors
    ///
    /// A boxed [`Failure`] from the policy or the lookup, or an I/O error.
    pub(super) async fn open(&self, url: &Url, offer: Offer) -> Result<Stream, BoxError> {
        progress::enter(Phase::Connect);
        let stream = self.connect(url).await?;
        let stream = if url.scheme() == "https" {
            let config = self.tls.config(url, offer);
            let connector = TlsConnector::from(Arc::clone(config));
            let handshake = connector.connect(server_name(url)?, stream);
            Stream::Tls(Box::new(self.handshakes.run(handshake).await?))
        } else {
            Stream::Plain(stream)
        };
        if let Some(progress) = Progress::current() {
            progress.connected();
        }
        Ok(stream)
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream, BoxError> {
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses = self.addresses(url).await?;
        addresses.iter().try_for_each(|ip| self.policy.check_socket(*ip, port))?;
        Ok(tcp::connect_once(&addresses, port, self.policy.local_address()).await?)
    }

    /// Returns the addresses that may be connected to. One that is written in the URL was admitted
    /// with it.
    async fn addresses(&self, url: &Url) -> Result<Vec<IpAddr>, Failure> {
        match url.host() {
            Some(Host::Domain(name)) => permitted(&self.policy, self.lookup.as_ref(), name).await,
            Some(Host::Ipv4(ip)) => Ok(vec![IpAddr::V4(ip)]),
            Some(Host::Ipv6(ip)) => Ok(vec![IpAddr::V6(ip)]),
            None => Err(no_host()),
        }
    }
}

fn no_host() -> Failure {
    Failure::new(ErrorKind::InvalidUrl, "the URL has no host")
}

/// Returns the name that the certificate has to be for.
fn server_name(url: &Url) -> Result<ServerName<'static>, Failure> {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).map_err(|_| {
                let message = "the host name of the URL is not one that a certificate can be for";
                Failure::new(ErrorKind::InvalidUrl, message)
            })
        }
        Some(Host::Ipv4(ip)) => Ok(ServerName::from(IpAddr::V4(ip))),
        Some(Host::Ipv6(ip)) => Ok(ServerName::from(IpAddr::V6(ip))),
        None => Err(no_host()),
    }
}
