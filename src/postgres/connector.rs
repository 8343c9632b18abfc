//! Opens connections for the journal, at addresses that the operator alone decides.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_postgres::{Client, Connection, Error};

use super::framing::ServerProcess;
use super::{Encrypt, Encrypted, Framed, PostgreSqlServer, trusting};
use crate::delivery::{Failure, Phase};
use crate::egress::Egress;
use crate::error::ErrorKind;

/// A connection whose rows are not limited: the operator chose the server.
pub type Trusted = Connection<Framed<TcpStream>, Encrypted>;

/// The reason for which there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The server was not reached.
    Unreached(Failure),
    /// The server refused the session, or the handshake failed.
    Refused(Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(failure) => failure.fmt(f),
            Self::Refused(error) => match error.as_db_error() {
                Some(said) => write!(f, "{} ({})", said.message(), said.code().code()),
                None => match std::error::Error::source(error) {
                    Some(source) => write!(f, "{source}"),
                    None => write!(f, "{error}"),
                },
            },
        }
    }
}

/// Opens connections to the first server that can be written to.
#[derive(Debug, Clone)]
pub struct Connector {
    server: PostgreSqlServer,
    egress: Egress,
    tls: Arc<ClientConfig>,
    silence: Duration,
}

impl Connector {
    /// Returns a connector; `ca` are the authorities to trust instead of the machine's, in PEM. The
    /// system ends connections whose other side acknowledges nothing for `silence`.
    ///
    /// # Errors
    /// `Internal`, and the reason for which the authorities cannot be used.
    pub fn new(
        server: PostgreSqlServer,
        ca: Option<&str>,
        egress: Egress,
        silence: Duration,
    ) -> crate::error::Result<Self> {
        let tls = match ca {
            None => egress.tls()?,
            Some(pem) => trusting(pem, server.tls.check).map_err(|reason| {
                let message = format!("journal.postgres.ca: {reason}");
                crate::error::Error::new(ErrorKind::InvalidOption, message)
            })?,
        };
        let tls = Arc::new(server.tls.with_protocol(tls));
        Ok(Self { server, egress, tls, silence })
    }

    /// Opens a connection. The caller drives it.
    ///
    /// # Errors
    /// The reason of the last server that was tried.
    pub async fn connect(&self) -> Result<(Client, Trusted), ConnectError> {
        self.connect_noting(&ServerProcess::default()).await
    }

    /// Opens a connection, and notes the process that serves it, as the other side says.
    ///
    /// # Errors
    /// The reason of the last server that was tried.
    pub async fn connect_noting(
        &self,
        process: &ServerProcess,
    ) -> Result<(Client, Trusted), ConnectError> {
        let mut last = None;
        for (host, port) in &self.server.hosts {
            let limit = self.server.connect_timeout;
            let opened = tokio::time::timeout(limit, self.connect_to(host, *port, process)).await;
            match opened.unwrap_or_else(|_| Err(late(host, *port, limit.as_secs()))) {
                Ok(opened) => return Ok(opened),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            ConnectError::Unreached(Failure::new(ErrorKind::Connect, "the URL names no host"))
        }))
    }

    async fn connect_to(
        &self,
        host: &str,
        port: u16,
        process: &ServerProcess,
    ) -> Result<(Client, Trusted), ConnectError> {
        let stream = self.egress.connect_operator(host, port).await;
        let stream = stream.map_err(ConnectError::Unreached)?;
        // Where a system has no such limit, the waits for responses end.
        let _ = limit_silence(&stream, self.silence);
        let stream = Framed::new(stream, self.server.asks_for_encryption());
        let tls = Encrypt { config: Arc::clone(&self.tls), host: host.to_owned() };
        let config = self.server.config(host);
        let stream = stream.with_max_rows(usize::MAX).with_process(Arc::clone(process));
        config.connect_raw(stream, tls).await.map_err(ConnectError::Refused)
    }
}

/// Has the system end a connection whose other side acknowledges nothing for `limit`, also while it
/// only waits for data.
fn limit_silence(stream: &TcpStream, limit: Duration) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    // Systems count whole seconds.
    let probe = (limit / 4).max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limit))?;
    Ok(())
}

fn late(host: &str, port: u16, seconds: u64) -> ConnectError {
    let message = format!("no connection to {host}:{port} within {seconds} s (connect_timeout)");
    ConnectError::Unreached(Failure::new(ErrorKind::Timeout, message).during(Phase::Connect))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_watches_a_connection_that_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        limit_silence(&stream, Duration::from_secs(10)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 2);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(10)));
        }
    }
}
