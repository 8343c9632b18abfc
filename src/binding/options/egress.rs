//! JavaScript options of the network policy: `egress`.

use napi_derive::napi;
use serde::Deserialize;

use crate::egress;

/// Network policy. Loopback, private, link-local, reserved and other special addresses are denied
/// unless they are allowed here.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EgressOptions {
    /// Allowed although they are not public: host names (`hooks.internal`, `*.example.com`), addresses
    /// and CIDR ranges (`10.0.0.0/8`). Default: none.
    pub allow: Option<Vec<String>>,
    /// Denied hosts, in the same forms. Overrides `allow`. Default: none.
    pub deny: Option<Vec<String>>,
    /// Allowed ports. Default: all.
    pub ports: Option<Vec<u16>>,
    /// Allowed URL schemes: `http`, `https`. Default: both.
    pub schemes: Option<Vec<String>>,
    /// A proxy for every request: `http://`, `https://`, `socks5://` or `socks5h://`, with its
    /// credentials in the URL. Default: none; the environment is not read.
    pub proxy: Option<String>,
    /// Hosts that bypass the proxy, in the same forms as `allow`. Default: none.
    pub no_proxy: Option<Vec<String>>,
    /// The source IP address of connections. Default: chosen by the system.
    pub local_address: Option<String>,
    /// The addresses that receivers see, for `engine.egressAddresses()`. They are declared only, and
    /// do not change routing. Default: none.
    pub addresses: Option<Vec<String>>,
}

impl From<EgressOptions> for egress::Options {
    fn from(options: EgressOptions) -> Self {
        Self {
            allow: options.allow.unwrap_or_default(),
            deny: options.deny.unwrap_or_default(),
            ports: options.ports,
            schemes: options.schemes,
            proxy: options.proxy,
            no_proxy: options.no_proxy.unwrap_or_default(),
            local_address: options.local_address,
            addresses: options.addresses.unwrap_or_default(),
        }
    }
}
