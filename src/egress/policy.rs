//! The egress policy: pure decisions over the operator's lists.
//!
//! The order is: `deny` refuses; then `allow` opens; then public addresses are open and the special
//! ranges of the address table are closed.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address::{closes, opens, special_range};
use super::options::Options;
use super::pattern::{Pattern, normal};
use super::proxy::Proxy;
use super::self_addresses::SelfAddresses;
use crate::delivery::Failure;
use crate::error::{Error, ErrorKind, Result};

/// The longest host name that a message repeats, in characters: no longer one can be resolved.
const SHOWN_HOST: usize = 253;

/// The schemes that exist for the policy; `egress.schemes` chooses among them.
const SCHEMES: [&str; 2] = ["http", "https"];

/// The checked `egress` options and the decisions they imply.
#[derive(Debug, Clone)]
pub struct Policy {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    ports: Option<Vec<u16>>,
    schemes: Vec<&'static str>,
    proxy: Option<Proxy>,
    no_proxy: Vec<Pattern>,
    local_address: Option<IpAddr>,
    self_addresses: SelfAddresses,
}

impl Policy {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] for the first entry that cannot be meant, naming its path as
    /// JavaScript spells it.
    pub fn new(options: &Options) -> Result<Self> {
        check_addresses(&options.addresses)?;
        Ok(Self {
            allow: patterns("allow", &options.allow)?,
            deny: patterns("deny", &options.deny)?,
            ports: options.ports.as_deref().map(ports).transpose()?,
            schemes: options.schemes.as_deref().map_or(Ok(SCHEMES.to_vec()), schemes)?,
            proxy: options.proxy.as_deref().map(Proxy::parse).transpose()?,
            no_proxy: no_proxy(options)?,
            local_address: options.local_address.as_deref().map(local_address).transpose()?,
            self_addresses: SelfAddresses::default(),
        })
    }

    /// Decides over what a URL shows by itself: scheme, port, and the host's name or address. A
    /// name's addresses are decided over by [`Policy::check_address`] once they are known.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`]; the message repeats the scheme, the port or the host, and
    /// nothing else of the URL.
    pub fn check_url(&self, url: &Url) -> std::result::Result<(), Failure> {
        self.check_scheme(url.scheme())?;
        self.check_port(url.port_or_known_default())?;
        if self.self_addresses.is_behind(url) {
            let host = shown(url.host_str().unwrap_or_default());
            let port = url.port_or_known_default().unwrap_or_default();
            return Err(denied(format!("{host} port {port} is this engine's own server")));
        }
        match url.host() {
            // Its text in a URL is the one that formatting it would give.
            Some(Host::Ipv4(ip)) => {
                self.check_literal(IpAddr::V4(ip), url.host_str().unwrap_or_default(), url)
            }
            Some(Host::Ipv6(ip)) => self.check_literal(IpAddr::V6(ip), &ip.to_string(), url),
            Some(Host::Domain(name)) => match normal(name).parse::<IpAddr>() {
                Ok(ip) => self.check_literal(ip, &ip.to_string(), url),
                Err(_) => self.check_name(name),
            },
            None => Err(denied("the URL names no host")),
        }
    }

    /// Decides over one address that `host` resolved to, or that `host` is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`]; the message names the address, the host and the option.
    pub fn check_address(&self, host: &str, ip: IpAddr) -> std::result::Result<(), Failure> {
        self.check_name(host)?;
        let subject = || match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(_) => ip.to_string(),
            Err(_) => format!("{ip}, an address of \"{}\",", shown(host)),
        };
        if let Some(index) = self.deny.iter().position(|entry| has(entry, ip, closes)) {
            return Err(denied(format!("{} is denied by egress.deny[{index}]", subject())));
        }
        if self.opens_name(host) || self.allow.iter().any(|entry| has(entry, ip, opens)) {
            return Ok(());
        }
        special_range(ip).map_or(Ok(()), |range| {
            let (subject, range) = (subject(), range.as_str());
            Err(denied(format!("{subject} is not public ({range}); egress.allow can open it")))
        })
    }

    /// Decides over a host and a port that are named outside a URL. A host's addresses are decided
    /// over by [`Policy::check_address`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`].
    pub fn check_endpoint(&self, host: &str, port: u16) -> std::result::Result<(), Failure> {
        self.check_port(Some(port))?;
        self.check_name(host)
    }

    /// Decides over an address and a port that are about to be connected to, after
    /// [`Policy::check_address`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EgressDenied`].
    pub fn check_socket(&self, ip: IpAddr, port: u16) -> std::result::Result<(), Failure> {
        if self.self_addresses.has(ip, port) {
            return Err(denied(format!("{ip} port {port} is this engine's own server")));
        }
        Ok(())
    }

    /// Returns the sockets that are refused by [`Policy::check_socket`].
    #[must_use]
    pub const fn self_addresses(&self) -> &SelfAddresses {
        &self.self_addresses
    }

    /// Returns the source address of connections.
    #[must_use]
    pub const fn local_address(&self) -> Option<IpAddr> {
        self.local_address
    }

    /// Returns whether no address of this host would be refused, so that none needs to be known.
    pub(super) fn opens_every_address(&self, host: &str) -> bool {
        self.opens_name(host) && !self.deny.iter().any(|entry| matches!(entry, Pattern::Net(_)))
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Returns the proxy that requests for `url` go through, if any.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<&Proxy> {
        let is_direct = || {
            let host = url.host();
            let names = |entry: &Pattern| host.as_ref().is_some_and(|host| entry.is_host(host));
            self.no_proxy.iter().any(names)
        };
        self.proxy.as_ref().filter(|_| !is_direct())
    }

    /// Returns whether some hosts are reached without the proxy.
    pub(super) fn has_direct_hosts(&self) -> bool {
        !self.no_proxy.is_empty()
    }

    fn opens_name(&self, host: &str) -> bool {
        names(&self.allow, host).is_some()
    }

    fn check_literal(&self, ip: IpAddr, text: &str, url: &Url) -> std::result::Result<(), Failure> {
        self.check_address(text, ip)?;
        self.check_socket(ip, url.port_or_known_default().unwrap_or_default())
    }

    fn check_name(&self, host: &str) -> std::result::Result<(), Failure> {
        names(&self.deny, host).map_or(Ok(()), |index| {
            Err(denied(format!("\"{}\" is denied by egress.deny[{index}]", shown(host))))
        })
    }

    fn check_scheme(&self, scheme: &str) -> std::result::Result<(), Failure> {
        if self.schemes.contains(&scheme) {
            return Ok(());
        }
        let why = if SCHEMES.contains(&scheme) {
            "is not in egress.schemes"
        } else {
            "cannot be sent to, only http: and https: can"
        };
        Err(denied(format!("the scheme {}: {why}", shown(scheme))))
    }

    fn check_port(&self, port: Option<u16>) -> std::result::Result<(), Failure> {
        match (port, &self.ports) {
            (None | Some(0), _) => Err(denied("port 0 cannot be connected to")),
            (Some(port), Some(ports)) if !ports.contains(&port) => {
                Err(denied(format!("port {port} is not in egress.ports")))
            }
            _ => Ok(()),
        }
    }
}

