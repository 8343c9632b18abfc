//! The fuzz target of the query with which a browser resumes a stream.

use url::form_urlencoded::Serializer;

use super::sse::Wanted;
use crate::streams::EventId;

/// Reads a query. One that is written with what was read asks for the same.
pub(crate) fn resume(bytes: &[u8]) {
    let query = String::from_utf8_lossy(bytes);
    let Ok(wanted) = Wanted::of(&query) else { return };
    let mut written = Serializer::new(String::new());
    for channel in &wanted.channels {
        written.append_pair("channel", channel);
    }
    let texts = [("lastEventId", &wanted.last_event_id), ("signature", &wanted.signature)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        written.append_pair(name, text);
    }
    if let Some(expires) = wanted.expires {
        written.append_pair("expires", &expires.to_string());
    }
    assert_eq!(Wanted::of(&written.finish()).ok().as_ref(), Some(&wanted), "{query}");
    // A number is read as it is written, and nothing else is one.
    if let Some(id) = wanted.last_event_id.as_deref().and_then(|id| id.parse::<EventId>().ok()) {
        assert_eq!(id.to_string().parse(), Ok(id), "{query}");
    }
}
