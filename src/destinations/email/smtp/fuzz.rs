//! The fuzz targets of the dialogue with a server.

use super::dots::stuffed;
use super::extensions::Extensions;
use super::reply::{MalformedReply, Reply, ReplyReader};

/// Reads replies. They are the same however they arrive.
pub(crate) fn replies(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, 1 + usize::from(*size)), whole, "pieces of {}", 1 + usize::from(*size));
    assert_eq!(read(bytes, 1), whole, "single bytes");
    for reply in &whole.0 {
        assert!((200..600).contains(&reply.code), "{reply:?}");
        assert!(!reply.text().contains(char::is_control), "{reply:?}");
        let _ = Extensions::read(reply);
    }
}

fn read(bytes: &[u8], size: usize) -> (Vec<Reply>, Option<MalformedReply>) {
    let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    for piece in bytes.chunks(size) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

/// Writes a mail for DATA. It ends where it should and nowhere before, and is the same mail with its
/// dots taken away.
pub(crate) fn dots(mail: &[u8]) {
    let sent = stuffed(mail);
    let Some(body) = sent.strip_suffix(b".\r\n") else { panic!("no end") };
    let mut received = Vec::new();
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.ends_with(b"\r\n") && line != b".\r\n", "{line:?}");
        let line = line.strip_prefix(b".").unwrap_or(line);
        assert!(!line[..line.len() - 2].contains(&b'\r'), "a bare line end");
        received.extend_from_slice(line);
    }
    let lines = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).replace("\r\n", "\n").replace('\r', "\n");
        text.trim_end_matches('\n').to_owned()
    };
    assert_eq!(lines(&received), lines(mail));
}
