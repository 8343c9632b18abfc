//! TLS: the offered versions, the trusted authorities, and a machine without any.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::Acceptor;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::servers::{OK_ONCE, Server, listen, read_head};
use super::{Answers, egress, get};
use crate::delivery::Phase;
use crate::egress::Egress;
use crate::error::ErrorKind;

/// Returns the certificate of `tls.test` and its key: the only one that tests trust.
fn identity() -> &'static (CertificateDer<'static>, Vec<u8>) {
    static IDENTITY: OnceLock<(CertificateDer<'static>, Vec<u8>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["tls.test".to_owned()]).unwrap();
        (made.cert.der().clone(), made.signing_key.serialize_der())
    })
}

/// Returns roots with the authority of `tls.test` alone instead of the system's.
pub(super) fn trust_test_authority(
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(identity().0.clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?)
}

/// Returns an HTTP/1.1 server over TLS as `tls.test`.
pub(super) fn tls_server() -> Server {
    tls_server_on(listen())
}

fn tls_server_on(listener: TcpListener) -> Server {
    let (cert, key) = identity();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    Server::on(listener, move |stream, tell| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
        let mut reader = BufReader::new(StreamOwned::new(session, stream));
        if let Some(head) = read_head(&mut reader)? {
            let _ = tell.send(head);
            reader.get_mut().write_all(OK_ONCE.as_bytes())?;
            reader.get_mut().conn.send_close_notify();
            reader.get_mut().flush()?;
        }
        Ok(())
    })
}

fn door_to(answers: &[&[&str]]) -> Egress {
    egress(Answers::new(answers)).trusting(trust_test_authority)
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to() {
    let server = tls_server();
    let egress = door_to(&[&["127.0.0.1"]]);
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &server.url("https", "tls.test")).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let server = tls_server();
    let client = door_to(&[&["127.0.0.1"]]).client_builder().unwrap().build().unwrap();
    let error = client.get(server.url("https", "other.test")).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
    assert!(server.heard_nothing());
}

#[tokio::test]
async fn http2_and_http1_are_offered() {
    let server = Server::on(listen(), |mut stream, tell| {
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            acceptor.read_tls(&mut stream)?;
            if let Some(accepted) = acceptor.accept().map_err(|(e, _)| std::io::Error::other(e))? {
                break accepted;
            }
        };
        for protocol in accepted.client_hello().alpn().into_iter().flatten() {
            let _ = tell.send(String::from_utf8_lossy(protocol).into_owned());
        }
        Ok(())
    });
    let client = door_to(&[]).client_builder().unwrap().build().unwrap();
    client.get(server.url("https", "127.0.0.1")).send().await.unwrap_err();
    assert_eq!(server.heard.recv().unwrap(), "h2");
    assert_eq!(server.heard.recv().unwrap(), "http/1.1");
}

/// Simulates a machine without `ca-certificates`: its environment must name no authorities.
#[tokio::test]
#[ignore = "is run by the next test, in a process without certificate authorities"]
async fn without_authorities_http_works_and_https_says_what_to_install() {
    let plain = Server::http(OK_ONCE);
    let server = tls_server();
    let egress = egress(Answers::new(&[&["127.0.0.1"]]));
    let client = egress.client_builder().unwrap().build().unwrap();
    assert_eq!(get(&egress, &client, &plain.url("http", "plain.test")).await.unwrap(), "ok");
    let failure = get(&egress, &client, &server.url("https", "tls.test")).await.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (ErrorKind::Tls, Some(Phase::Tls)));
    assert!(failure.message.contains("ca-certificates"), "{}", failure.message);
    assert!(failure.message.contains("SSL_CERT_FILE"), "{}", failure.message);
}

#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_authorities_can_still_send_http() {
    let module = module_path!().split_once("::").unwrap().1;
    let test = "without_authorities_http_works_and_https_says_what_to_install";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", &format!("{module}::{test}")])
        .env("SSL_CERT_FILE", "/nonexistent/authorities.pem")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
