//! Splits a connection URI of libpq into its parts. Pure.
//!
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>

use url::Host;

use crate::percent::decoded;

/// The port of a host that names none.
const DEFAULT_PORT: u16 = 5432;

/// The parts of a URI, decoded.
#[derive(Default)]
pub(crate) struct Uri {
    pub hosts: Vec<(String, u16)>,
    pub user: String,
    pub password: Option<String>,
    pub database: String,
    /// The parameters behind the `?`, in their order.
    pub parameters: Vec<(String, String)>,
}

impl Uri {
    /// Reads `postgres://user:password@host:port,host:port/database?name=value&…`.
    ///
    /// # Errors
    /// The reason; it repeats nothing of the URI, in which there may be a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rest = text
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
            .map(|(_, rest)| rest)
            .ok_or("must begin with postgres:// or postgresql://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login, hosts),
            None => ("", authority),
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (login, None),
        };
        let mut uri = Self {
            hosts: Vec::new(),
            user: decoded(user)?,
            password,
            database: decoded(path)?,
            parameters: Vec::new(),
        };
        let hosts: Vec<_> = hosts.split(',').map(place).collect::<Result<_, String>>()?;
        let (mut names, mut ports): (Vec<_>, Vec<_>) = hosts.into_iter().unzip();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            match name.as_str() {
                "user" => uri.user = value,
                "password" => uri.password = Some(value),
                "dbname" => uri.database = value,
                "host" => names = value.split(',').map(str::to_owned).collect(),
                "port" => ports = value.split(',').map(port).collect::<Result<_, String>>()?,
                _ => uri.parameters.push((name, value)),
            }
        }
        uri.hosts = places(names, &ports)?;
        Ok(uri)
    }
}

/// Pairs hosts with their ports: one port is for all hosts.
fn places(names: Vec<String>, ports: &[Option<u16>]) -> Result<Vec<(String, u16)>, String> {
    let shared = match ports {
        [one] => Some(*one),
        _ if ports.len() == names.len() => None,
        _ => return Err("names another number of ports than of hosts".to_owned()),
    };
    let pair = |(place, name): (usize, String)| {
        let port = shared.or_else(|| ports.get(place).copied()).flatten();
        Ok((host(&name)?, port.unwrap_or(DEFAULT_PORT)))
    };
    names.into_iter().enumerate().map(pair).collect()
}

/// Splits `host:port` or `[::1]:port`.
fn place(text: &str) -> Result<(String, Option<u16>), String> {
    let (name, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']').ok_or("has a [ without its ]")?,
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    match rest.strip_prefix(':') {
        Some(digits) => Ok((decoded(name)?, port(digits)?)),
        None if rest.is_empty() => Ok((decoded(name)?, None)),
        None => Err("has something between a host and its port".to_owned()),
    }
}

fn port(digits: &str) -> Result<Option<u16>, String> {
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse().ok().filter(|port| *port > 0);
    number.map(Some).ok_or_else(|| {
        "has a port that is not a number from 1 to 65535 (in a password, write : as %3A, / as %2F, ? \
         as %3F and @ as %40)"
            .to_owned()
    })
}

/// Checks the name of a host, and returns it as the network spells it.
fn host(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("names no host".to_owned());
    }
    if name.starts_with(['/', '@']) {
        return Err(
            "names a Unix socket, which is not supported: name a host, such as 127.0.0.1, \
                    and let the server listen there"
                .to_owned(),
        );
    }
    if let Ok(ip) = name.parse::<std::net::IpAddr>() {
        return Ok(ip.to_string());
    }
    match Host::parse(name) {
        Ok(Host::Domain(name)) => Ok(name),
        Ok(Host::Ipv4(ip)) => Ok(ip.to_string()),
        Ok(Host::Ipv6(ip)) => Ok(ip.to_string()),
        Err(error) => Err(format!("names no host: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<(String, u16)> {
        Uri::parse(text).unwrap().hosts
    }

    #[test]
    fn hosts_and_ports_are_read_as_libpq_reads_them() {
        for (text, expected) in [
            ("postgres://h", &[("h", 5432)][..]),
            ("postgres://u@H.Example.com:6000/db", &[("h.example.com", 6000)]),
            ("postgres://u@one:1,two/db", &[("one", 1), ("two", 5432)]),
            ("postgres://u@[::1]:6000,[2001:db8::1]", &[("::1", 6000), ("2001:db8::1", 5432)]),
            ("postgres:///db?host=a,b&port=7", &[("a", 7), ("b", 7)]),
            ("postgres://u@h:1/db?host=a,b&port=7,8", &[("a", 7), ("b", 8)]),
            ("postgres://u@b%C3%BCcher.example/db", &[("xn--bcher-kva.example", 5432)]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
            assert_eq!(hosts(text), expected, "{text}");
        }
    }

    #[test]
    fn every_part_is_decoded() {
        let uri = Uri::parse(" postgres://m%40e:p#%2Fw%3A@h/a%20b?options=--c%3Dx&x=%26 ").unwrap();
        assert_eq!((uri.user.as_str(), uri.password.as_deref()), ("m@e", Some("p#/w:")));
        assert_eq!(uri.database, "a b");
        let parameters = [("options", "--c=x"), ("x", "&")];
        assert_eq!(uri.parameters, parameters.map(|(n, v)| (n.to_owned(), v.to_owned())));
        let uri = Uri::parse("postgresql://h/?user=u&password=p&dbname=d").unwrap();
        assert_eq!((&*uri.user, uri.password.as_deref(), &*uri.database), ("u", Some("p"), "d"));
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for (text, reason) in [
            ("", "must begin with"),
            ("mysql://u:secret@h", "must begin with"),
            ("postgres://", "names no host"),
            ("postgres://u:secret@one,,two/db", "names no host"),
            ("postgres://u:secret@/db", "names no host"),
            ("postgres://%2Fvar%2Frun/db", "Unix socket"),
            ("postgres:///db?host=/var/run", "Unix socket"),
            ("postgres://u@h:0/db", "1 to 65535"),
            ("postgres://u@h:65536/db", "1 to 65535"),
            ("postgres://u:se/cret@h/db", "1 to 65535"),
            ("postgres://u@[::1/db", "without its ]"),
            ("postgres:///db?host=a,b,c&port=1,2", "another number of ports"),
        ] {
            let found = Uri::parse(text).map(|_| ()).unwrap_err();
            assert!(found.contains(reason) && !found.contains("secret"), "{text}: {found}");
        }
    }
}
