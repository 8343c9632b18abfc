//! `sql.postgres.url`: the servers, a database there and how to log in. Pure.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};

use super::uri::Uri;

/// The default time-out of connecting to one host and logging in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The least that `connect_timeout` means, as for libpq.
const MIN_CONNECT_TIMEOUT: u64 = 2;
/// The maximum of that time-out.
const MAX_CONNECT_TIMEOUT: u64 = 3600;

/// PostgreSQL servers, the first of which that can be written to is used, and a database there.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgreSqlServer {
    /// Hosts and ports, in the order in which they are tried.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) tls: Tls,
    /// Deadline of connecting to one host.
    pub(crate) connect_timeout: Duration,
    /// True if the session must be one that can write.
    pub(crate) must_write: bool,
    user: String,
    password: Option<String>,
    database: String,
    application_name: String,
    options: Option<String>,
    channel_binding: Binding,
}

/// The encryption of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub mode: Mode,
    /// The check of the certificate.
    pub check: Check,
    /// The file with the authorities to trust instead of the machine's.
    pub authorities: Option<PathBuf>,
    direct: bool,
}

/// The policy of encrypting the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Disable,
    Prefer,
    Require,
}

/// The check of a certificate. There is no connection without a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// A trusted authority issued it.
    Authority,
    /// It must also be the host's.
    Host,
}

/// The policy of channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    Disable,
    Prefer,
    Require,
}

/// Parameters of libpq, of poolers and of other clients that change nothing here.
const IGNORED: [&str; 37] = [
    "fallback_application_name",
    "client_encoding",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "load_balance_hosts",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "sslcertmode",
    "gssencmode",
    "gssdelegation",
    "krbsrvname",
    "gsslib",
    "min_protocol_version",
    "max_protocol_version",
    "pgbouncer",
    "connection_limit",
    "pool_timeout",
    "pool_size",
    "pool_mode",
    "socket_timeout",
    "statement_cache_size",
    "prepared_statements",
    "prepareThreshold",
    "preparedStatementCacheQueries",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "max_idle_connection_lifetime",
    "uselibpqcompat",
    "supa",
    "workaround",
    "binary_parameters",
    "default_query_exec_mode",
];

/// The protocol that a connection names if it begins with the encryption.
const ALPN: &[u8] = b"postgresql";

impl Tls {
    /// Returns the configuration with the protocol that the server is to choose.
    pub(crate) fn with_protocol(&self, mut config: ClientConfig) -> ClientConfig {
        if self.direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        config
    }
}

/// Shows the hosts and the database; the user and the password are no part of it.
impl fmt::Display for PostgreSqlServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> =
            self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.database)
    }
}

