//! Encrypted connections to PostgreSQL.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, Algorithm};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use super::framing::Framed;
use super::server::Check;

/// Returns the configuration of connections that trust these authorities, given in PEM, and no
/// others.
///
/// # Errors
/// The reason for which they cannot be used.
pub(crate) fn trusting(pem: &str, check: Check) -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "is not PEM")?;
        store.add(certificate).map_err(|_| "holds a certificate that no authority can have")?;
    }
    if store.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    let provider = Arc::new(default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
        .build()
        .map_err(|error| format!("cannot be used: {error}"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Host => inner,
        Check::Authority => Arc::new(AnyHost(inner)),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot be used: {error}"))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Accepts the certificates of an authority whatever the host is called (`sslmode=verify-ca`).
#[derive(Debug)]
struct AnyHost(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::Error::InvalidCertificate;
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // The name is checked last, once the chain of certificates has been.
            Err(InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Begins the encryption once the server agreed to it.
pub(crate) struct Encrypt {
    pub config: Arc<ClientConfig>,
    /// The host that the certificate is held against.
    pub host: String,
}

/// A connection that is encrypted.
pub struct Encrypted(Framed<tokio_rustls::client::TlsStream<TcpStream>>);

impl TlsConnect<Framed<TcpStream>> for Encrypt {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Framed<TcpStream>) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            let connector = TlsConnector::from(self.config);
            let (max_rows, process) = (stream.max_rows(), stream.process());
            let stream = connector.connect(name, stream.into_inner()).await?;
            let stream = Framed::new(stream, false).with_max_rows(max_rows);
            Ok(Encrypted(stream.with_process(process)))
        })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.as_inner().get_ref().1.peer_certificates();
        let hash = certificates.and_then(|chain| end_point(chain.first()?));
        hash.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// Returns the hash of a certificate that ties a login to it: with the hash function of its
/// signature, but SHA-256 for those that are broken (RFC 5929, 4.1).
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (certificate_body, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate_body, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (oid, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    Some(digest::digest(hash_of(oid)?, certificate).as_ref().to_vec())
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `1.2.840.113549.1.1`: RSA with a padding of PKCS #1.
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// `1.2.840.10045.4`: ECDSA.
const ECDSA: [u8; 6] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

fn hash_of(oid: &[u8]) -> Option<&'static Algorithm> {
    if let Some(rest) = oid.strip_prefix(&RSA) {
        return match rest {
            [4 | 5 | 11] => Some(&digest::SHA256),
            [12] => Some(&digest::SHA384),
            [13] => Some(&digest::SHA512),
            _ => None,
        };
    }
    match oid.strip_prefix(&ECDSA)? {
        [1] | [3, 2] => Some(&digest::SHA256),
        [3, 3] => Some(&digest::SHA384),
        [3, 4] => Some(&digest::SHA512),
        _ => None,
    }
}

/// Splits off the first element of DER, if it has this tag: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    (found == tag).then_some(())?;
    rest.split_at_checked(length)
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the outline of a certificate: what is signed, the signature's algorithm and the
    /// signature.
    fn certificate(oid: &[u8], filling: usize) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], content].concat()
        };
        let body = [
            wrap(SEQUENCE, &vec![0; filling]),
            wrap(SEQUENCE, &wrap(OBJECT_IDENTIFIER, oid)),
            wrap(3, &[0, 1, 2]),
        ];
        wrap(SEQUENCE, &body.concat())
    }

    #[test]
    fn a_login_is_tied_to_the_hash_of_the_certificate() {
        let with = |family: &[u8], rest: &[u8]| [family, rest].concat();
        for (oid, algorithm) in [
            (with(&RSA, &[5]), Some(&digest::SHA256)),
            (with(&RSA, &[11]), Some(&digest::SHA256)),
            (with(&RSA, &[12]), Some(&digest::SHA384)),
            (with(&ECDSA, &[3, 2]), Some(&digest::SHA256)),
            (with(&ECDSA, &[3, 4]), Some(&digest::SHA512)),
            (vec![0x2b, 0x65, 0x70], None),
        ] {
            let certificate = certificate(&oid, 900);
            let expected = algorithm.map(|of| digest::digest(of, &certificate).as_ref().to_vec());
            assert_eq!(end_point(&certificate), expected, "{oid:?}");
        }
        let whole = certificate(&with(&RSA, &[11]), 10);
        for end in 0..20 {
            assert_eq!(end_point(&whole[..end]), None);
        }
    }

    #[test]
    fn what_holds_no_authority_is_refused() {
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(trusting(pem, Check::Host).is_err(), "{pem}");
        }
    }
}
