//! The HTTP client of every destination: a pool of direct connections, and a general client for
//! requests that go through the proxy.
//!
//! It neither follows redirects nor retries, and decodes no body.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};

use super::connections::{BoxError, Connections, RequestParts, ResponseBody};
use super::gateway::Egress;
use super::trust::HttpOptions;
use crate::error::{Error, ErrorKind, Result};

/// Idle connections are closed before most servers do it (Node's own after 5 s), so that a request
/// does not meet a connection that is being closed.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(4);

/// Sends requests to any host. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    connections: Connections,
    /// The general client, where there is a proxy.
    proxied: Option<reqwest::Client>,
    egress: Egress,
}

/// The body of a response as the server sent it, content codings included.
pub enum Incoming {
    /// On a direct connection.
    Direct(ResponseBody),
    /// Through the proxy.
    Proxied(reqwest::Body),
}

impl Client {
    pub(super) fn new(egress: Egress, options: &HttpOptions) -> Result<Self> {
        let connections = egress.connections(POOL_IDLE, options)?;
        let proxied = egress.has_proxy().then(|| general(&egress)).transpose()?;
        Ok(Self { connections, proxied, egress })
    }

    /// Sends one request and returns its response when the headers are there.
    ///
    /// **Invariant:** the caller asks [`Egress::check_url`] before, unless only the operator decides where
    /// the request goes.
    ///
    /// # Errors
    ///
    /// A boxed failure from the policy or the lookup, an I/O error from connecting, or the
    /// protocol's error.
    pub async fn send(
        &self,
        outgoing: RequestParts<'_>,
    ) -> std::result::Result<Response<Incoming>, BoxError> {
        if let Some(client) = &self.proxied
            && !self.egress.is_direct(outgoing.url)
        {
            let response = client.execute(outgoing.general()).await;
            let response = response.map_err(reqwest::Error::without_url)?;
            return Ok(Response::<reqwest::Body>::from(response).map(Incoming::Proxied));
        }
        Ok(self.connections.send(outgoing).await?.map(Incoming::Direct))
    }
}

fn general(egress: &Egress) -> Result<reqwest::Client> {
    egress.client_builder()?.pool_idle_timeout(POOL_IDLE).build().map_err(|source| {
        Error::new(ErrorKind::InvalidOption, "egress.proxy: the HTTP client could not be set up")
            .with_source(source)
    })
}

impl RequestParts<'_> {
    fn general(self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.all_headers();
        *request.body_mut() = self.body.cloned().map(reqwest::Body::from);
        request
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("door", &self.egress).finish_non_exhaustive()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Incoming::Direct",
            Self::Proxied(_) => "Incoming::Proxied",
        })
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Direct(body) => Pin::new(body).poll_frame(cx),
            Self::Proxied(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }
}
