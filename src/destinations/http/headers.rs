//! Converts `headers` to the headers that are sent.
//!
//! Values become text as in axios: numbers and booleans are written out, an array is one line per
//! element, `null` and `false` leave a header out, defaults included. Where axios silently drops
//! characters that a header cannot hold, this fails, because what would be sent is not what was
//! asked for. Messages name the header and never its value.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use http::Method;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use url::Url;

use super::json::{Node, NodeKind};
use super::query::unreadable;
use super::target::is_host_of;
use crate::delivery::Failure;
use crate::egress::Names;
use crate::error::ErrorKind;

/// The maximum number of header lines of one request.
const MAX_HEADERS: usize = 16_384;

/// The default `Accept` header; the value of axios.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, text/plain, */*");

/// Fields of `headers` whose objects hold headers for one method only, a form that axios accepts.
const METHOD_BUCKETS: [&str; 11] = [
    "get", "delete", "head", "options", "post", "put", "patch", "purge", "link", "unlink", "query",
];

/// The headers of a request under construction.
#[derive(Debug)]
pub(super) struct Headers {
    /// The headers to send.
    pub map: HeaderMap,
    /// The names that `headers` decides: no default applies to them, even when one is left out.
    pub decided: Decided,
}

/// The headers with defaults that `headers` has decided about.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    /// `Content-Type` is given or turned off.
    pub content_type: bool,
    /// `User-Agent` is given or turned off.
    pub user_agent: bool,
}

/// The treatment of a header that belongs to the connection rather than to the request.
enum HeaderAction {
    Sent,
    /// Leaving it out changes nothing.
    LeftOut,
    /// Fails the call: leaving the header out would change the request.
    Refused,
}

impl Headers {
    /// Reads `headers`: the JSON text of an object, or of an array of name and value pairs.
    ///
    /// # Errors
    /// `InvalidHeader` for a name or value that may not be sent, `InvalidArgument` when the text is
    /// neither form.
    pub(super) fn read(
        raw: Option<&str>,
        method: &Method,
        url: &Url,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let mut headers = Self { map: HeaderMap::with_capacity(8), decided: Decided::default() };
        headers.map.insert(ACCEPT, ACCEPTED);
        let Some(raw) = raw else { return Ok(headers) };
        let node = Node::parse(raw).map_err(|error| unreadable("headers", error))?;
        match &node.kind {
            NodeKind::Object(fields) => {
                for bucket in buckets(fields, method) {
                    headers.set_all(bucket, url, warnings)?;
                }
                headers.set_all(fields, url, warnings)?;
            }
            NodeKind::Array(pairs) => headers.set_pairs(pairs, url, warnings)?,
            _ if node.is_falsy() => {}
            _ => return Err(not_headers()),
        }
        Ok(headers)
    }

    /// Returns whether the content type given by the user mentions `media_type`.
    pub(super) fn content_type_mentions(&self, media_type: &str) -> bool {
        let wanted = media_type.as_bytes();
        self.map
            .get_all(CONTENT_TYPE)
            .iter()
            .any(|value| value.as_bytes().windows(wanted.len()).any(|window| window == wanted))
    }

    /// Sets the content type unless `headers` has decided about it.
    pub(super) fn default_content_type(&mut self, value: HeaderValue) {
        if !self.decided.content_type {
            self.require_content_type(value);
        }
    }

    /// Sets the content type, overriding `headers`.
    pub(super) fn require_content_type(&mut self, value: HeaderValue) {
        self.decided.content_type = true;
        self.map.insert(CONTENT_TYPE, value);
    }

    /// Sets the user agent unless `headers` has decided about it.
    pub(super) fn default_user_agent(&mut self, value: &HeaderValue) {
        if !self.decided.user_agent {
            self.map.insert(USER_AGENT, value.clone());
        }
    }

