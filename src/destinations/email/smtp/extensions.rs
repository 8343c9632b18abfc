//! The extensions that a server offers in its reply to EHLO. Pure.

use super::reply::Reply;

/// The extensions that a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one keyword of the server's")]
pub(in crate::destinations::email) struct Extensions {
    pub(in crate::destinations::email) starttls: bool,
    pub(in crate::destinations::email) eight_bit_mime: bool,
    pub(in crate::destinations::email) smtp_utf8: bool,
    pub(in crate::destinations::email) pipelining: bool,
    /// The largest mail if SIZE is offered; `usize::MAX` where it names no limit.
    pub(in crate::destinations::email) size: Option<usize>,
    /// The mechanisms of AUTH, in upper case.
    pub(in crate::destinations::email) auth: Vec<String>,
}

impl Extensions {
    /// Reads the lines of a reply to EHLO, of which the first is a greeting. Keywords are in any case.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // `AUTH=LOGIN` is the form of old servers.
            let mut words = line.split(|c: char| c.is_whitespace() || c == '=');
            let mut words = words.by_ref().filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => extensions.starttls = true,
                Some("8BITMIME") => extensions.eight_bit_mime = true,
                Some("SMTPUTF8") => extensions.smtp_utf8 = true,
                Some("PIPELINING") => extensions.pipelining = true,
                Some("SIZE") => {
                    let limit = words.next().and_then(|word| word.parse().ok());
                    extensions.size = Some(limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX));
                }
                Some("AUTH") => extensions.auth.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        extensions
    }

    /// Returns whether a mechanism of AUTH is offered.
    pub(super) fn offers(&self, mechanism: &str) -> bool {
        self.auth.iter().any(|offered| offered == mechanism)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Extensions {
        Extensions::read(&Reply { code: 250, lines: lines.iter().map(|&l| l.to_owned()).collect() })
    }

    #[test]
    fn keywords_are_read_in_any_case() {
        for lines in [
            [
                "mx",
                "STARTTLS",
                "8BITMIME",
                "SMTPUTF8",
                "PIPELINING",
                "SIZE 100",
                "AUTH PLAIN LOGIN",
            ],
            [
                "mx",
                "starttls",
                "8bitmime ",
                "SmtpUtf8",
                "pipelining",
                "size  100",
                "Auth plain  Login",
            ],
            [
                "mx",
                "StartTLS",
                "8BitMime",
                "smtpUTF8",
                "Pipelining",
                "Size=100",
                "AUTH=Plain login",
            ],
        ] {
            let read = read(&lines);
            assert!(read.starttls && read.eight_bit_mime && read.smtp_utf8 && read.pipelining);
            assert_eq!(read.size, Some(100));
            assert!(read.offers("PLAIN") && read.offers("LOGIN") && !read.offers("XOAUTH2"));
        }
    }

    #[test]
    fn the_greeting_is_no_extension_and_a_size_may_be_missing() {
        assert_eq!(read(&["STARTTLS"]), Extensions::default());
        for line in ["SIZE", "SIZE 0", "SIZE x"] {
            assert_eq!(read(&["mx", line]).size, Some(usize::MAX));
        }
        assert_eq!(read(&["mx", "", "X-STARTTLS", "STARTTLSX"]), Extensions::default());
    }
}
