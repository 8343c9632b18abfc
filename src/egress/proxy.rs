//! The operator's proxy, as configured.

use std::fmt;

use url::{Host, Url};

use super::pattern::normal;
use crate::error::{Error, ErrorKind, Result};

const FORMS: &str = "expected http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT or \
                     socks5h://HOST:PORT, with USER:PASSWORD@ before the host if the proxy asks";

/// A proxy's checked URL. It may hold a password, so nothing here shows more than the host.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    url: Url,
    /// The host as it is passed to the resolver: in lower case, without the last dot.
    host: String,
}

impl Proxy {
    /// Reads the option. The message of a refusal does not repeat the value: it may hold a password.
    pub(super) fn parse(option: &str) -> Result<Self> {
        let mut url = Url::parse(option).map_err(|_| refused("it is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            // What stands before the colon may be a user name whose scheme was forgotten.
            return Err(refused("it does not begin with the scheme of a proxy"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("a proxy has no path, query or fragment"));
        }
        if url.port() == Some(0) {
            return Err(refused("0 is not a port"));
        }
        // The URL Standard leaves the hosts of schemes that it does not know as they are written.
        let host = match url.host().map(|host| Host::parse(&host.to_string())) {
            Some(Ok(host)) => host.to_string(),
            Some(Err(_)) | None => return Err(refused("it has no valid host")),
        };
        url.set_host(Some(&host)).map_err(|_| refused("it has no valid host"))?;
        // The client reads the URL a second time, as an HTTP URI, and would go without a proxy
        // when that fails.
        if url.as_str().parse::<http::Uri>().is_err() {
            return Err(refused("its credentials need percent-encoding"));
        }
        Ok(Self { url, host: normal(&host).to_owned() })
    }

    /// Returns whether this is the host that the operator named as the proxy. `host` is in normal
    /// form.
    pub(super) fn is_at(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }

    /// Returns the URL with its credentials, for the client alone.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.host)
    }
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOption, format!("egress.proxy: {why}; {FORMS}"))
}
