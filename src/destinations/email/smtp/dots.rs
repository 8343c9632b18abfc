//! The form in which DATA carries a mail. Pure.

/// Returns a mail as it follows DATA: every line ends with CRLF, a dot at the beginning of a line is
/// doubled, and a dot alone ends it (RFC 5321 4.5.2). A bare CR or LF is a line end too, so that no
/// server sees an end of the mail where another one sees text.
pub(super) fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 64 + 5);
    let mut rest = mail;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = match after {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => after,
        };
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_crlf_and_their_dots_are_doubled() {
        for (mail, expected) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"\r\n..a\r\n\r\n", b"\r\n...a\r\n\r\n.\r\n"),
            (b"a.b\r\nc.", b"a.b\r\nc.\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(mail), expected, "{mail:?}");
        }
    }
}