impl PostgreSqlServer {
    /// Reads a connection URI as libpq does. Without `sslmode` the connection is encrypted, but on
    /// this machine only if the server offers that. The certificate is checked in every mode.
    ///
    /// # Errors
    /// The reason; it repeats nothing of the URL but the name of a parameter, because there may be a
    /// password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri = Uri::parse(text)?;
        if uri.user.is_empty() {
            return Err("names no user".to_owned());
        }
        let is_here = uri.hosts.iter().all(|(host, _)| is_here(host));
        let mut server = Self {
            must_write: uri.hosts.len() > 1,
            hosts: uri.hosts,
            tls: Tls {
                mode: if is_here { Mode::Prefer } else { Mode::Require },
                check: Check::Host,
                authorities: None,
                direct: false,
            },
            connect_timeout: CONNECT_TIMEOUT,
            database: if uri.database.is_empty() { uri.user.clone() } else { uri.database },
            user: uri.user,
            password: uri.password,
            application_name: "dollar-send".to_owned(),
            options: None,
            channel_binding: Binding::Prefer,
        };
        for (name, value) in uri.parameters {
            server.set(&name, value)?;
        }
        if server.tls.direct && server.tls.mode != Mode::Require {
            return Err("needs sslmode=require for sslnegotiation=direct".to_owned());
        }
        if server.channel_binding == Binding::Require && server.tls.mode == Mode::Disable {
            return Err("asks for channel_binding=require without encryption".to_owned());
        }
        Ok(server)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "sslmode" | "ssl" => self.set_mode(name, &value)?,
            "sslrootcert" => {
                let is_file = !value.is_empty() && value != "system";
                self.tls.authorities = is_file.then(|| value.into());
            }
            "sslnegotiation" => {
                self.tls.direct = one_of(name, &value, &["postgres", "direct"])? == 1;
            }
            "channel_binding" => {
                let place = one_of(name, &value, &["disable", "prefer", "require"])?;
                self.channel_binding = [Binding::Disable, Binding::Prefer, Binding::Require][place];
            }
            "target_session_attrs" => {
                let place = one_of(name, &value, &["any", "read-write", "primary"])?;
                self.must_write |= place > 0;
            }
            "connect_timeout" => {
                let seconds = value.trim().parse::<i64>().map_err(|_| {
                    "has a connect_timeout that is not a whole number of seconds".to_owned()
                })?;
                let seconds = u64::try_from(seconds).unwrap_or_default();
                // 0 is without end for libpq; here an attempt has its own, sql.timeoutMs.
                self.connect_timeout = Duration::from_secs(match seconds {
                    0 => MAX_CONNECT_TIMEOUT,
                    some => some.clamp(MIN_CONNECT_TIMEOUT, MAX_CONNECT_TIMEOUT),
                });
            }
            "application_name" => self.application_name = value,
            "options" => self.options = Some(value).filter(|options| !options.is_empty()),
            "schema" => {
                return Err("has a schema: that is the option sql.postgres.schema".to_owned());
            }
            known if IGNORED.contains(&known) => {}
            other if other.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                return Err(format!("has a parameter that is not supported: {other}"));
            }
            _ => return Err("has a parameter that is not known".to_owned()),
        }
        Ok(())
    }

    fn set_mode(&mut self, name: &str, value: &str) -> Result<(), String> {
        (self.tls.mode, self.tls.check) = match value {
            "disable" | "false" => (Mode::Disable, Check::Host),
            "allow" | "prefer" => (Mode::Prefer, Check::Host),
            "require" | "verify-full" | "true" => (Mode::Require, Check::Host),
            "verify-ca" => (Mode::Require, Check::Authority),
            "no-verify" => {
                return Err("has sslmode=no-verify, and the certificate is always checked: name \
                            the authority with sslrootcert or sql.postgres.ca"
                    .to_owned());
            }
            _ => {
                let modes = "disable, allow, prefer, require, verify-ca or verify-full";
                return Err(format!("has {name} with a value that is not {modes}"));
            }
        };
        Ok(())
    }

    /// Returns the file with the authorities to trust instead of the machine's (`sslrootcert`).
    #[must_use]
    pub fn authorities(&self) -> Option<&Path> {
        self.tls.authorities.as_deref()
    }

    /// Returns whether the connection begins with a request for encryption.
    pub(crate) fn asks_for_encryption(&self) -> bool {
        self.tls.mode != Mode::Disable && !self.tls.direct
    }

    /// Returns the configuration of the client library for one of the hosts.
    pub(crate) fn config(&self, host: &str) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name(&self.application_name);
        // The certificate is held against the host's name where the connection is encrypted.
        config.host(host);
        config.ssl_mode(match self.tls.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require => SslMode::Require,
        });
        if self.tls.direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config.channel_binding(match self.channel_binding {
            Binding::Disable => ChannelBinding::Disable,
            Binding::Prefer => ChannelBinding::Prefer,
            Binding::Require => ChannelBinding::Require,
        });
        if let Some(options) = &self.options {
            config.options(options);
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }
}

