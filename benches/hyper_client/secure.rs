//! The same over TLS: HTTP/1.1 on a connection for each worker, or HTTP/2 on one for all.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Failure, IN_FLIGHT};

/// What a worker sends over.
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Opens the connections: one for each worker, or one that all share.
pub(super) async fn senders(uri: &Uri, ca: &str, is_http2: bool) -> Result<Vec<Sender>, Failure> {
    let mut senders = Vec::new();
    if is_http2 {
        let stream = TokioIo::new(connect(uri, ca, b"h2").await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        Handle::current().spawn(connection);
        senders.extend((0..IN_FLIGHT).map(|_| Sender::Http2(sender.clone())));
        return Ok(senders);
    }
    for _ in 0..IN_FLIGHT {
        let stream = TokioIo::new(connect(uri, ca, b"http/1.1").await?);
        let (sender, connection) = http1::handshake(stream).await?;
        Handle::current().spawn(connection);
        senders.push(Sender::Http1(sender));
    }
    Ok(senders)
}

/// Posts `requests` times from all workers; any answer but 200 is an error.
pub(super) async fn run(
    senders: Vec<Sender>,
    uri: &Uri,
    body: &Bytes,
    requests: usize,
) -> Result<Vec<Sender>, Failure> {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for mut sender in senders {
        let (uri, body, taken) = (uri.clone(), body.clone(), Arc::clone(&taken));
        workers.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < requests {
                sender.post(&uri, &body).await?;
            }
            Ok::<_, Failure>(sender)
        });
    }
    let mut senders = Vec::new();
    while let Some(worker) = workers.join_next().await {
        senders.push(worker??);
    }
    Ok(senders)
}

impl Sender {
    async fn post(&mut self, uri: &Uri, body: &Bytes) -> Result<(), Failure> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = match self {
            Self::Http1(sender) => {
                let authority = uri.authority().ok_or("no host")?.as_str();
                request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
                *request.uri_mut() = uri.path().parse()?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender) => {
                *request.uri_mut() = uri.clone();
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        response.into_body().collect().await?;
        if status == StatusCode::OK { Ok(()) } else { Err(format!("answered {status}").into()) }
    }
}

async fn connect(uri: &Uri, ca: &str, protocol: &[u8]) -> Result<TlsStream<TcpStream>, Failure> {
    let host = uri.host().ok_or("no host")?.to_owned();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let mut roots = RootCertStore::empty();
    let pem = fs::read(ca)?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(
            certificate.map_err(|error| Box::<dyn Error + Send + Sync>::from(error.to_string()))?,
        )?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from(host)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}
