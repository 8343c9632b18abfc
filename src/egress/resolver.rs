//! Names to checked addresses, inside the client's connector.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::lookup::Lookup;
use super::pattern::normal;
use super::policy::{Policy, shown};
use super::progress;
use super::scarcity::{Patience, passing};
use crate::delivery::{Failure, Phase};
use crate::error::ErrorKind;

/// Resolves for the client, which connects to what it is given and nothing else.
pub(super) struct PolicyResolver {
    pub(super) policy: Arc<Policy>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (Arc::clone(&self.policy), Arc::clone(&self.lookup));
        Box::pin(async move {
            let addresses = permitted(&policy, lookup.as_ref(), name.as_str()).await?;
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Returns the addresses of a host that may be connected to: at least one.
pub(super) async fn permitted(
    policy: &Policy,
    lookup: &dyn Lookup,
    host: &str,
) -> Result<Vec<IpAddr>, Failure> {
    let addresses = addresses_of(lookup, host).await?;
    if policy.proxy().is_some_and(|proxy| proxy.is_at(normal(host))) {
        return Ok(addresses);
    }
    let mut refused = None;
    let mut permitted = Vec::with_capacity(addresses.len());
    for ip in addresses {
        match policy.check_address(host, ip) {
            Ok(()) => permitted.push(ip),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    match refused {
        Some(failure) if permitted.is_empty() => Err(failure.during(Phase::Dns)),
        _ => Ok(permitted),
    }
}

/// Returns every address of a host, at least one. For a host that is an address, it returns that
/// address; the client does so when it resolves for a SOCKS proxy.
pub(super) async fn addresses_of(lookup: &dyn Lookup, host: &str) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![ip]);
    }
    progress::enter(Phase::Dns);
    let answer = patiently(lookup, host).await;
    progress::enter(Phase::Connect);
    let failed = |why: String| {
        let message = format!("\"{}\" did not resolve: {why}", shown(host));
        Failure::new(ErrorKind::Dns, message).during(Phase::Dns)
    };
    match answer {
        Ok(addresses) if addresses.is_empty() => Err(failed("it has no address".into())),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Looks a name up, again as long as the failure is one that passes.
async fn patiently(lookup: &dyn Lookup, host: &str) -> io::Result<Vec<IpAddr>> {
    let mut patience = Patience::default();
    loop {
        match lookup.lookup(host).await {
            Err(error) => match passing(&error) {
                Some(reason) if patience.wait(reason).await => {}
                _ => return Err(error),
            },
            answer => {
                patience.end();
                return answer;
            }
        }
    }
}
