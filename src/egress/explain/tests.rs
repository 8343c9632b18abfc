//! Every kind of error, through the table: each sentence names the place, and none repeats a name
//! from a library.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::VerifierBuilderError;
use rustls::{
    AlertDescription, CertRevocationListError, CertificateError, ContentType,
    EncryptedClientHelloError, Error, ExtendedKeyPurpose, HandshakeType, InconsistentKeys,
    InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
};

use super::*;

fn place() -> NetworkPlace {
    NetworkPlace::direct(
        &Url::parse("https://user:hunter2@example.com/secret?token=hunter2").unwrap(),
    )
}

fn behind_proxy() -> NetworkPlace {
    NetworkPlace { proxy: Some("proxy.example port 3128".to_owned()), ..place() }
}

/// Checks what all sentences have in common.
fn checked(sentence: &str) {
    assert!(
        sentence.contains("example.com port 443") || sentence.contains("proxy.example port 3128"),
        "{sentence}"
    );
    for word in sentence.split(|c: char| !c.is_ascii_alphanumeric()) {
        let known =
            ["ChaCha20", "subjectAltName", "basicConstraints", "serverAuth", "localAddress", "KiB"];
        let hump = word
            .as_bytes()
            .windows(2)
            .any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
        assert!(!hump || known.contains(&word), "{word} in: {sentence}");
    }
    for text in ["hunter2", "secret", "os error", "Some(", "{", "}", "  "] {
        assert!(!sentence.contains(text), "{text} in: {sentence}");
    }
}

fn certificate_errors() -> Vec<CertificateError> {
    use CertificateError as C;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000));
    let webpki = [
        webpki::Error::CaUsedAsEndEntity,
        webpki::Error::EndEntityUsedAsCa,
        webpki::Error::UnsupportedCertVersion,
        webpki::Error::NameConstraintViolation,
        webpki::Error::PathLenConstraintViolated,
        webpki::Error::MaximumPathDepthExceeded,
        webpki::Error::CertDistrusted,
        webpki::Error::MalformedExtensions,
        webpki::Error::InvalidSerialNumber,
    ];
    let other = |error: webpki::Error| C::Other(OtherError(Arc::new(error)));
    let names = |presented: Vec<String>| C::NotValidForNameContext {
        expected: ServerName::try_from("example.com").unwrap(),
        presented,
    };
    let mut errors: Vec<_> = webpki.into_iter().map(other).collect();
    errors.extend([
        C::BadEncoding,
        C::Expired,
        C::ExpiredContext { time, not_after: time },
        C::NotValidYet,
        C::NotValidYetContext { time, not_before: time },
        C::Revoked,
        C::UnhandledCriticalExtension,
        C::UnknownIssuer,
        C::UnknownRevocationStatus,
        C::ExpiredRevocationList,
        C::ExpiredRevocationListContext { time, next_update: time },
        C::BadSignature,
        C::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1],
            supported_algorithms: Vec::new(),
        },
        C::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        },
        C::NotValidForName,
        names(Vec::new()),
        names(vec!["DnsName(\"other.example\")".to_owned(), "DirectoryName".to_owned()]),
        names((0..40).map(|n| format!("IpAddress(10.0.0.{n})")).collect()),
        C::InvalidPurpose,
        C::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: Vec::new(),
        },
        C::InvalidOcspResponse,
        C::ApplicationVerificationFailure,
        C::Other(OtherError(Arc::new(io::Error::other("SomethingElse")))),
    ]);
    errors
}

