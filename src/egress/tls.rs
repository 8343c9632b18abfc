//! TLS as every destination speaks it: aws-lc-rs, TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, and the
//! machine's own certificate authorities.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::opening::Offer;
use super::pattern::Pattern;
use super::progress;
use super::trust::{HttpOptions, TlsOptions, Trust, invalid, is_pinned};
use crate::delivery::{Failure, Phase};
use crate::error::{Error, ErrorKind, Result};

type Verified<T> = std::result::Result<T, rustls::Error>;

/// Opens the machine's certificate authorities.
pub(super) type LoadRoots = fn(Arc<CryptoProvider>) -> Verified<Arc<dyn ServerCertVerifier>>;

/// Returns the certificate authorities of the system. On Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// replace them.
pub(super) fn system_roots(provider: Arc<CryptoProvider>) -> Verified<Arc<dyn ServerCertVerifier>> {
    Ok(Arc::new(Verifier::new(provider)?))
}

/// Returns the TLS configuration of a client.
pub(super) fn client_config(load: LoadRoots) -> Result<ClientConfig> {
    client_config_of(load, &TlsOptions::default())
}

/// Returns the TLS configuration of a client with options of its own.
pub(super) fn client_config_of(load: LoadRoots, options: &TlsOptions) -> Result<ClientConfig> {
    configure(load, &Arc::default(), Trust::read(options)?)
}

/// The machine's authorities, read once.
type Roots = Arc<OnceLock<Arc<dyn ServerCertVerifier>>>;

fn configure(load: LoadRoots, roots: &Roots, trust: Trust) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let own = own_roots(&provider, trust.authorities)?;
    let roots = Arc::clone(roots);
    let verifier =
        SystemTrust { provider: Arc::clone(&provider), load, roots, own, pins: trust.pins };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the TLS configuration was refused").with_source(error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match trust.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|_| invalid("key", "is not the key of http.tls.cert"))?,
    };
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

/// Returns the verifier of the operator's own authorities.
fn own_roots(
    provider: &Arc<CryptoProvider>,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<Option<Arc<WebPkiServerVerifier>>> {
    if authorities.is_empty() {
        return Ok(None);
    }
    let unusable = || invalid("ca", "holds a certificate that no authority can have");
    let mut store = RootCertStore::empty();
    for authority in authorities {
        store.add(authority).map_err(|_| unusable())?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map(Some)
        .map_err(|_| unusable())
}

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Hosts whose sessions are remembered, so that their next handshake is a short one.
const SESSIONS: usize = 8192;

/// The TLS configurations of direct connections.
pub(super) struct HttpTls {
    general: Configs,
    hosts: Vec<(Pattern, Configs)>,
}

/// The configurations of one host. They share its sessions.
struct Configs {
    both: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

impl HttpTls {
    /// Makes them from the options.
    pub(super) fn new(load: LoadRoots, options: &HttpOptions) -> Result<Self> {
        let roots = Roots::default();
        let configs = |tls: &TlsOptions| {
            let config = configure(load, &roots, Trust::read(tls)?)?;
            let mut http1 = config.clone();
            http1.alpn_protocols = vec![HTTP1.to_vec()];
            let http1 = Arc::new(http1);
            let both = if options.offers_http2 { Arc::new(config) } else { Arc::clone(&http1) };
            Ok::<_, Error>(Configs { both, http1 })
        };
        let hosts = options.hosts.iter().map(|(host, tls)| Ok((host.clone(), configs(tls)?)));
        Ok(Self { general: configs(&options.tls)?, hosts: hosts.collect::<Result<_>>()? })
    }

    /// Returns the configuration of a connection to the host of `url`.
    pub(super) fn config(&self, url: &Url, offer: Offer) -> &Arc<ClientConfig> {
        let host = url.host();
        let mut own = self.hosts.iter();
        let own = own.find(|(pattern, _)| host.as_ref().is_some_and(|host| pattern.is_host(host)));
        let configs = own.map_or(&self.general, |(_, configs)| configs);
        match offer {
            Offer::Both => &configs.both,
            Offer::Http1 => &configs.http1,
        }
    }
}

/// Trust in the system's certificate authorities, which are read at the first handshake: a machine
/// without any can still open an engine and send everything that is not https. It decides nothing
/// about a certificate itself.
struct SystemTrust {
    provider: Arc<CryptoProvider>,
    load: LoadRoots,
    roots: Roots,
    /// The operator's own authorities.
    own: Option<Arc<WebPkiServerVerifier>>,
    pins: Arc<[[u8; 32]]>,
}

impl SystemTrust {
    fn roots(&self) -> Verified<&Arc<dyn ServerCertVerifier>> {
        if let Some(roots) = self.roots.get() {
            return Ok(roots);
        }
        // Not remembered when it fails: a missing package can be installed while we run.
        let roots = (self.load)(Arc::clone(&self.provider)).map_err(|_| no_roots())?;
        Ok(self.roots.get_or_init(|| roots))
    }
}

fn is_unknown_issuer(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
}

fn no_roots() -> rustls::Error {
    let message = "this machine has no certificate authorities to check an https server against: \
                   install the ca-certificates package, or set SSL_CERT_FILE to a PEM file of them";
    let failure = Failure::new(ErrorKind::Tls, message).during(Phase::Tls);
    rustls::Error::Other(OtherError(Arc::new(failure)))
}

impl ServerCertVerifier for SystemTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Verified<ServerCertVerified> {
        let verify = |roots: &dyn ServerCertVerifier| {
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let own = self.own.as_ref().map(|own| verify(own.as_ref()));
        let verified = match own {
            Some(Ok(verified)) => verified,
            // For a certificate of a private authority, that verifier has the most precise error.
            Some(Err(error)) if !is_unknown_issuer(&error) => return Err(error),
            _ => verify(self.roots()?.as_ref())?,
        };
        if !self.pins.is_empty() && !is_pinned(&self.pins, end_entity) {
            let error = CertificateError::ApplicationVerificationFailure;
            return Err(rustls::Error::InvalidCertificate(error));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Verified<HandshakeSignatureValid> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    /// Called when a `ClientHello` is written, in the task of the request: this marks the start of
    /// a handshake.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        progress::enter(Phase::Tls);
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for SystemTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTrust").finish_non_exhaustive()
    }
}
