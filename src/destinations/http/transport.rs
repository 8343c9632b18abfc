//! The two ways of a request: over connections of our own, and, behind a proxy, through the general
//! client.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use reqwest::Client;

use super::Config;
use super::request::Prepared;
use crate::egress::{Connections, Door, Exchange, Outgoing};
use crate::error::{Error, ErrorKind, Result};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The content codings that `decode` undoes.
static ACCEPTED: (HeaderName, HeaderValue) =
    (ACCEPT_ENCODING, HeaderValue::from_static("zstd,gzip,deflate,br"));

/// What sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    connections: Connections,
    /// The general client, where there is a proxy.
    client: Option<Client>,
    door: Door,
}

/// A response's body as the server sent it, content codings included.
pub(super) enum Body {
    Direct(Exchange),
    Client(reqwest::Body),
    /// The page of a proxy, read already.
    Page(Full<Bytes>),
}

impl Transport {
    /// A transport through `door`.
    pub(super) fn new(door: &Door, config: &Config) -> Result<Self> {
        let connections = door.connections(POOL_IDLE, &config.connections)?;
        let client = door.has_proxy().then(|| Self::client(door, config)).transpose()?;
        Ok(Self { connections, client, door: door.clone() })
    }

    fn client(door: &Door, config: &Config) -> Result<Client> {
        door.client_builder()?
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(config.per_host_concurrency)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build()
            .map_err(|source| {
                Error::new(ErrorKind::InvalidOption, "the HTTP client could not be set up")
                    .with_source(source)
            })
    }

    /// Sends one request; the answer comes with the response's headers.
    pub(super) async fn send(
        &self,
        prepared: &Prepared,
    ) -> std::result::Result<Response<Body>, BoxError> {
        if let Some(client) = &self.client
            && !self.door.is_direct(&prepared.url)
        {
            let response = client.execute(client_request(prepared)).await;
            let response = response.map_err(reqwest::Error::without_url)?;
            return Ok(Response::<reqwest::Body>::from(response).map(Body::Client));
        }
        let none = Bytes::new();
        let outgoing = Outgoing {
            method: &prepared.method,
            url: &prepared.url,
            headers: &prepared.headers,
            default_header: &ACCEPTED,
            body: prepared.body.as_ref().unwrap_or(&none),
        };
        Ok(self.connections.send(outgoing).await?.map(Body::Direct))
    }
}

fn client_request(prepared: &Prepared) -> reqwest::Request {
    let mut request = reqwest::Request::new(prepared.method.clone(), prepared.url.clone());
    *request.headers_mut() = prepared.headers.clone();
    request.headers_mut().entry(&ACCEPTED.0).or_insert_with(|| ACCEPTED.1.clone());
    *request.body_mut() = prepared.body.clone().map(reqwest::Body::from);
    request
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> std::result::Result<Option<Bytes>, BoxError> {
        loop {
            let frame = match self {
                Self::Direct(body) => body.frame().await.transpose()?,
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