    fn set_all(
        &mut self,
        fields: &[(impl AsRef<str>, Node<'_>)],
        url: &Url,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        for (name, node) in fields {
            let name = name.as_ref();
            match &node.kind {
                NodeKind::Object(_) if is_bucket(name) => {}
                NodeKind::Array(items) => {
                    self.set(
                        name,
                        HeaderEntry::List(&items.iter().collect::<Vec<_>>()),
                        url,
                        warnings,
                    )?;
                }
                _ => self.set(name, HeaderEntry::One(node), url, warnings)?,
            }
        }
        Ok(())
    }

    /// Pairs with the same name become one header with a list; a list in a later pair stays one line.
    fn set_pairs(
        &mut self,
        pairs: &[Node<'_>],
        url: &Url,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let (mut names, mut lists) = (Vec::new(), Vec::<Vec<&Node<'_>>>::new());
        let mut places: HashMap<String, usize> = HashMap::new();
        for pair in pairs {
            let NodeKind::Array(pair) = &pair.kind else { return Err(not_headers()) };
            let [name, value, ..] = pair.as_slice() else { return Err(not_headers()) };
            let name = name.to_text().into_owned();
            match (places.entry(name), &value.kind) {
                (Entry::Occupied(place), _) => lists[*place.get()].push(value),
                (Entry::Vacant(place), kind) => {
                    names.push(place.key().clone());
                    place.insert(lists.len());
                    lists.push(match kind {
                        NodeKind::Array(items) => items.iter().collect(),
                        _ => vec![value],
                    });
                }
            }
        }
        for (name, values) in names.iter().zip(&lists) {
            let given = if let [one] = values[..] {
                HeaderEntry::One(one)
            } else {
                HeaderEntry::List(values)
            };
            self.set(name, given, url, warnings)?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &str,
        given: HeaderEntry<'_, '_>,
        url: &Url,
        warnings: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let name = name.trim_matches([' ', '\t']);
        if name.is_empty() {
            return Ok(());
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid_name(name))?;
        let values = given.values(&name)?;
        match ruling(&name, &values, url) {
            HeaderAction::Sent => self.store(&name, values),
            HeaderAction::LeftOut => {
                warnings.push(format!("the header {name} is left out: the client sets its own"));
                Ok(())
            }
            HeaderAction::Refused => Err(refused(&name)),
        }
    }

    fn store(&mut self, name: &HeaderName, values: Vec<HeaderValue>) -> Result<(), Failure> {
        self.decided.content_type |= name == CONTENT_TYPE;
        self.decided.user_agent |= name == USER_AGENT;
        self.map.remove(name);
        if self.map.len() + values.len() > MAX_HEADERS {
            let message = format!("the request has more than {MAX_HEADERS} headers");
            return Err(Failure::new(ErrorKind::InvalidHeader, message));
        }
        let sensitive = name == AUTHORIZATION || name == COOKIE;
        for mut value in values {
            value.set_sensitive(sensitive);
            self.map.append(name, value);
        }
        Ok(())
    }
}

/// The value of one field of `headers`.
#[derive(Clone, Copy)]
enum HeaderEntry<'n, 'a> {
    One(&'n Node<'a>),
    List(&'n [&'n Node<'a>]),
}

impl HeaderEntry<'_, '_> {
    /// Returns the lines to send: none when the header is turned off.
    fn values(self, name: &HeaderName) -> Result<Vec<HeaderValue>, Failure> {
        match self {
            Self::One(node) if matches!(node.raw, "null" | "false") => Ok(Vec::new()),
            Self::One(node) => Ok(vec![value(name, &node.to_text())?]),
            // A request has one Cookie line.
            Self::List(nodes) if name == COOKIE && !nodes.is_empty() => {
                let texts: Vec<_> = nodes.iter().map(|node| node.to_text()).collect();
                Ok(vec![value(name, &texts.join("; "))?])
            }
            Self::List(nodes) => nodes.iter().map(|node| value(name, &node.to_text())).collect(),
        }
    }
}

/// Returns a header value: the text in ISO 8859-1, as Node writes it, without the white space
/// around it.
pub(super) fn value(name: &HeaderName, text: &str) -> Result<HeaderValue, Failure> {
    let text = text.trim_matches([' ', '\t']);
    let value = if text.is_ascii() {
        HeaderValue::from_str(text).ok()
    } else {
        let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        latin1.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
    };
    value.ok_or_else(|| invalid_value(name, text))
}

fn ruling(name: &HeaderName, values: &[HeaderValue], url: &Url) -> HeaderAction {
    let all = |accepts: &dyn Fn(&str) -> bool| {
        let accepted = values.iter().all(|value| value.to_str().is_ok_and(accepts));
        if accepted { HeaderAction::LeftOut } else { HeaderAction::Refused }
    };
    match name.as_str() {
        "content-length" | "keep-alive" | "proxy-connection" | "te" | "trailer" => {
            HeaderAction::LeftOut
        }
        "connection" => all(&|text| {
            text.eq_ignore_ascii_case("keep-alive") || text.eq_ignore_ascii_case("close")
        }),
        "host" => all(&|text| is_host_of(url, text)),
        name if matches!(name, "transfer-encoding" | "upgrade") || name.starts_with("proxy-") => {
            if values.is_empty() {
                HeaderAction::Sent
            } else {
                HeaderAction::Refused
            }
        }
        _ => HeaderAction::Sent,
    }
}

/// Returns the objects among `fields` that hold headers for every method and for this one, in the
/// order in which the later overrides the earlier.
fn buckets<'n, 'a, K: AsRef<str>>(
    fields: &'n [(K, Node<'a>)],
    method: &Method,
) -> impl Iterator<Item = &'n [(std::borrow::Cow<'a, str>, Node<'a>)]> {
    let method = method.as_str();
    [None, Some(method)].into_iter().flat_map(move |wanted| {
        fields.iter().filter_map(move |(name, node)| {
            let name = name.as_ref();
            let applies = match wanted {
                None => name == "common",
                Some(method) => is_bucket(name) && name.eq_ignore_ascii_case(method),
            };
            match &node.kind {
                NodeKind::Object(fields) if applies => Some(fields.as_slice()),
                _ => None,
            }
        })
    })
}

/// Returns the names in `headers` as they are written there, in the order in which the later overrides
/// the earlier.
pub(super) fn names(raw: Option<&str>) -> Names {
    let Some(node) = raw.and_then(|raw| Node::parse(raw).ok()) else { return Names::default() };
    let mut names = Vec::new();
    let mut add = |name: &str| names.push(name.trim_matches([' ', '\t']).into());
    match &node.kind {
        NodeKind::Object(fields) => {
            let buckets = fields.iter().filter(|(name, _)| is_bucket(name));
            let buckets = buckets.filter_map(|(_, bucket)| match &bucket.kind {
                NodeKind::Object(fields) => Some(fields),
                _ => None,
            });
            for (name, _) in buckets.flatten().chain(fields) {
                add(name);
            }
        }
        NodeKind::Array(pairs) => {
            for pair in pairs {
                if let NodeKind::Array(pair) = &pair.kind
                    && let Some(name) = pair.first()
                {
                    add(&name.to_text());
                }
            }
        }
        _ => {}
    }
    names.into()
}

fn is_bucket(name: &str) -> bool {
    name == "common" || METHOD_BUCKETS.contains(&name)
}

fn not_headers() -> Failure {
    let message = "headers is neither an object nor an array of name and value pairs";
    Failure::new(ErrorKind::InvalidArgument, message)
}

fn invalid_name(name: &str) -> Failure {
    // What was meant as a whole line has the value in its name.
    let name = name.split([':', '=']).next().unwrap_or_default();
    let shown: String = name.chars().take(60).collect();
    Failure::new(ErrorKind::InvalidHeader, format!("{shown:?} is not the name of a header"))
}

fn refused(name: &HeaderName) -> Failure {
    let message = format!("the header {name} belongs to the connection and may not be set");
    Failure::new(ErrorKind::InvalidHeader, message)
}

fn invalid_value(name: &HeaderName, text: &str) -> Failure {
    let reason = if text.contains(['\r', '\n', '\0']) {
        "a line break or NUL"
    } else if text.contains(|c: char| c > '\u{ff}') {
        "a character outside ISO 8859-1: encode it first"
    } else {
        "a control character"
    };
    Failure::new(ErrorKind::InvalidHeader, format!("the header {name} contains {reason}"))
}
