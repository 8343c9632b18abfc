//! The `egress` options of `Engine.open`, as they arrive.

use std::fmt;

/// The operator's network options. The default reaches every public address on every port over http
/// and https, and nothing else.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Hosts and addresses that are reached although they are not public: CIDR ranges, IP
    /// addresses, host names, and `*.example.com` for every name below `example.com`. A name is let
    /// through at whatever address it resolves to. Default: none.
    pub allow: Vec<String>,
    /// Hosts and addresses that are never reached, spelled as in `allow`. It wins over `allow`.
    /// Default: none.
    pub deny: Vec<String>,
    /// The ports that may be connected to. Default: all.
    pub ports: Option<Vec<u16>>,
    /// The URL schemes that may be used, out of `http` and `https`. Default: both.
    pub schemes: Option<Vec<String>>,
    /// The proxy that every connection goes through: an `http://`, `https://`, `socks5://` or
    /// `socks5h://` URL, with credentials if required. The proxy itself may be at a private
    /// address. Default: none; the environment's proxy variables are not read.
    pub proxy: Option<String>,
    /// Hosts and addresses that are reached without the proxy, spelled as in `allow`. Default: none.
    pub no_proxy: Vec<String>,
    /// The address of this machine that connections are made from. Default: the system chooses.
    pub local_address: Option<String>,
    /// The addresses (or CIDR ranges) that receivers see, declared by the operator for allow-lists
    /// and used for nothing else. Default: none.
    pub addresses: Vec<String>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The proxy's URL may hold a password.
        f.debug_struct("Options")
            .field("allow", &self.allow)
            .field("deny", &self.deny)
            .field("ports", &self.ports)
            .field("schemes", &self.schemes)
            .field("proxy", &self.proxy.as_ref().map(|_| "…"))
            .field("no_proxy", &self.no_proxy)
            .field("local_address", &self.local_address)
            .field("addresses", &self.addresses)
            .finish()
    }
}
