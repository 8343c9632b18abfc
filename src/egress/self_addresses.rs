//! The sockets that the engine itself listens on: no delivery may reach them, whatever is allowed.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

use url::Url;

use super::address::special_range;

/// The sockets of one engine. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct SelfAddresses(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    sockets: Vec<SocketAddr>,
    /// Hosts and ports at which something in front of a socket is reached.
    fronts: Vec<(String, u16)>,
}

impl SelfAddresses {
    /// Adds a socket.
    pub fn add(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).sockets.push(address);
    }

    /// Adds the URL of what stands in front of a socket, such as a reverse proxy.
    pub fn add_front(&self, url: &str) {
        let Ok(url) = Url::parse(url) else { return };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return;
        };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.fronts.push((host.to_owned(), port));
    }

    /// Returns whether a request for this URL would arrive at one of them through what stands in
    /// front.
    pub(super) fn is_behind(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        let host = host.trim_end_matches('.');
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.fronts.iter().any(|(front, at)| *at == port && front.trim_end_matches('.') == host)
    }

    /// Returns whether one of them has this port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.sockets.iter().any(|own| own.port() == port)
    }

    /// Returns whether a connection to this address and port would arrive at one of them.
    pub(super) fn has(&self, ip: IpAddr, port: u16) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.sockets.iter().any(|own| own.port() == port && reaches(ip.to_canonical(), own.ip()))
    }
}

/// Returns whether connecting to `ip` reaches a socket on `own`. A socket on every address of the
/// machine may be reached by any address that is not public, and by the machine's public ones.
fn reaches(ip: IpAddr, own: IpAddr) -> bool {
    if own.is_unspecified() || ip.is_unspecified() {
        return special_range(ip).is_some() || is_of_this_machine(ip);
    }
    ip == own.to_canonical()
}

/// Returns whether an address belongs to this machine: the system binds a socket only to its own
/// addresses.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_front_of_a_socket_is_known_by_its_url() {
        let own = SelfAddresses::default();
        own.add("127.0.0.1:8787".parse().unwrap());
        own.add_front("https://send.example.com/base");
        for (url, expected) in [
            ("https://send.example.com/v1/webhooks", true),
            ("https://SEND.example.com.:443/", true),
            ("http://send.example.com/", false),
            ("https://send.example.com:8443/", false),
            ("https://example.com/", false),
        ] {
            assert_eq!(own.is_behind(&url.parse().unwrap()), expected, "{url}");
        }
        assert!(own.has_port(8787) && !own.has_port(443));
    }

    #[test]
    fn the_addresses_of_this_machine_are_its_own() {
        assert!(is_of_this_machine("127.0.0.1".parse().unwrap()));
        assert!(!is_of_this_machine("93.184.215.14".parse().unwrap()));
    }

    #[test]
    fn every_way_to_an_own_socket_is_known() {
        let own = SelfAddresses::default();
        own.add("127.0.0.1:8787".parse().unwrap());
        own.add("0.0.0.0:9000".parse().unwrap());
        for (address, expected) in [
            ("127.0.0.1:8787", true),
            ("[::ffff:127.0.0.1]:8787", true),
            ("0.0.0.0:8787", true),
            ("127.0.0.1:8788", false),
            ("10.0.0.1:8787", false),
            ("10.0.0.1:9000", true),
            ("[::1]:9000", true),
            ("93.184.215.14:9000", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(own.has(address.ip(), address.port()), expected, "{address}");
        }
    }
}
