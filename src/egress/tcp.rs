//! Opening a connection to the first address that answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

/// How long one address of several may take to connect before the next one is tried.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_secs(1);

/// Connects to one of the addresses, which were checked, from the local address if there is one.
pub(super) async fn connect(
    addresses: &[IpAddr],
    port: u16,
    local: Option<IpAddr>,
) -> io::Result<TcpStream> {
    let nowhere = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    let (last, others) = addresses.split_last().ok_or_else(nowhere)?;
    for ip in others {
        let attempt = connect_to(SocketAddr::new(*ip, port), local);
        if let Ok(Ok(stream)) = tokio::time::timeout(NEXT_ADDRESS_AFTER, attempt).await {
            return Ok(stream);
        }
    }
    connect_to(SocketAddr::new(*last, port), local).await
}

async fn connect_to(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