fn tls_errors() -> Vec<Error> {
    let mut errors: Vec<_> =
        certificate_errors().into_iter().map(Error::InvalidCertificate).collect();
    errors.extend((0..=u8::MAX).map(|code| Error::AlertReceived(AlertDescription::from(code))));
    errors.extend(
        [
            InvalidMessage::InvalidContentType,
            InvalidMessage::UnknownProtocolVersion,
            InvalidMessage::MessageTooLarge,
            InvalidMessage::MissingData("ServerHello"),
            InvalidMessage::TrailingData("ServerHello"),
            InvalidMessage::DuplicateExtension(7),
        ]
        .map(Error::InvalidMessage),
    );
    errors.extend(
        [
            PeerIncompatible::ServerDoesNotSupportTls12Or13,
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            PeerIncompatible::NoCipherSuitesInCommon,
            PeerIncompatible::NoKxGroupsInCommon,
            PeerIncompatible::EcPointsExtensionRequired,
            PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            PeerIncompatible::ServerRejectedEncryptedClientHello(None),
        ]
        .map(Error::PeerIncompatible),
    );
    errors.extend([
        Error::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ApplicationData,
        },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ServerHello],
            got_type: HandshakeType::Finished,
        },
        Error::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired),
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests),
        Error::InvalidCertRevocationList(CertRevocationListError::BadSignature),
        Error::General("SomethingElse".to_owned()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Error::Other(OtherError(Arc::new(VerifierBuilderError::NoRootAnchors))),
    ]);
    errors
}

#[test]
fn every_tls_error_becomes_a_sentence() {
    for error in tls_errors() {
        // As it arrives: inside an error of the system, inside that of a client.
        let wrapped = io::Error::other(io::Error::other(error));
        for phase in Phase::ALL {
            checked(&explain(&wrapped, phase, &place()));
        }
    }
}

#[test]
fn tls_sentences_say_what_to_do() {
    let certificate = |error| Error::InvalidCertificate(error);
    let ca = webpki::Error::CaUsedAsEndEntity;
    for (error, expected) in [
        (certificate(CertificateError::UnknownIssuer), "SSL_CERT_FILE"),
        (certificate(CertificateError::Other(OtherError(Arc::new(ca)))), "CA:FALSE"),
        (Error::AlertReceived(AlertDescription::HandshakeFailure), "ECDHE"),
        (Error::AlertReceived(AlertDescription::ProtocolVersion), "TLS from 1.2 on"),
        (Error::InvalidMessage(InvalidMessage::InvalidContentType), "speaks HTTP"),
        (
            certificate(CertificateError::ExpiredContext {
                time: UnixTime::now(),
                not_after: UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000)),
            }),
            "expired on 2020-09-13",
        ),
        (
            certificate(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("example.com").unwrap(),
                presented: vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(::1)".to_owned()],
            }),
            "is not valid for name \"example.com\": it is for a.example, ::1",
        ),
    ] {
        let sentence = tls::sentence(&error, &place());
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn every_error_of_the_system_becomes_a_sentence() {
    let numbers = (1..134).map(io::Error::from_raw_os_error);
    for error in numbers.chain([io::ErrorKind::UnexpectedEof.into(), io::Error::other("x")]) {
        for phase in Phase::ALL {
            for place in [place(), behind_proxy()] {
                checked(&explain(&error, phase, &place));
            }
        }
    }
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(
        explain(&refused, Phase::Connect, &place()),
        "no connection to example.com port 443: it was refused. No server listens there, or a \
         firewall rejects it"
    );
    assert!(explain(&refused, Phase::Connect, &behind_proxy()).contains("the proxy proxy.example"));
}

#[test]
fn every_reason_of_http2_becomes_a_sentence() {
    for code in 0..16 {
        let error = h2::Error::from(h2::Reason::from(code));
        for place in [place(), behind_proxy()] {
            checked(&explain(&error, Phase::Response, &place));
        }
    }
    checked(&explain(&TooMuchHead, Phase::Response, &place()));
}

#[test]
fn a_place_is_a_host_and_a_port() {
    for (url, expected) in [
        ("http://example.com/x", "example.com port 80"),
        ("https://u:p@[::1]:8443/", "::1 port 8443"),
        ("socks5://10.0.0.1", "10.0.0.1 port 1080"),
    ] {
        assert_eq!(NetworkPlace::direct(&Url::parse(url).unwrap()).to_string(), expected);
    }
}
