//! JavaScript options of connections: `http.tls`, `http.http2` and `http.headerCase`.

use std::collections::HashMap;

use napi_derive::napi;
use serde::Deserialize;

use crate::egress::{HeaderCase, HostPattern, HttpOptions, TlsOptions as Checked};

/// TLS connections.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Additional certificate authorities, in PEM. Default: those of the machine alone.
    pub ca: Option<String>,
    /// The client certificate and its chain, in PEM. Default: none.
    pub cert: Option<String>,
    /// The key of the client certificate, in PEM. Default: none.
    pub key: Option<String>,
    /// Pinned public keys, as base64 of their SHA-256 hashes (`sha256/…`). The server's certificate must
    /// be valid and have one of them. Default: none, any key is accepted.
    pub pins: Option<Vec<String>>,
    /// Options of single hosts, by host name, `*.example.com`, address or CIDR range. They replace the
    /// general ones. Default: none.
    pub hosts: Option<HashMap<String, TlsOptions>>,
}

impl TlsOptions {
    pub(super) fn checked(self) -> Checked {
        Checked { ca: self.ca, cert: self.cert, key: self.key, pins: self.pins.unwrap_or_default() }
    }
}

/// Reads `http.headerCase`. `Err`: its name, and the reason of its refusal.
pub(super) fn header_case(given: Option<&str>) -> Result<HeaderCase, String> {
    match given {
        None | Some("lower") => Ok(HeaderCase::Lower),
        Some("as-given") => Ok(HeaderCase::AsGiven),
        Some(other) => Err(format!("headerCase: {other:?} is neither 'lower' nor 'as-given'")),
    }
}

/// Reads the other two options. `Err`: the path of what is wrong, and the reason.
pub(super) fn read(
    tls: Option<TlsOptions>,
    http2: Option<&str>,
    header_case: HeaderCase,
) -> Result<HttpOptions, String> {
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
    Ok(HttpOptions { offers_http2, header_case, tls: tls.checked(), hosts })
}
