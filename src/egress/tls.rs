//! TLS as every destination speaks it: aws-lc-rs, TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, and the
//! machine's own certificate authorities.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::{aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::opening::Offer;
use super::progress;
use crate::destinations::{Failure, Phase};
use crate::error::{Error, ErrorKind, Result};

type Verified<T> = std::result::Result<T, rustls::Error>;

/// Opens the machine's certificate authorities.
pub(super) type LoadRoots = fn(Arc<CryptoProvider>) -> Verified<Arc<dyn ServerCertVerifier>>;

/// The certificate authorities of the system. On Linux, `SSL_CERT_FILE` and `SSL_CERT_DIR` replace
/// them.
pub(super) fn system_roots(provider: Arc<CryptoProvider>) -> Verified<Arc<dyn ServerCertVerifier>> {
    Ok(Arc::new(Verifier::new(provider)?))
}

/// The TLS configuration of a client.
pub(super) fn client_config(load: LoadRoots) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let trust = SystemTrust { provider: Arc::clone(&provider), load, roots: OnceLock::new() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the TLS configuration was refused").with_source(error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Hosts whose sessions are remembered, so that their next handshake is a short one.
const SESSIONS: usize = 8192;

/// The TLS configurations of connections of our own.
#[derive(Clone)]
pub(super) struct HttpTls {
    both: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

impl HttpTls {
    /// Derives them from that of a client. They share its sessions.
    pub(super) fn new(config: ClientConfig) -> Self {
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![HTTP1.to_vec()];
        Self { both: Arc::new(config), http1: Arc::new(http1) }
    }

    /// Returns the configuration of a connection to the host of `url`.
    pub(super) fn config(&self, _url: &Url, offer: Offer) -> &Arc<ClientConfig> {
        match offer {
            Offer::Both => &self.both,
            Offer::Http1 => &self.http1,
        }
    }
}

/// Trust in the system's certificate authorities, which are read at the first handshake: a machine
/// without any can still open an engine and send everything that is not https. It decides nothing
/// about a certificate itself.
struct SystemTrust {
    provider: Arc<CryptoProvider>,
    load: LoadRoots,
    roots: OnceLock<Arc<dyn ServerCertVerifier>>,
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
        let roots = self.roots()?;
        roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
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

    /// Asked for when a `ClientHello` is written, in the task of the request: this is how we know
    /// that a handshake has begun.
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
