//! The fuzz targets of addresses and connections.

use url::{Host, Url};

use super::pattern::Pattern;

pub(crate) use super::http2::fuzz::sieve;

/// Reads an entry of `egress.allow` or `egress.deny`, and the URL in the next line. A host's own name
/// is an entry that means it.
pub(crate) fn entries(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (entry, url) = text.split_once('\n').unwrap_or((&text, ""));
    let entry = Pattern::parse(entry);
    let Ok(url) = Url::parse(url) else { return };
    let Some(host) = url.host() else { return };
    if let Some(entry) = &entry {
        let _ = entry.is_host(&host);
    }
    if let Host::Domain(name) = host
        && let Some(own) = Pattern::parse(name)
        && matches!(url.scheme(), "http" | "https")
    {
        assert!(own.is_host(&host), "{name} is not {own:?}");
    }
}
