//! Responses of the proxy itself: its refusal of a tunnel, and its error pages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SERVER};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use super::Egress;
use super::explain::NetworkPlace;
use super::resolver::permitted;
use super::tcp;

/// Bytes of a proxy's page that are read.
const MAX_PAGE_BYTES: usize = 64 << 10;

/// Products that sign their own pages, and pass on the `Server` of others.
const PRODUCTS: [&str; 5] = ["squid", "tinyproxy", "privoxy", "mitmproxy", "bluecoat"];

/// The side that a response is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseOrigin {
    /// The target host.
    Host,
    /// The proxy, by its name in messages.
    Proxy(String),
    /// One of them; the proxy does not specify which.
    Either(String),
}

impl Egress {
    /// Returns the side that a response to a request for `url` is of.
    #[must_use]
    pub fn answerer(&self, url: &Url, status: StatusCode, headers: &HeaderMap) -> ResponseOrigin {
        let Some(proxy) = self.policy.proxy_of(url).filter(|_| url.scheme() == "http") else {
            return ResponseOrigin::Host;
        };
        if !proxy.url().scheme().starts_with("http") {
            return ResponseOrigin::Host;
        }
        let name = || NetworkPlace::of(url, self).proxy().unwrap_or_default();
        if is_of_proxy(status, headers) {
            ResponseOrigin::Proxy(name())
        } else if matches!(status.as_u16(), 502..=504) {
            ResponseOrigin::Either(name())
        } else {
            ResponseOrigin::Host
        }
    }

    /// Requests a tunnel to the host of `url` once more, after the proxy refused one, and returns
    /// the proxy's response: the client keeps neither status nor page. Returns `None` if a tunnel
    /// is opened this time, or if the proxy does not speak HTTP.
    pub async fn refusal_of_tunnel(&self, url: &Url) -> Option<Response<Bytes>> {
        let proxy = self.policy.proxy_of(url)?.url();
        if url.scheme() != "https" {
            return None;
        }
        let request = connect_request(url, &proxy)?;
        match proxy.scheme() {
            "http" => refusal(self.connect_to_proxy(&proxy).await?, request).await,
            "https" => {
                let name = ServerName::try_from(bare_host(&proxy)?).ok()?;
                let tls = TlsConnector::from(Arc::new(self.tls().ok()?));
                let stream = self.connect_to_proxy(&proxy).await?;
                refusal(tls.connect(name, stream).await.ok()?, request).await
            }
            _ => None,
        }
    }

    async fn connect_to_proxy(&self, proxy: &Url) -> Option<TcpStream> {
        let host = proxy.host_str()?;
        let addresses = permitted(&self.policy, self.lookup.as_ref(), host).await.ok()?;
        let port = proxy.port_or_known_default()?;
        tcp::connect(&addresses, port, self.policy.local_address()).await.ok()
    }
}

/// Returns the host without the brackets of an IPv6 address.
fn bare_host(url: &Url) -> Option<String> {
    Some(url.host_str()?.trim_matches(['[', ']']).to_owned())
}

/// Sends the request for a tunnel, and returns a response that does not open one.
async fn refusal(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Option<Response<Bytes>> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        if head.status.is_success() {
            return None;
        }
        Some(Response::from_parts(head, page(body).await))
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

fn connect_request(url: &Url, proxy: &Url) -> Option<Request<Empty<Bytes>>> {
    let host = &url[Position::BeforeHost..Position::AfterHost];
    let authority = format!("{host}:{}", url.port_or_known_default()?);
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.parse::<Uri>().ok()?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(&authority).ok()?);
    if !proxy.username().is_empty() || proxy.password().is_some() {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
        let (user, password) =
            (decoded(proxy.username()), decoded(proxy.password().unwrap_or_default()));
        let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Some(request)
}

/// Returns the beginning of a page; what cannot be read is left out.
async fn page(mut body: Incoming) -> Bytes {
    let mut page = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { break };
        page.extend_from_slice(&data[..data.len().min(MAX_PAGE_BYTES - page.len())]);
        if page.len() == MAX_PAGE_BYTES {
            break;
        }
    }
    page.into()
}

/// Returns whether a response to a request that a proxy passes on is the proxy's own: it is, by the
/// status or by headers that only a proxy adds to its own pages.
fn is_of_proxy(status: StatusCode, headers: &HeaderMap) -> bool {
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_error = status.is_client_error() || status.is_server_error();
    let signed = text(SERVER.as_str())
        .map(str::to_ascii_lowercase)
        .is_some_and(|server| PRODUCTS.iter().any(|product| server.starts_with(product)));
    is_error
        && (headers.contains_key(PROXY_AUTHENTICATE)
            || headers.contains_key("x-squid-error")
            || text("proxy-status").is_some_and(|status| status.contains("error="))
            || signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_proxies_are_told_from_those_of_hosts() {
        for (status, header, expected) in [
            (407, ("x-a", "b"), true),
            (502, ("x-squid-error", "ERR_CONNECT_FAIL 111"), true),
            (503, ("server", "Squid/6.6"), true),
            (403, ("server", "tinyproxy/1.11"), true),
            (504, ("proxy-status", "edge; error=connection_timeout"), true),
            (502, ("server", "nginx"), false),
            (502, ("proxy-status", "edge; received-status=502"), false),
            (200, ("server", "squid"), false),
        ] {
            let headers = HeaderMap::from_iter([(
                header.0.parse::<http::HeaderName>().unwrap(),
                HeaderValue::from_static(header.1),
            )]);
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_of_proxy(status, &headers), expected, "{status} {header:?}");
        }
    }

    #[test]
    fn a_tunnel_is_asked_for_as_the_client_asks() {
        let proxy = Url::parse("http://me:hunt%40er2@proxy.example:3128").unwrap();
        let request = |url| connect_request(&Url::parse(url).unwrap(), &proxy).unwrap();
        let asked = request("https://example.com/x?token=1");
        assert_eq!(asked.uri().to_string(), "example.com:443");
        assert_eq!(asked.headers()["host"], "example.com:443");
        assert_eq!(asked.headers()["proxy-authorization"], "Basic bWU6aHVudEBlcjI=");
        assert_eq!(request("https://[::1]:8443/").uri().to_string(), "[::1]:8443");
    }
}
