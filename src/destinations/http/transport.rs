//! The bodies of responses, wherever they come from.

use std::error::Error as StdError;

use bytes::Bytes;
use http::Response;
use http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};

use super::request::Prepared;
use crate::egress::{Client, Incoming, RequestParts};

pub(super) type TransportError = Box<dyn StdError + Send + Sync>;

/// The content codings that `decode` undoes.
static ACCEPTED: (HeaderName, HeaderValue) =
    (ACCEPT_ENCODING, HeaderValue::from_static("zstd,gzip,deflate,br"));

/// A response's body as the server sent it, content codings included.
pub(super) enum IncomingBody {
    Incoming(Incoming),
    /// The page of a proxy, read already.
    Page(Full<Bytes>),
}

/// Sends one request and returns its response when the headers are there.
pub(super) async fn send(
    client: &Client,
    prepared: &Prepared,
) -> Result<Response<IncomingBody>, TransportError> {
    let outgoing = RequestParts {
        method: &prepared.method,
        url: &prepared.url,
        headers: &prepared.headers,
        names: &prepared.names,
        default_header: &ACCEPTED,
        body: prepared.body.as_ref(),
    };
    Ok(client.send(outgoing).await?.map(IncomingBody::Incoming))
}

impl IncomingBody {
    /// Returns the next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let frame = match self {
                Self::Incoming(body) => body.frame().await.transpose()?,
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
