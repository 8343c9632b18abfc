//! Errors of TLS and of certificates.

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};

use super::NetworkPlace;

/// The cipher suites and groups that every connection offers.
const OFFERED: &str = "TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305, over the \
                       curves X25519, P-256 and P-384";

/// Advice on adding a certificate authority.
const TRUST: &str = "To trust it, give the authority's certificate, in PEM, as http.tls.ca, or add it to \
                     the file that SSL_CERT_FILE names (NODE_EXTRA_CA_CERTS is not read)";

/// Returns the sentence of an error of TLS.
pub(super) fn sentence(error: &Error, place: &NetworkPlace) -> String {
    match error {
        Error::InvalidCertificate(error) => {
            format!("the certificate of {place} {}", certificate(error))
        }
        Error::InvalidCertRevocationList(_) => {
            format!("the certificate of {place} could not be checked: a revocation list is invalid")
        }
        Error::NoCertificatesPresented => format!("{place} presented no certificate"),
        other => format!("the TLS handshake with {place} failed: {}", handshake(other)),
    }
}

fn handshake(error: &Error) -> String {
    let text = match error {
        // What does not begin with a TLS record is another protocol.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge,
        ) => "the server speaks HTTP or another protocol, not TLS, on this port",
        Error::AlertReceived(alert) => return alert_received(*alert),
        Error::PeerIncompatible(reason) => return incompatible(reason),
        Error::NoApplicationProtocol => "the server speaks neither HTTP/2 nor HTTP/1.1 over TLS",
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => {
            "the server does not follow the TLS protocol. Something between this machine and the \
             server may also change the connection"
        }
        Error::DecryptError => "a message could not be decrypted: the connection was damaged",
        Error::UnsupportedNameType => "the host name cannot be checked against a certificate",
        Error::FailedToGetCurrentTime => "this machine's clock cannot be read",
        Error::FailedToGetRandomBytes => "this machine has no random numbers",
        Error::InconsistentKeys(_) => "the client certificate does not belong to its key",
        Error::InvalidEncryptedClientHello(_) => {
            "the server's configuration of Encrypted Client Hello is invalid"
        }
        _ => "TLS could not be set up on this machine",
    };
    text.to_owned()
}

fn alert_received(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => format!(
            "the server shares no cipher suite, key exchange or curve with this client, which \
             offers {OFFERED}. A server that knows only CBC suites, RSA or DHE key exchange, or \
             curve P-521, needs one of these enabled; one that asks for a client certificate may say \
             the same"
        ),
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
            "the server speaks no version of TLS from 1.2 on: older ones are not secure".to_owned()
        }
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server asks for a client certificate".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateUnobtainable
        | AlertDescription::BadCertificateStatusResponse
        | AlertDescription::BadCertificateHashValue
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            "the server does not accept the client certificate, or asks for one that is missing"
                .to_owned()
        }
        AlertDescription::UnrecognisedName => "the server does not know this host name".to_owned(),
        AlertDescription::NoApplicationProtocol => {
            "the server speaks neither HTTP/2 nor HTTP/1.1 over TLS".to_owned()
        }
        AlertDescription::InternalError => {
            "the server reports an internal error of its own (perhaps it has no certificate for \
             this host name)"
                .to_owned()
        }
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => {
            "the server ended it".to_owned()
        }
        other => format!("the server refused it (TLS alert {})", u8::from(other)),
    }
}

fn incompatible(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "the server speaks no version of TLS from 1.2 on: older ones are not secure".to_owned()
        }
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "the server asks for a client certificate with a signature that is not known".to_owned()
        }
        _ => format!(
            "the server shares no cipher suite, key exchange, curve or signature with this client, \
             which offers {OFFERED}"
        ),
    }
}