fn no_proxy(options: &Options) -> Result<Vec<Pattern>> {
    if options.proxy.is_none() && !options.no_proxy.is_empty() {
        return Err(invalid("egress.noProxy: has no meaning without egress.proxy".into()));
    }
    patterns("noProxy", &options.no_proxy)
}

fn has(entry: &Pattern, ip: IpAddr, covers: fn(&IpNet, IpAddr) -> bool) -> bool {
    matches!(entry, Pattern::Net(net) if covers(net, ip))
}

fn names(entries: &[Pattern], host: &str) -> Option<usize> {
    if entries.iter().all(|entry| matches!(entry, Pattern::Net(_))) {
        return None;
    }
    let host = normal(host).to_ascii_lowercase();
    entries.iter().position(|entry| entry.names(&host))
}

fn denied(message: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::EgressDenied, message)
}

/// Returns a host as a message repeats it: a URL's host can be as long as the URL.
pub(super) fn shown(host: &str) -> String {
    match host.char_indices().nth(SHOWN_HOST) {
        Some((end, _)) => format!("{}…", &host[..end]),
        None => host.to_owned(),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOption, message)
}

fn patterns(option: &str, entries: &[String]) -> Result<Vec<Pattern>> {
    let parse = |(index, entry): (usize, &String)| {
        Pattern::parse(entry).ok_or_else(|| {
            invalid(format!(
                "egress.{option}[{index}]: {entry:?} is neither a host name, an IP address nor a \
                 CIDR range"
            ))
        })
    };
    entries.iter().enumerate().map(parse).collect()
}

fn ports(entries: &[u16]) -> Result<Vec<u16>> {
    if entries.is_empty() {
        return Err(invalid("egress.ports: the list is empty; leave it out for every port".into()));
    }
    match entries.iter().position(|&port| port == 0) {
        Some(index) => Err(invalid(format!("egress.ports[{index}]: 0 is not a port"))),
        None => Ok(entries.to_vec()),
    }
}

fn schemes(entries: &[String]) -> Result<Vec<&'static str>> {
    if entries.is_empty() {
        return Err(invalid("egress.schemes: the list is empty; leave it out for both".into()));
    }
    let parse = |(index, entry): (usize, &String)| {
        SCHEMES.into_iter().find(|scheme| scheme == entry).ok_or_else(|| {
            invalid(format!("egress.schemes[{index}]: {entry:?} is neither \"http\" nor \"https\""))
        })
    };
    entries.iter().enumerate().map(parse).collect()
}

fn local_address(entry: &str) -> Result<IpAddr> {
    entry
        .parse()
        .map_err(|_| invalid(format!("egress.localAddress: {entry:?} is not an IP address")))
}

fn check_addresses(entries: &[String]) -> Result<()> {
    let is_address =
        |entry: &str| entry.parse::<IpAddr>().is_ok() || entry.parse::<IpNet>().is_ok();
    match entries.iter().position(|entry| !is_address(entry)) {
        Some(index) => Err(invalid(format!(
            "egress.addresses[{index}]: {:?} is neither an IP address nor a CIDR range",
            entries[index]
        ))),
        None => Ok(()),
    }
}
