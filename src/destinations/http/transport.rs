//! The two ways of a request: cleartext HTTP/1.1 over connections of our own, everything else
//! (TLS, HTTP/2, a proxy) through the general client.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use reqwest::Client;
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;
use url::Url;

use super::request::Prepared;
use crate::egress::{Cleartext, Door, Exchange};
use crate::error::{Error, ErrorKind, Result};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// What sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    cleartext: Option<Cleartext>,
    client: Client,
}

/// A response's body, after decompression.
pub(super) enum Body {
    Cleartext(Box<DecompressionBody<Exchange>>),
    Client(reqwest::Body),
}

impl Transport {
    /// A transport through `door`, which keeps at most `idle_per_host` idle connections to a host.
    pub(super) fn new(door: &Door, idle_per_host: usize) -> Result<Self> {
        let client = door
            .client_builder()?
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(idle_per_host)
            .build()
            .map_err(|source| {
                Error::new(ErrorKind::InvalidOption, "the HTTP client could not be set up")
                    .with_source(source)
            })?;
        Ok(Self { cleartext: door.cleartext(POOL_IDLE), client })
    }

    /// Sends one request; the answer comes with the response's headers.
    pub(super) async fn send(
        &self,
        prepared: &Prepared,
    ) -> std::result::Result<Response<Body>, BoxError> {
        match &self.cleartext {
            Some(connections) if prepared.url.scheme() == "http" => {
                let mut hop = Decompression::new(Hop { connections, url: &prepared.url });
                let response = hop.call(cleartext_request(prepared)).await?;
                Ok(response.map(|body| Body::Cleartext(Box::new(body))))
            }
            _ => {
                let response = self.client.execute(client_request(prepared)).await;
                let response = response.map_err(reqwest::Error::without_url)?;
                Ok(Response::<reqwest::Body>::from(response).map(Body::Client))
            }
        }
    }
}

fn cleartext_request(prepared: &Prepared) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(prepared.body.clone().unwrap_or_default()));
    *request.method_mut() = prepared.method.clone();
    *request.headers_mut() = prepared.headers.clone();
    request
}

fn client_request(prepared: &Prepared) -> reqwest::Request {
    let mut request = reqwest::Request::new(prepared.method.clone(), prepared.url.clone());
    *request.headers_mut() = prepared.headers.clone();
    *request.body_mut() = prepared.body.clone().map(reqwest::Body::from);
    request
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> std::result::Result<Option<Bytes>, BoxError> {
        loop {
            let frame = match self {
                Self::Cleartext(body) => body.frame().await.transpose()?,
                Self::Client(body) => body.frame().await.transpose()?,
            };
            match frame.map(http_body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
            }
        }
    }
}

/// One cleartext request as the service that the decompressing layer wants.
struct Hop<'a> {
    connections: &'a Cleartext,
    url: &'a Url,
}

impl<'a> Service<Request<Full<Bytes>>> for Hop<'a> {
    type Response = Response<Exchange>;
    type Error = BoxError;
    type Future =
        Pin<Box<dyn Future<Output = std::result::Result<Self::Response, BoxError>> + Send + 'a>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        Box::pin(self.connections.send(self.url, request))
    }
}
