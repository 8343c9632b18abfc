//! The two ways of a request: cleartext HTTP/1.1 over connections of our own, everything else
//! (TLS, HTTP/2, a proxy) through the general client.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use reqwest::Client;

use super::request::Prepared;
use crate::egress::{Cleartext, Door, Exchange};
use crate::error::{Error, ErrorKind, Result};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The content codings that `decode` undoes.
const ACCEPTED: HeaderValue = HeaderValue::from_static("zstd,gzip,deflate,br");

/// What sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    cleartext: Option<Cleartext>,
    client: Client,
}

/// A response's body as the server sent it, content codings included.
pub(super) enum Body {
    Plain(Exchange),
    Client(reqwest::Body),
    /// The page of a proxy, read already.
    Page(Full<Bytes>),
}

impl Transport {
    /// A transport through `door`, which keeps at most `idle_per_host` idle connections to a host.
    pub(super) fn new(door: &Door, idle_per_host: usize) -> Result<Self> {
        let client = door
            .client_builder()?
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(idle_per_host)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
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
                Ok(connections.send(&prepared.url, request).await?.map(Body::Plain))
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
    *request.headers_mut() = headers(prepared);
    request
}

/// The headers of the request, with the content codings that are undone.
fn headers(prepared: &Prepared) -> HeaderMap {
    let mut headers = prepared.headers.clone();
    headers.entry(ACCEPT_ENCODING).or_insert(ACCEPTED);
    headers
}

fn client_request(prepared: &Prepared) -> reqwest::Request {
    let mut request = reqwest::Request::new(prepared.method.clone(), prepared.url.clone());
    *request.headers_mut() = headers(prepared);
    *request.body_mut() = prepared.body.clone().map(reqwest::Body::from);
    request
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> std::result::Result<Option<Bytes>, BoxError> {
        loop {
            let frame = match self {
                Self::Plain(body) => body.frame().await.transpose()?,
                Self::Client(body) => body.frame().await.transpose()?,
                Self::Page(body) => match body.frame().await {
                    Some(Ok(frame)) => Some(frame),
                    Some(Err(never)) => match never {},
                    None => None,
                },
            };
            match frame.map(http_body::Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
            }
        }
    }
}
