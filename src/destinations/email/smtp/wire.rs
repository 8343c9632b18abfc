//! A connection that sends commands and reads replies, one at a time.
//!
//! **Invariant:** nothing that arrived before a command was written is taken for its reply. A server
//! that replies too early, or twice, is found out before anything else is sent.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reply::{MalformedReply, Reply, ReplyReader};

/// The bytes of a connection, in the clear or over TLS.
pub(in crate::destinations::email) trait Transport:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection of any kind.
pub(in crate::destinations::email) type SmtpStream = Box<dyn Transport>;

/// The reason why there is no reply to a command.
#[derive(Debug)]
pub(super) enum WireError {
    /// The server closed the connection.
    Closed,
    Broken(io::Error),
    MalformedReply(MalformedReply),
    /// The server replied before it had the whole command or mail.
    Early(Reply),
}

/// A connection, and what arrived on it.
pub(super) struct Wire {
    connection: SmtpStream,
    replies: ReplyReader,
}

impl Wire {
    pub(super) fn new(connection: SmtpStream) -> Self {
        Self { connection, replies: ReplyReader::default() }
    }

    /// Returns the connection for a TLS handshake; none if bytes arrived that belong to nothing: they
    /// were not encrypted, so they may be from anyone.
    pub(super) fn into_connection(self) -> Option<SmtpStream> {
        self.replies.is_idle().then_some(self.connection)
    }

    /// Waits for the next reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, WireError> {
        loop {
            if let Some(reply) = self.replies.next().map_err(WireError::MalformedReply)? {
                return Ok(reply);
            }
            poll_fn(|cx| self.poll_fill(cx)).await?;
        }
    }

    /// Writes bytes, all of them before any reply to them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let mut left = bytes;
        let written = poll_fn(|cx| self.poll_write(cx, &mut left)).await;
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(WireError::Early(self.reply().await?)),
            // The server may have sent the reason why it accepts no more.
            Err(WireError::Broken(error)) => match self.reply().await {
                Ok(reply) => Err(WireError::Early(reply)),
                Err(_) => Err(WireError::Broken(error)),
            },
            Err(error) => Err(error),
        }
    }

    /// Writes several commands, the first of which may be replied to before the last is written.
    pub(super) async fn write_group(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if !self.replies.is_idle() {
            return Err(WireError::Early(self.reply().await?));
        }
        let mut left = bytes;
        match poll_fn(|cx| self.poll_write_group(cx, &mut left)).await {
            // A reply that the server sent before it closed the connection is read first.
            Err(_) if !self.replies.is_idle() => Ok(()),
            written => written,
        }
    }

    /// Writes, and buffers what arrives, so that neither side waits for the other to read.
    fn poll_write_group(
        &mut self,
        cx: &mut Context<'_>,
        left: &mut &[u8],
    ) -> Poll<Result<(), WireError>> {
        loop {
            if self.poll_fill(cx)?.is_ready() {
                continue;
            }
            if left.is_empty() {
                return Pin::new(&mut self.connection).poll_flush(cx).map_err(WireError::Broken);
            }
            let count = ready!(Pin::new(&mut self.connection).poll_write(cx, left))
                .map_err(WireError::Broken)?;
            if count == 0 {
                return Poll::Ready(Err(WireError::Closed));
            }
            *left = &left[count..];
        }
    }

    /// Writes while nothing arrives; `false` if something did.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        left: &mut &[u8],
    ) -> Poll<Result<bool, WireError>> {
        loop {
            if !self.replies.is_idle() {
                return Poll::Ready(Ok(false));
            }
            if self.poll_fill(cx)?.is_ready() {
                continue;
            }
            if left.is_empty() {
                ready!(Pin::new(&mut self.connection).poll_flush(cx)).map_err(WireError::Broken)?;
                return Poll::Ready(Ok(true));
            }
            let count = ready!(Pin::new(&mut self.connection).poll_write(cx, left))
                .map_err(WireError::Broken)?;
            if count == 0 {
                return Poll::Ready(Err(WireError::Closed));
            }
            *left = &left[count..];
        }
    }

    /// Reads what has arrived.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut space = [0; 2048];
        let mut space = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.connection).poll_read(cx, &mut space))
            .map_err(WireError::Broken)?;
        if space.filled().is_empty() {
            return Poll::Ready(Err(WireError::Closed));
        }
        self.replies.push(space.filled());
        Poll::Ready(Ok(()))
    }
}