fn certificate(error: &CertificateError) -> String {
    let text = match error {
        CertificateError::Expired => "has expired, or this machine's clock is wrong",
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("expired on {}, or this machine's clock is wrong", date(*not_after));
        }
        CertificateError::NotValidYet => "is not valid yet, or this machine's clock is wrong",
        CertificateError::NotValidYetContext { not_before, .. } => {
            let day = date(*not_before);
            return format!("is not valid before {day}, or this machine's clock is wrong");
        }
        CertificateError::Revoked => "was revoked by its authority",
        CertificateError::UnknownIssuer => {
            return format!(
                "has an unknown issuer: it is self-signed, or of an authority that this machine does \
                 not trust, or the server leaves out an intermediate certificate. {TRUST}"
            );
        }
        CertificateError::NotValidForName => "is not valid for name of this host",
        CertificateError::NotValidForNameContext { expected, presented } => {
            return not_for_name(&expected.to_str(), presented);
        }
        CertificateError::BadEncoding => "cannot be read: it is not valid X.509",
        CertificateError::UnhandledCriticalExtension => {
            "has a critical extension that is not known"
        }
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => {
            "could not be checked for revocation: the revocation data is missing, old or invalid"
        }
        CertificateError::BadSignature => {
            "has a signature that does not hold: the certificate or its authority was changed"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not accepted, such as SHA-1 or a short RSA key"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers (its extended key usage lacks serverAuth)"
        }
        CertificateError::ApplicationVerificationFailure => {
            "has a public key that is none of http.tls.pins"
        }
        CertificateError::Other(OtherError(inner)) => {
            return inner.downcast_ref().map_or_else(other, against_the_rules).to_owned();
        }
        _ => other(),
    };
    text.to_owned()
}

const fn other() -> &'static str {
    "was refused by this machine's check of certificates"
}

fn against_the_rules(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CaUsedAsEndEntity => {
            "is marked as an authority (basicConstraints CA:TRUE), and such a certificate is not \
             accepted from a server: make the self-signed certificate with basicConstraints \
             CA:FALSE (openssl req -x509 -addext basicConstraints=critical,CA:FALSE), or sign it \
             with an authority of its own"
        }
        webpki::Error::EndEntityUsedAsCa => {
            "is signed by a certificate that is not marked as an authority (basicConstraints CA:TRUE)"
        }
        webpki::Error::UnsupportedCertVersion => {
            "is of X.509 version 1: make it anew, of version 3 with a subjectAltName"
        }
        webpki::Error::NameConstraintViolation => {
            "has a name that its authority may not give out (name constraints)"
        }
        webpki::Error::PathLenConstraintViolated | webpki::Error::MaximumPathDepthExceeded => {
            "has a longer chain of authorities than is permitted"
        }
        webpki::Error::CertDistrusted => "is distrusted",
        _ => "does not follow the rules for certificates (X.509)",
    }
}

fn not_for_name(expected: &str, presented: &[String]) -> String {
    const SHOWN: usize = 10;
    let names: Vec<_> = presented.iter().filter_map(|name| plain_name(name)).take(SHOWN).collect();
    let only = match (names.as_slice(), presented.len() > SHOWN) {
        ([], _) => "it names no host (it needs a subjectAltName)".to_owned(),
        (names, false) => format!("it is for {}", names.join(", ")),
        (names, true) => format!("it is for {} and others", names.join(", ")),
    };
    format!("is not valid for name \"{expected}\": {only}")
}

/// Returns the host name or address in the library's notation, `DnsName("example.com")`.
fn plain_name(presented: &str) -> Option<String> {
    const LONGEST: usize = 100;
    let (kind, rest) = presented.split_once('(')?;
    let name = rest.strip_suffix(')')?.trim_matches('"');
    let plain = |c: &char| c.is_ascii_graphic();
    matches!(kind, "DnsName" | "IpAddress")
        .then(|| name.chars().filter(plain).take(LONGEST).collect())
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let day = chrono::DateTime::from_timestamp(seconds, 0).map(|time| time.date_naive());
    day.map_or_else(|| "a day far away".to_owned(), |day| day.to_string())
}
