//! The one door to the network: every destination connects through here.
//!
//! It owns which hosts, addresses, ports and schemes may be reached, how names become addresses,
//! the proxy, the local address and TLS. It never sends a request, follows a redirect or retries.
//!
//! **Invariant:** an address that is connected to was checked as that concrete address. A name is
//! checked where it is resolved, inside the connector, so there is no second lookup for a
//! rebinding name server to answer differently. A URL whose host is an address never reaches a
//! resolver: [`Door::admit`] checks it, and is called before every request and redirect hop.
//!
//! Start reading at [`Door`]; the decisions are in [`Policy`].

mod address;
mod connections;
mod connector;
mod door;
mod explain;
mod failure;
mod head;
mod http1;
mod http2;
mod lookup;
mod opening;
mod options;
mod own;
mod pattern;
mod policy;
mod pool;
mod progress;
mod proxy;
mod proxy_answer;
mod resolver;
mod scarcity;
mod stream;
mod tcp;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

pub use connections::{Connections, Exchange, Outgoing};
pub use door::Door;
pub use explain::{Place, explain};
pub use failure::{failure_in, is_lack};
pub use lookup::{Looking, Lookup, SystemLookup};
pub use options::Options;
pub use own::OwnSockets;
pub use pattern::Pattern as HostPattern;
pub use policy::Policy;
pub use progress::{Progress, Timings};
pub use proxy_answer::Answerer;
pub use trust::{HttpOptions, TlsOptions};
