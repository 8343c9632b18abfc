//! The `http.tls` options: authorities, client certificates and pins, for all hosts or for some.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::pattern::Pattern;
use crate::error::{Error, ErrorKind, Result};

/// TLS of connections to some hosts, as the operator spells it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificate authorities that are trusted beside the machine's, in PEM.
    pub ca: Option<String>,
    /// The client certificate and its chain, in PEM.
    pub cert: Option<String>,
    /// The key of the client certificate, in PEM.
    pub key: Option<String>,
    /// SHA-256 of public keys, in base64, one of which the server's certificate has to have.
    pub pins: Vec<String>,
}

impl TlsOptions {
    /// Checks that the certificates, keys and pins can be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`], as for `http.tls`.
    pub fn check(&self) -> Result<()> {
        Trust::read(self).map(drop)
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("TlsOptions")
            .field("ca", &self.ca)
            .field("cert", &self.cert)
            .field("pins", &self.pins)
            .finish_non_exhaustive()
    }
}

/// The case of header names over HTTP/1.1; HTTP/2 has lower case alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeaderCase {
    /// Lower case.
    #[default]
    Lower,
    /// As the step wrote them, with `Title-Case` for those that it did not write.
    AsGiven,
}

/// The same for all hosts, and for those that have options of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpOptions {
    /// True if HTTP/2 is offered.
    pub offers_http2: bool,
    /// The case of header names.
    pub header_case: HeaderCase,
    /// TLS with hosts that have no options of their own.
    pub tls: TlsOptions,
    /// Hosts with options of their own; the first that fits counts.
    pub hosts: Vec<(Pattern, TlsOptions)>,
}

impl HttpOptions {
    /// Options with HTTP/2, where a server offers it, and nothing else.
    #[must_use]
    pub fn http2() -> Self {
        Self { offers_http2: true, ..Self::default() }
    }
}

/// The checked options.
pub(super) struct Trust {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    pub(super) pins: Arc<[[u8; 32]]>,
}

impl Trust {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] for a member that is not what it should be; no message repeats it.
    pub(super) fn read(options: &TlsOptions) -> Result<Self> {
        let authorities = options.ca.as_deref().map(|pem| certificates("ca", pem)).transpose()?;
        let identity = match (&options.cert, &options.key) {
            (Some(cert), Some(key)) => Some((certificates("cert", cert)?, private_key(key)?)),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("cert", "needs http.tls.key beside it")),
            (None, Some(_)) => return Err(invalid("key", "needs http.tls.cert beside it")),
        };
        let pins = options.pins.iter().map(|pin| read_pin(pin)).collect::<Result<Vec<_>>>()?;
        Ok(Self { authorities: authorities.unwrap_or_default(), identity, pins: pins.into() })
    }
}

/// Returns whether a certificate's public key is one of the pinned ones.
pub(super) fn is_pinned(pins: &[[u8; 32]], certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    let hash = digest(&SHA256, &certificate.subject_public_key_info());
    pins.iter().any(|pin| pin == hash.as_ref())
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(invalid(option, "holds no certificate in PEM")),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| invalid("key", "holds no private key in PEM (an encrypted one is not read)"))
}

/// Returns a pin as in `sha256/BASE64`, with or without the beginning.
fn read_pin(pin: &str) -> Result<[u8; 32]> {
    let text = pin.strip_prefix("sha256/").unwrap_or(pin);
    let read = |text: &str| STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    // A hash may begin with a slash itself; curl writes one more before it.
    let bytes = read(text).or_else(|| text.strip_prefix('/').and_then(read));
    bytes.ok_or_else(|| invalid("pins", "must be SHA-256 hashes of public keys, in base64"))
}

pub(super) fn invalid(option: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidOption, format!("http.tls.{option}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_may_begin_with_a_slash() {
        for first in [0x00, 0xfc, 0xff] {
            let hash = [first; 32];
            let text = STANDARD.encode(hash);
            assert_eq!(text.starts_with('/'), first >= 0xfc);
            for pin in [text.clone(), format!("sha256/{text}"), format!("sha256//{text}")] {
                assert_eq!(read_pin(&pin).unwrap(), hash, "{pin}");
            }
        }
        for pin in ["", "sha256/", "sha256/x", "md5/AAAA"] {
            assert!(read_pin(pin).is_err(), "{pin}");
        }
    }
}
