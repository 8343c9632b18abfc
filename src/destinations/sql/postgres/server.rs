//! `sql.postgres.url`: the server, spelled as libpq spells it.

use std::fmt;
use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::{Host, Url};

use crate::destinations::percent::decoded;

/// A PostgreSQL server, a database there, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    tls: Tls,
    user: String,
    password: Option<String>,
    database: String,
}

/// When the connection is encrypted. Its certificate is always checked, and that it is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    Disable,
    Prefer,
    Require,
}

impl Server {
    /// Reads `postgres://user:password@host:5432/database`. `?sslmode=disable`, `prefer` or
    /// `require` says when it is encrypted: by default always, but on this machine only if the
    /// server offers it. `verify-ca` and `verify-full` are spellings of `require`.
    ///
    /// # Errors
    /// Why it cannot be read; the text repeats nothing of the URL, in which there may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err("must begin with postgres:// or postgresql://".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
        // Of a scheme that it does not know, the parser leaves a host as it is.
        let host = match Host::parse(host).map_err(|error| format!("names no host: {error}"))? {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let user = decoded(url.username())?;
        if user.is_empty() {
            return Err("names no user".to_owned());
        }
        let database = decoded(url.path().trim_start_matches('/'))?;
        if url.fragment().is_some() {
            return Err("has a #, which is written %23 in a password".to_owned());
        }
        let mut tls = if is_here(&host) { Tls::Prefer } else { Tls::Require };
        for (name, value) in url.query_pairs() {
            tls = match (&*name, &*value) {
                ("sslmode", "disable") => Tls::Disable,
                ("sslmode", "prefer") => Tls::Prefer,
                ("sslmode", "require" | "verify-ca" | "verify-full") => Tls::Require,
                _ => return Err("knows only ?sslmode=disable, prefer and require".to_owned()),
            };
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(5432),
            tls,
            password: url.password().map(decoded).transpose()?,
            database: if database.is_empty() { user.clone() } else { database },
            user,
        })
    }

    /// The same for the client library, without where it is.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name("dollar-send");
        // What the certificate is held against is known to the one who encrypts.
        config.host(&self.host);
        config.ssl_mode(match self.tls {
            Tls::Disable => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require => SslMode::Require,
        });
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for Server {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_libpq_is_read() {
        let server = Server::parse("postgres://me:p%40%2Fw@db.example.com/events").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("db.example.com", 5432));
        assert_eq!((server.user.as_str(), server.database.as_str()), ("me", "events"));
        assert_eq!(server.password.as_deref(), Some("p@/w"));
        assert!(!format!("{server:?}").contains("p@"));
        let server = Server::parse("postgresql://me@[::1]:6000").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 6000));
        assert_eq!((server.database.as_str(), server.password), ("me", None));
    }

    #[test]
    fn connections_are_encrypted_unless_they_stay_here() {
        let tls = |text| Server::parse(text).unwrap().tls;
        assert_eq!(tls("postgres://me@db.example.com/a"), Tls::Require);
        assert_eq!(tls("postgres://me@10.0.0.1/a"), Tls::Require);
        assert_eq!(tls("postgres://me@localhost/a"), Tls::Prefer);
        assert_eq!(tls("postgres://me@127.0.0.1/a?sslmode=verify-full"), Tls::Require);
        assert_eq!(tls("postgres://me@db.example.com/a?sslmode=disable"), Tls::Disable);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        for text in [
            "",
            "db",
            "mysql://u:secret@h",
            "postgres://",
            "postgres://h/a",
            "postgres://u:secret@/a",
            "postgres://u:secret@h/a?options=-c",
            "postgres://u:sec#ret@h/a",
        ] {
            let reason = Server::parse(text).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}
