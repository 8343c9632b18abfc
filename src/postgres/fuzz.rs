//! The fuzz targets of a PostgreSQL server: its messages, and its URL.

use super::PostgreSqlServer;
use super::framing::{MAX_ROWS, Messages};

/// Follows messages, which are too large or not however they arrive.
pub(crate) fn messages(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let pass = |size: usize| {
        let mut messages = Messages::new(MAX_ROWS);
        bytes.chunks(size).try_for_each(|piece| messages.pass(piece)).is_ok()
    };
    let whole = pass(bytes.len().max(1));
    assert_eq!(pass(1 + usize::from(*size)), whole);
    assert_eq!(pass(1), whole);
}

/// Reads a URL of a server.
pub(crate) fn uri(bytes: &[u8]) {
    let _ = PostgreSqlServer::parse(&String::from_utf8_lossy(bytes));
}