/// Returns the place of a value in a list of those that are allowed.
fn one_of(name: &str, value: &str, allowed: &[&str]) -> Result<usize, String> {
    let place = allowed.iter().position(|one| *one == value);
    place.ok_or_else(|| {
        let reason = if name == "target_session_attrs" {
            " (rows are written, so that a server for reading alone does not do)"
        } else {
            ""
        };
        format!("has {name} with a value that is not {}{reason}", allowed.join(", "))
    })
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for PostgreSqlServer {
    /// Formats the server without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("hosts", &self.hosts)
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
        let server =
            PostgreSqlServer::parse("postgres://me:p%40%2Fw@db.example.com/events").unwrap();
        assert_eq!(server.hosts, [("db.example.com".to_owned(), 5432)]);
        assert_eq!((server.user.as_str(), server.database.as_str()), ("me", "events"));
        assert_eq!(server.password.as_deref(), Some("p@/w"));
        assert!(!format!("{server:?}").contains("p@"));
        let server = PostgreSqlServer::parse("postgresql://me@[::1]:6000").unwrap();
        assert_eq!((server.database.as_str(), server.password), ("me", None));
    }

    #[test]
    fn urls_of_providers_are_read_as_they_are_printed() {
        for text in [
            "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/db?sslmode=require&channel_binding=require",
            "postgresql://postgres.x:p@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true",
            "postgres://u:p@h/db?connect_timeout=10&application_name=x",
            "postgres://u:p@h/db?sslmode=verify-full&sslrootcert=system",
            "postgresql://u:p@h:26257/db?sslmode=verify-full&options=--cluster%3Dx",
            "postgres://u:p@a:5432,b:5433/db?target_session_attrs=read-write&load_balance_hosts=random",
            "postgres://u:p@h/db?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem&sslnegotiation=direct",
            "postgres://u:p@h/db?ssl=true&supa=base-pooler.x&keepalives=1",
            "postgres://u:p@h/db?",
        ] {
            assert!(
                PostgreSqlServer::parse(text).is_ok(),
                "{text}: {:?}",
                PostgreSqlServer::parse(text)
            );
        }
        let parse =
            |query: &str| PostgreSqlServer::parse(&format!("postgres://u:p@h/db?{query}")).unwrap();
        let config = parse("options=--a%3Db&application_name=x").config("h");
        assert_eq!(
            (config.get_options(), config.get_application_name()),
            (Some("--a=b"), Some("x"))
        );
        assert_eq!(parse("sslrootcert=/a/b.pem").tls.authorities, Some("/a/b.pem".into()));
        assert_eq!(parse("sslrootcert=system").tls.authorities, None);
        for (text, seconds) in [("0", 3600), ("1", 2), ("10", 10), ("-5", 3600)] {
            let found = parse(&format!("connect_timeout={text}")).connect_timeout;
            assert_eq!(found, Duration::from_secs(seconds), "{text}");
        }
        assert!(parse("target_session_attrs=primary").must_write);
        assert!(!parse("target_session_attrs=any").must_write);
    }

    #[test]
    fn connections_are_encrypted_unless_they_stay_here() {
        for (text, mode, check) in [
            ("me@db.example.com/a", Mode::Require, Check::Host),
            ("me@10.0.0.1/a", Mode::Require, Check::Host),
            ("me@localhost/a", Mode::Prefer, Check::Host),
            ("me@localhost,db.example.com/a", Mode::Require, Check::Host),
            ("me@127.0.0.1/a?sslmode=verify-full", Mode::Require, Check::Host),
            ("me@127.0.0.1/a?sslmode=verify-ca", Mode::Require, Check::Authority),
            ("me@db.example.com/a?sslmode=allow", Mode::Prefer, Check::Host),
            ("me@db.example.com/a?sslmode=disable", Mode::Disable, Check::Host),
        ] {
            let tls = PostgreSqlServer::parse(&format!("postgres://{text}")).unwrap().tls;
            assert_eq!((tls.mode, tls.check), (mode, check), "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_its_name() {
        for (text, reason) in [
            ("h/a", "names no user"),
            ("u:secret@h/a?sslcert=x", "not supported: sslcert"),
            ("u:secret@h/a?replication=database", "not supported: replication"),
            ("u:secret@h/a?service=x", "not supported: service"),
            ("u:secret@h/a?hostaddr=1.2.3.4", "not supported: hostaddr"),
            ("u:secret@h/a?Secret@x=1", "not known"),
            ("u:secret@h/a?sslmode=no-verify", "always checked"),
            ("u:secret@h/a?sslmode=secret", "value that is not disable"),
            ("u:secret@h/a?target_session_attrs=standby", "rows are written"),
            ("u:secret@h/a?connect_timeout=soon", "connect_timeout"),
            ("u:secret@h/a?channel_binding=maybe", "channel_binding"),
            ("u:secret@h/a?sslmode=disable&channel_binding=require", "without encryption"),
            ("u:secret@h/a?sslmode=prefer&sslnegotiation=direct", "sslmode=require"),
            ("u:secret@h/a?schema=x", "sql.postgres.schema"),
        ] {
            let found = PostgreSqlServer::parse(&format!("postgres://{text}")).unwrap_err();
            assert!(found.contains(reason) && !found.contains("secret"), "{text}: {found}");
        }
    }
}
