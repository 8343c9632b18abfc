//! The two ways of a request: cleartext HTTP/1.1 over connections of our own, everything else
//! (TLS, HTTP/2, a proxy) through the general client.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use reqwest::Client;
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;

use super::request::Prepared;
use crate::egress::{Cleartext, Door, Exchange};
use crate::error::{Error, ErrorKind, Result};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The encodings that are undone, in the spelling of the general client.
const ACCEPTED: HeaderValue = HeaderValue::from_static("zstd,gzip,deflate,br");

/// What sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    cleartext: Option<Cleartext>,
    client: Client,
}

/// A response's body, after decompression.
pub(super) enum Body {
    Plain(Exchange),
    Encoded(Box<DecompressionBody<Exchange>>),
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
                let request = cleartext_request(prepared);
                decoded(connections.send(&prepared.url, request).await?).await
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
    request.headers_mut().entry(ACCEPT_ENCODING).or_insert(ACCEPTED);
    request
}

/// Puts the decompressing layer around a response that needs it.
async fn decoded(response: Response<Exchange>) -> std::result::Result<Response<Body>, BoxError> {
    if !response.headers().contains_key(CONTENT_ENCODING) {
        return Ok(response.map(Body::Plain));
    }
    let mut layer = Decompression::new(Received(Some(response)));
    Ok(layer.call(Request::new(())).await?.map(|body| Body::Encoded(Box::new(body))))
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
                Self::Plain(body) => body.frame().await.transpose()?,
                Self::Encoded(body) => body.frame().await.transpose()?,
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

/// A response that is there already, as the service that the decompressing layer wraps.
struct Received(Option<Response<Exchange>>);

impl Service<Request<()>> for Received {
    type Response = Response<Exchange>;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[expect(clippy::expect_used, reason = "the layer calls a service once for each request")]
    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().expect("one response for one request")))
    }
}
