//! `http.tls` and `http.http2`: the mirrors of their spelling.

use std::collections::HashMap;

use napi_derive::napi;
use serde::Deserialize;

use crate::egress::{HostPattern, HttpOptions, TlsOptions as Checked};

/// How connections over TLS are made.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Certificate authorities that are trusted beside the machine's, in PEM. Default: none.
    pub ca: Option<String>,
    /// The client certificate and its chain, in PEM, for servers that ask for one. Default: none.
    pub cert: Option<String>,
    /// The key of the client certificate, in PEM. Default: none.
    pub key: Option<String>,
    /// SHA-256 hashes of public keys in base64 (`sha256/…`). The certificate of the server must have
    /// one of them, and be valid. Default: any key.
    pub pins: Option<Vec<String>>,
    /// Hosts with options of their own, by host name, `*.example.com`, address or CIDR range. The
    /// general ones do not apply to them. Default: none.
    pub hosts: Option<HashMap<String, TlsOptions>>,
}

impl TlsOptions {
    fn checked(self) -> Checked {
        Checked { ca: self.ca, cert: self.cert, key: self.key, pins: self.pins.unwrap_or_default() }
    }
}

/// Reads both options. `Err`: the path of what is wrong, and why.
pub(super) fn read(tls: Option<TlsOptions>, http2: Option<&str>) -> Result<HttpOptions, String> {
    let offers_http2 = match http2 {
        None | Some("auto") => true,
        Some("never") => false,
        Some(other) => return Err(format!("http2: {other:?} is neither 'auto' nor 'never'")),
    };
    let mut tls = tls.unwrap_or_default();
    let mut hosts: Vec<_> = tls.hosts.take().unwrap_or_default().into_iter().collect();
    // A longer pattern says more: `api.example.com` comes before `*.example.com`.
    hosts.sort_by_key(|(host, _)| (host.starts_with('*'), std::cmp::Reverse(host.len())));
    let read = |(host, own): (String, TlsOptions)| {
        if own.hosts.is_some() {
            return Err("tls.hosts: a host has no hosts of its own".to_owned());
        }
        let pattern = HostPattern::parse(&host).ok_or_else(|| {
            format!("tls.hosts: {host:?} is neither a host name, an IP address nor a CIDR range")
        })?;
        Ok((pattern, own.checked()))
    };
    let hosts = hosts.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(HttpOptions { offers_http2, tls: tls.checked(), hosts })
}
