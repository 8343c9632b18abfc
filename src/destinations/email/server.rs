//! `email.smtp`: the relay, spelled as a URL.

use std::fmt;

use url::{Host, Url};

use crate::percent::decoded;

/// The policy of encrypting the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the first byte.
    Implicit,
    /// By STARTTLS, and not at all without it.
    Required,
    /// By STARTTLS if the server offers it.
    Offered,
    /// Never.
    None,
}

/// An SMTP server and how to log in there.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) login: Option<(String, String)>,
}

impl SmtpServer {
    /// Returns whether there is a user in the URL.
    #[must_use]
    pub const fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Reads `smtp://user:password@host:587` or `smtps://…`. `?tls=required` and `?tls=none`
    /// control STARTTLS: by default it is used when offered, and required if there is a password to
    /// protect.
    ///
    /// # Errors
    /// The reason why it cannot be read; the text repeats nothing of the URL, which may contain a
    /// password.
    ///
    /// # Errors
    /// The reason why it cannot be read; the text repeats nothing of the URL, in which there may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        let implicit = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err("must begin with smtp:// or smtps://".to_owned()),
        };
        let host = match url.host().ok_or("names no host")? {
            // A URL of this scheme keeps its host as it is written.
            Host::Domain(name) => match Host::parse(&decoded(name)?) {
                Ok(Host::Domain(name)) => name,
                Ok(Host::Ipv4(ip)) => ip.to_string(),
                _ => return Err("names no host".to_owned()),
            },
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("has a path, which means nothing here".to_owned());
        }
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?)),
        };
        let mut asked = None;
        for (name, value) in url.query_pairs() {
            asked = match (&*name, &*value, implicit) {
                ("tls", "required", false) => Some(Encryption::Required),
                ("tls", "none", false) => Some(Encryption::None),
                _ => return Err("knows only ?tls=required and ?tls=none, with smtp://".to_owned()),
            };
        }
        let encryption = match (implicit, asked) {
            (true, _) => Encryption::Implicit,
            (false, Some(asked)) => asked,
            (false, None) if login.is_some() => Encryption::Required,
            (false, None) => Encryption::Offered,
        };
        let port = url.port().unwrap_or(if implicit { 465 } else { 587 });
        Ok(Self { host, port, encryption, login })
    }
}

impl fmt::Debug for SmtpServer {
    /// Formats the server without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_only_sent_encrypted_unless_asked_otherwise() {
        let encryption = |text| SmtpServer::parse(text).unwrap().encryption;
        assert_eq!(encryption("smtp://mail.example.com"), Encryption::Offered);
        assert_eq!(encryption("smtp://u:p@mail.example.com"), Encryption::Required);
        assert_eq!(encryption("smtp://u:p@mail.example.com?tls=none"), Encryption::None);
        assert_eq!(encryption("smtp://mail.example.com/?tls=required"), Encryption::Required);
        assert_eq!(encryption("smtps://u:p@mail.example.com"), Encryption::Implicit);
    }

    #[test]
    fn host_port_and_login_are_read() {
        let server = SmtpServer::parse("smtp://me%40x.org:p%2Fw@[::1]:2525").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 2525));
        assert_eq!(server.login, Some(("me@x.org".to_owned(), "p/w".to_owned())));
        assert_eq!(
            SmtpServer::parse("smtp://Bücher.example").unwrap().host,
            "xn--bcher-kva.example"
        );
        assert_eq!(SmtpServer::parse("smtps://h").unwrap().port, 465);
        assert_eq!(SmtpServer::parse("smtp://h").unwrap().port, 587);
        assert!(!format!("{server:?}").contains("p/w"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        for text in ["", "mail", "http://u:secret@h", "smtp://", "smtp://h/path", "smtp://h?a=b"] {
            let reason = SmtpServer::parse(text).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
