//! The replies of an SMTP server, read from bytes in any encoding. Pure.

/// Bytes that one line of a reply may have. RFC 5321 has 512; servers send more.
const MAX_LINE: usize = 64 << 10;

/// Bytes that all lines of a reply may have together.
const MAX_REPLY: usize = 256 << 10;

/// One reply: a code, and the text of each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::destinations::email) struct Reply {
    pub(in crate::destinations::email) code: u16,
    pub(in crate::destinations::email) lines: Vec<String>,
}

impl Reply {
    /// Returns whether the command succeeded.
    pub(super) const fn is_positive(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    /// Returns whether the server expects more: 354 or 334.
    pub(super) const fn is_intermediate(&self) -> bool {
        self.code >= 300 && self.code < 400
    }

    /// Returns whether the server may do it another time.
    pub(super) const fn is_transient(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// Returns whether the server refuses for good.
    pub(super) const fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// Returns the code and the text, in one line.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        std::iter::once(self.code.to_string())
            .chain(lines.map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// The reason why bytes are not a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MalformedReply {
    LineTooLong,
    ReplyTooLong,
    /// A line that does not begin with a code, as far as it can be shown.
    NoCode(String),
    /// The lines of one reply have different codes.
    MixedCodes,
}

impl std::fmt::Display for MalformedReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "a line of more than {MAX_LINE} bytes"),
            Self::ReplyTooLong => write!(f, "a reply of more than {MAX_REPLY} bytes"),
            Self::NoCode(line) => write!(f, "a line without a reply code: {line:?}"),
            Self::MixedCodes => f.write_str("one reply with several codes"),
        }
    }
}

/// Bytes that have arrived, and the replies in them.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    buffer: Vec<u8>,
    /// The lines of a reply whose last line has not come yet.
    begun: Option<Reply>,
    begun_bytes: usize,
}

impl ReplyReader {
    /// Adds bytes that have arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns whether nothing has arrived that was not read. Empty lines do not count.
    pub(super) fn is_idle(&self) -> bool {
        self.begun.is_none() && self.buffer.iter().all(u8::is_ascii_whitespace)
    }

    /// Returns the next reply, or none while its last line has not arrived.
    ///
    /// # Errors
    /// The reason why the bytes are no reply. Nothing can be read after it.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, MalformedReply> {
        let mut at = 0;
        let reply = loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[at..]) else {
                if self.buffer.len() - at > MAX_LINE {
                    return Err(MalformedReply::LineTooLong);
                }
                break None;
            };
            if end > MAX_LINE {
                return Err(MalformedReply::LineTooLong);
            }
            let line = self.buffer[at..at + end].trim_ascii_end();
            at += end + 1;
            if line.is_empty() && self.begun.is_none() {
                continue;
            }
            self.begun_bytes += end + 1;
            if self.begun_bytes > MAX_REPLY {
                return Err(MalformedReply::ReplyTooLong);
            }
            let (code, is_last, text) = split(line)?;
            let reply = self.begun.get_or_insert(Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(MalformedReply::MixedCodes);
            }
            reply.lines.push(text);
            if is_last {
                self.begun_bytes = 0;
                break self.begun.take();
            }
        };
        self.buffer.drain(..at);
        Ok(reply)
    }
}

/// Splits a line into its code, whether it is the last one of its reply, and its text.
fn split(line: &[u8]) -> Result<(u16, bool, String), MalformedReply> {
    let no_code = || MalformedReply::NoCode(text(&line[..line.len().min(100)]));
    let (digits, rest) = line.split_at_checked(3).ok_or_else(no_code)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return Err(no_code());
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Ok((code, true, String::new())),
        [b'-', rest @ ..] => Ok((code, false, text(rest))),
        [b' ' | b'\t', rest @ ..] => Ok((code, true, text(rest))),
        _ => Err(no_code()),
    }
}

/// Decodes text as UTF-8 if valid, otherwise as Latin-1; control characters become spaces.
fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every reply in `bytes`, arriving in pieces of this size.
    fn read(bytes: &[u8], size: usize) -> Result<Vec<(u16, String)>, MalformedReply> {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        for piece in bytes.chunks(size) {
            reader.push(piece);
            while let Some(reply) = reader.next()? {
                replies.push((reply.code, reply.lines.join("|")));
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_are_read_however_they_are_split() {
        let bytes =
            b"\r\n220 mx\r\n250-a\r\n250-b\n250 c\r\n250\r\n\r\n550 Empf\xe4nger\r\n354\tgo\r\n";
        for size in 1..=bytes.len() {
            let expected =
                [(220, "mx"), (250, "a|b|c"), (250, ""), (550, "Empfänger"), (354, "go")];
            let expected = expected.map(|(code, text)| (code, text.to_owned()));
            assert_eq!(read(bytes, size).unwrap(), expected, "{size}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400\r\n"[..], MalformedReply::NoCode("HTTP/1.1 400".to_owned())),
            (b"25\r\n", MalformedReply::NoCode("25".to_owned())),
            (b"2500 ok\r\n", MalformedReply::NoCode("2500 ok".to_owned())),
            (b"150 ok\r\n", MalformedReply::NoCode("150 ok".to_owned())),
            (b"950 ok\r\n", MalformedReply::NoCode("950 ok".to_owned())),
            (b"250-a\r\n550 b\r\n", MalformedReply::MixedCodes),
            (b"550-a\r\n250 b\r\n", MalformedReply::MixedCodes),
        ] {
            assert_eq!(read(bytes, 3), Err(expected));
        }
    }

    #[test]
    fn lines_and_replies_have_a_bound() {
        let fits = [b"250 ".as_slice(), &vec![b'x'; MAX_LINE - 10], b"\r\n"].concat();
        assert_eq!(read(&fits, 1000).unwrap().len(), 1);
        assert_eq!(read(&vec![b'2'; MAX_LINE + 10], 1000), Err(MalformedReply::LineTooLong));
        let long = [b"250 ".as_slice(), &vec![b'x'; MAX_LINE], b"\r\n"].concat();
        assert_eq!(read(&long, long.len()), Err(MalformedReply::LineTooLong));
        let endless = [b"250-".as_slice(), &[b'x'; 1000], b"\r\n"].concat().repeat(300);
        assert_eq!(read(&endless, 997), Err(MalformedReply::ReplyTooLong));
    }

    #[test]
    fn empty_lines_are_nothing_that_waits() {
        let mut reader = ReplyReader::default();
        reader.push(b"250 ok\r\n\r\n");
        assert!(!reader.is_idle());
        reader.next().unwrap().unwrap();
        assert!(reader.is_idle());
        reader.push(b"2");
        assert!(!reader.is_idle());
        reader.push(b"50-a\r\n");
        assert_eq!(reader.next(), Ok(None));
        assert!(!reader.is_idle());
    }
}
