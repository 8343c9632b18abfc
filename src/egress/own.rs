//! The sockets that the engine itself listens on: no delivery may reach them, whatever is allowed.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, RwLock};

use super::address::special_range;

/// The sockets of one engine. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct OwnSockets(Arc<RwLock<Vec<SocketAddr>>>);

impl OwnSockets {
    /// Adds a socket.
    pub fn add(&self, address: SocketAddr) {
        let mut sockets = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        sockets.push(address);
    }

    /// Whether a connection to this address and port would arrive at one of them.
    pub(super) fn has(&self, ip: IpAddr, port: u16) -> bool {
        let sockets = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        sockets.iter().any(|own| own.port() == port && reaches(ip.to_canonical(), own.ip()))
    }
}

/// A socket on every address of the machine may be reached by any address that is not public.
fn reaches(ip: IpAddr, own: IpAddr) -> bool {
    if own.is_unspecified() || ip.is_unspecified() {
        return special_range(ip).is_some();
    }
    ip == own.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_an_own_socket_is_known() {
        let own = OwnSockets::default();
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
