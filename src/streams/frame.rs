//! Frames of a stream, encoded once for all clients.

use bytes::{BufMut, Bytes, BytesMut};

/// A part of a stream: as it is, and as a chunk of HTTP/1.1 around the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    chunk: Bytes,
    start: usize,
}

impl Frame {
    /// Returns a frame of these bytes, of which there is at least one: an empty chunk would be the
    /// last.
    #[must_use]
    pub fn new(plain: &[u8]) -> Self {
        let head = format!("{:x}\r\n", plain.len());
        let mut chunk = BytesMut::with_capacity(head.len() + plain.len() + 2);
        chunk.put_slice(head.as_bytes());
        chunk.put_slice(plain);
        chunk.put_slice(b"\r\n");
        Self { chunk: chunk.freeze(), start: head.len() }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn plain(&self) -> Bytes {
        self.chunk.slice(self.start..self.chunk.len().saturating_sub(2))
    }

    /// Returns the bytes as a chunk (RFC 9112, section 7.1).
    #[must_use]
    pub fn chunk(&self) -> Bytes {
        self.chunk.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_bytes_and_a_chunk_of_them() {
        let frame = Frame::new(b"data: 0123456789\n\n");
        assert_eq!(frame.plain(), &b"data: 0123456789\n\n"[..]);
        assert_eq!(frame.chunk(), &b"12\r\ndata: 0123456789\n\n\r\n"[..]);
    }
}
