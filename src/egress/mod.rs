//! The one way to the network: every destination connects through here.
//!
//! It owns which hosts, addresses, ports and schemes may be reached, how names become addresses,
//! the proxy, the local address and TLS. It never sends a request, follows a redirect or retries.
//!
//! **Invariant:** an address that is connected to was checked as that concrete address. A name is
//! checked where it is resolved, inside the connector, so there is no second lookup for a
//! rebinding name server to answer differently. A URL whose host is an address never reaches a
//! resolver: [`Egress::check_url`] checks it, and is called before every request and redirect hop.
//!
//! Start reading at [`Egress`]; the decisions are in [`Policy`].

mod address;
mod client;
mod connections;
mod connector;
mod explain;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gateway;
mod handshakes;
mod head;
mod http1;
mod http2;
mod lookup;
mod opening;
mod options;
mod pattern;
mod policy;
mod pool;
mod progress;
mod proxy;
mod proxy_response;
mod resolver;
mod scarcity;
mod self_addresses;
mod stream;
mod tcp;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

pub use client::{Client, Incoming};
pub use connections::{RequestParts, ResponseBody};
pub use explain::{NetworkPlace, explain};
pub use failure::{is_local_shortage, policy_failure_in};
pub use gateway::Egress;
pub use head::Names;
pub use lookup::{Looking, Lookup, SystemLookup};
pub use options::Options;
pub use pattern::Pattern as HostPattern;
pub use policy::Policy;
pub use progress::{Progress, Timings};
pub use proxy_response::ResponseOrigin;
pub use self_addresses::SelfAddresses;
pub use stream::Stream;
pub use trust::{HeaderCase, HttpOptions, TlsOptions};
