//! One entry of `egress.allow` or `egress.deny`.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

/// A parsed entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// A CIDR range, or a single address as the longest one.
    Net(IpNet),
    /// A host name, lower-case ASCII without the trailing dot.
    Name(String),
    /// Every name below this one, which itself is not meant: `*.example.com`.
    Below(String),
}

impl Pattern {
    /// Reads an entry. A name is normalised as a URL's host is, so both are compared in one form.
    #[must_use]
    pub fn parse(entry: &str) -> Option<Self> {
        if let Ok(net) = entry.parse::<IpNet>() {
            return Some(Self::Net(net));
        }
        if let Ok(ip) = entry.parse::<IpAddr>() {
            return Some(Self::Net(IpNet::from(ip)));
        }
        let (below, name) = match entry.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, entry),
        };
        match (below, Host::parse(name).ok()?) {
            (_, Host::Domain(name)) if !is_name(&name) => None,
            (false, Host::Domain(name)) => Some(Self::Name(normal(&name).to_owned())),
            (true, Host::Domain(name)) => Some(Self::Below(normal(&name).to_owned())),
            (false, Host::Ipv4(ip)) => Some(Self::Net(IpNet::from(IpAddr::V4(ip)))),
            (false, Host::Ipv6(ip)) => Some(Self::Net(IpNet::from(IpAddr::V6(ip)))),
            (true, _) => None,
        }
    }

    /// Returns whether the entry means this host of a URL.
    #[must_use]
    pub fn is_host(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (_, Host::Domain(name)) => self.names(normal(name)),
            (Self::Net(net), Host::Ipv4(ip)) => net.contains(&IpAddr::V4(*ip)),
            (Self::Net(net), Host::Ipv6(ip)) => net.contains(&IpAddr::V6(*ip)),
            _ => false,
        }
    }

    /// Returns whether the entry names this host, which is in normal form.
    pub(super) fn names(&self, host: &str) -> bool {
        match self {
            Self::Net(_) => false,
            Self::Name(name) => host == name,
            Self::Below(suffix) => {
                host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.contains('*') && normal(name).split('.').all(|label| !label.is_empty())
}

/// Returns a host name without the dot that marks it as absolute: both spellings are one host.
pub(super) fn normal(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}
