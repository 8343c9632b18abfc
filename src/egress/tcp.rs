//! Opens a connection to the first address that responds (RFC 8305).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::scarcity::{Patience, passing};

/// The delay after which the next address is tried in parallel.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects to one of the addresses, which were checked, from the local address if there is one.
/// Where this machine lacks a resource for it, it waits and tries again.
pub(super) async fn connect(
    addresses: &[IpAddr],
    port: u16,
    local: Option<IpAddr>,
) -> io::Result<TcpStream> {
    let mut patience = Patience::default();
    loop {
        let error = match connect_once(addresses, port, local).await {
            Ok(stream) => {
                patience.end();
                return Ok(stream);
            }
            Err(error) => error,
        };
        match passing(&error) {
            Some(reason) if patience.wait(reason).await => {}
            _ => return Err(error),
        }
    }
}

/// Connects once, as [`connect`] does.
pub(super) async fn connect_once(
    addresses: &[IpAddr],
    port: u16,
    local: Option<IpAddr>,
) -> io::Result<TcpStream> {
    if let [ip] = addresses {
        return connect_to(SocketAddr::new(*ip, port), local).await;
    }
    race(in_turn(addresses).map(|ip| connect_to(SocketAddr::new(ip, port), local))).await
}

/// Begins the attempts one after the other, each a little after the one before it or when all have
/// failed, and returns the connection of the first that succeeds. The others are dropped.
async fn race<F>(mut attempts: impl Iterator<Item = F>) -> io::Result<TcpStream>
where
    F: Future<Output = io::Result<TcpStream>>,
{
    let mut running = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    loop {
        let Some(attempt) = attempts.next() else { break };
        running.push(attempt);
        let mut patience = pin!(tokio::time::sleep(NEXT_ADDRESS_AFTER));
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    Some(Ok(stream)) => return Ok(stream),
                    Some(Err(error)) => failure = error,
                    None => break,
                },
                () = &mut patience => break,
            }
        }
    }
    while let Some(ended) = running.next().await {
        match ended {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns the addresses in the order in which they are tried: that of the resolver, with the two
/// families in turn, so that a family that leads nowhere costs one delay.
fn in_turn(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let first_is_ipv4 = addresses.first().is_some_and(IpAddr::is_ipv4);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|ip| ip.is_ipv4() == first_is_ipv4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut is_first = false;
    std::iter::from_fn(move || {
        is_first = !is_first;
        let (mine, other) =
            if is_first { (&mut first, &mut second) } else { (&mut second, &mut first) };
        mine.next().or_else(|| other.next())
    })
}

async fn connect_to(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(address).await.map_err(|error| no_port(error, address))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Distinguishes a machine without free ports from one without such an address: both are
/// `EADDRNOTAVAIL`, and a machine without IPv6 reports it for every IPv6 address.
fn no_port(error: io::Error, address: SocketAddr) -> io::Error {
    if error.kind() == io::ErrorKind::AddrNotAvailable && address.is_ipv4() {
        return io::Error::new(io::ErrorKind::AddrInUse, error);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_are_tried_in_turn() {
        for (given, expected) in [
            (&["::1", "::2", "1.1.1.1", "1.1.1.2"][..], &["::1", "1.1.1.1", "::2", "1.1.1.2"][..]),
            (&["1.1.1.1", "::1", "::2", "::3"], &["1.1.1.1", "::1", "::2", "::3"]),
            (&["1.1.1.1", "1.1.1.2", "::1"], &["1.1.1.1", "::1", "1.1.1.2"]),
            (&["::1", "::2", "::3"], &["::1", "::2", "::3"]),
            (&[], &[]),
        ] {
            assert_eq!(in_turn(&ips(given)).collect::<Vec<_>>(), ips(expected), "{given:?}");
        }
    }

    async fn loopback() -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()
    }

    /// An attempt that never ends, fails, or has this connection.
    enum Script {
        Silent,
        Refused,
        Open(TcpStream),
    }

    async fn played(script: Script, begun: &AtomicUsize) -> io::Result<TcpStream> {
        begun.fetch_add(1, Ordering::Relaxed);
        match script {
            Script::Silent => pending().await,
            Script::Refused => ready(Err(io::ErrorKind::ConnectionRefused.into())).await,
            Script::Open(stream) => Ok(stream),
        }
    }

    #[tokio::test]
    async fn a_silent_address_delays_the_next_one_and_a_refusal_does_not() {
        let streams = [loopback().await, loopback().await, loopback().await];
        tokio::time::pause();
        let [a, b, c] = streams.map(Script::Open);
        for (scripts, expected, delay) in [
            (vec![Script::Silent, Script::Silent, a], 3, 500),
            (vec![Script::Refused, Script::Refused, b], 3, 0),
            (vec![c, Script::Silent], 1, 0),
        ] {
            let tried = AtomicUsize::new(0);
            let begun = Instant::now();
            race(scripts.into_iter().map(|script| played(script, &tried))).await.unwrap();
            assert_eq!(tried.into_inner(), expected);
            let took = begun.elapsed().as_millis();
            assert!((delay..delay + 10).contains(&took), "{took} ms, not {delay}");
        }
    }

    #[tokio::test]
    async fn without_an_address_that_answers_the_last_failure_is_returned() {
        let tried = AtomicUsize::new(0);
        let scripts = [Script::Refused, Script::Refused];
        let error = race(scripts.into_iter().map(|script| played(script, &tried))).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let none = race(std::iter::empty::<std::future::Ready<_>>()).await;
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
