//! Authorization: bearer tokens, signed URLs, and permitted origins of browser requests.

use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};

use super::session::{BrowserSession, BrowserSessions, LIFETIME, cookies};
use super::sessions::SESSION;
use crate::config::server::{Config, TokenRole};
use crate::error::{Error, ErrorKind, Result};
use crate::pattern;
use crate::time::Timestamp;

/// The relation of a request's page to this server, as browsers say it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Cookies of one name that are looked at.
const MAX_COOKIES: usize = 8;

/// The credentials and origins that requests are checked against.
#[derive(Debug)]
pub(super) struct Access {
    /// The digests of the tokens: of one length, whatever the tokens are.
    tokens: Vec<([u8; 32], TokenRole)>,
    sessions: BrowserSessions,
    public_streams: Vec<String>,
    signing: Key,
    origins: Vec<String>,
    public_origin: Option<String>,
    /// The host names of this server; checked only when there are no tokens.
    hosts: Vec<String>,
    cookie: String,
}

/// The permission of a request.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// The acts that it allows.
    pub(super) role: TokenRole,
    /// The session that it comes from.
    pub(super) session: Option<BrowserSession>,
}

/// The origin of a request that a browser makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OriginTrust {
    /// A page of this server.
    Own,
    /// A page in `server.cors`.
    Listed,
    /// Another page.
    Other,
    /// None is named: the client is no browser, or an old one that reads.
    Unknown,
}

impl Access {
    /// # Errors
    /// `Internal` when the system has no random numbers.
    pub(super) fn new(config: &Config, port: u16) -> Result<Self> {
        let mut drawn = [0; 32];
        aws_lc_rs::rand::fill(&mut drawn)
            .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
        let key = config.signing_key.as_ref().map_or(&drawn[..], |key| key.as_bytes());
        let signing = Key::new(HMAC_SHA256, key);
        let public_url = config.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let public = public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
        let hosts = ["localhost".to_owned(), config.host.to_string()].into_iter().chain(public);
        let tokens = config.tokens.iter().map(|token| (hashed(token.text.as_bytes()), token.role));
        Ok(Self {
            tokens: tokens.collect(),
            sessions: BrowserSessions::default(),
            public_streams: config.public_streams.clone(),
            signing,
            origins: config.cors.clone(),
            public_origin: public_url.map(|url| url.origin().ascii_serialization()),
            hosts: hosts.collect(),
            // Cookies are of a host, whatever the port: two servers must not share one.
            cookie: format!("dollar_send_session_{port}"),
        })
    }

    /// Returns `true` if requests need a token.
    pub(super) const fn requires_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Returns the permission of a request: by a token, by the cookie of a session if a page of this
    /// server makes the request, or because no token is required.
    pub(super) fn grant(&self, method: &Method, headers: &HeaderMap, uri: &Uri) -> Option<Grant> {
        if self.tokens.is_empty() {
            return Some(Grant { role: TokenRole::Act, session: None });
        }
        if let Some(given) = headers.get(AUTHORIZATION) {
            let role = self.role_of(bearer(given.as_bytes()).unwrap_or_default())?;
            return Some(Grant { role, session: None });
        }
        let proves_origin = match self.origin(headers, uri) {
            OriginTrust::Own => true,
            OriginTrust::Unknown => method.is_safe(),
            OriginTrust::Listed | OriginTrust::Other => false,
        };
        let session = proves_origin.then(|| self.session(headers)).flatten()?;
        Some(Grant { role: session.role, session: Some(session) })
    }

    fn session(&self, headers: &HeaderMap) -> Option<BrowserSession> {
        self.cookie_names().iter().find_map(|name| {
            cookies(headers, name).take(MAX_COOKIES).find_map(|value| self.sessions.find(value))
        })
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        self.cookie_names().iter().any(|name| cookies(headers, name).next().is_some())
    }

    fn cookie_names(&self) -> [String; 2] {
        [format!("__Host-{}", self.cookie), self.cookie.clone()]
    }

    /// Returns the role of a token. The check takes constant time.
    pub(super) fn role_of(&self, token: &[u8]) -> Option<TokenRole> {
        let given = hashed(token);
        let equal =
            |(token, _): &&([u8; 32], TokenRole)| verify_slices_are_equal(token, &given).is_ok();
        let mut found = self.tokens.iter().filter(equal).map(|(_, role)| *role);
        let role = found.next();
        found.count();
        role
    }

    /// Opens a session. Returns the cookie that names it.
    ///
    /// # Errors
    /// `Internal` when the system has no random numbers.
    pub(super) fn sign_in(
        &self,
        role: TokenRole,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<String> {
        self.end_session(headers);
        let name = self.sessions.open(role)?;
        Ok(self.set_cookie(&name, LIFETIME.as_secs(), headers, uri))
    }

    /// Ends the session of a request. Returns the cookie that removes its name.
    pub(super) fn sign_out(&self, headers: &HeaderMap, uri: &Uri) -> String {
        self.end_session(headers);
        self.set_cookie("", 0, headers, uri)
    }

    fn end_session(&self, headers: &HeaderMap) {
        for name in self.cookie_names() {
            cookies(headers, &name).take(MAX_COOKIES).for_each(|value| self.sessions.end(value));
        }
    }

    fn set_cookie(&self, value: &str, seconds: u64, headers: &HeaderMap, uri: &Uri) -> String {
        let is_public =
            |origin: &String| origin.starts_with("https:") && is_at(origin, headers, uri);
        let [secure, plain] = self.cookie_names();
        let (name, secure) = match &self.public_origin {
            Some(origin) if is_public(origin) => (secure, "; Secure"),
            Some(_) | None => (plain, ""),
        };
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Returns whether the stream of this workflow is public.
    pub(super) fn is_public(&self, workflow_id: &str) -> bool {
        self.public_streams.iter().any(|pattern| pattern::matches(pattern, workflow_id))
    }

    /// Returns the reason for refusing a request because of the page that makes it. Without tokens, any
    /// page could otherwise use this server from a browser on this machine.
    pub(super) fn refuses_origin(
        &self,
        method: &Method,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Option<String> {
        let is_open = self.tokens.is_empty();
        if is_open {
            let name = name_of_host(host_of(headers, uri));
            let is_local = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
            if !is_local && !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                return Some(format!(
                    "the server does not go by the name of {name:?}: see server.publicUrl"
                ));
            }
        }
        // A token is proof enough: no page of others has it. Without one, the cookie is the danger.
        let is_proven = !is_open
            && (headers.contains_key(AUTHORIZATION)
                || (uri.path() != SESSION && !self.has_cookie(headers)));
        if method.is_safe() || is_proven {
            return None;
        }
        match self.origin(headers, uri) {
            OriginTrust::Own | OriginTrust::Unknown => None,
            OriginTrust::Listed if is_open => None,
            OriginTrust::Listed => {
                Some("pages of this origin need a token: Authorization: Bearer TOKEN".to_owned())
            }
            OriginTrust::Other => Some(
                "the request is of a page of another origin, which is not in server.cors"
                    .to_owned(),
            ),
        }
    }

    fn origin(&self, headers: &HeaderMap, uri: &Uri) -> OriginTrust {
        let origin = headers.get(ORIGIN);
        let is_listed = |origin: &HeaderValue| {
            self.origins.iter().any(|o| o == "*" || o.as_bytes() == origin.as_bytes())
        };
        if origin.is_some_and(is_listed) {
            return OriginTrust::Listed;
        }
        let is_own = |origin: &str| {
            self.public_origin.as_deref() == Some(origin) || is_at(origin, headers, uri)
        };
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        match (site, origin) {
            (Some(b"same-origin" | b"none"), _) => OriginTrust::Own,
            (None, Some(origin)) if origin.to_str().is_ok_and(is_own) => OriginTrust::Own,
            (None, None) => OriginTrust::Unknown,
            (Some(_), _) | (None, Some(_)) => OriginTrust::Other,
        }
    }

    /// Returns the parameters that open the stream of a workflow until a time.
    pub(super) fn signed(&self, workflow_id: &str, until: Timestamp) -> String {
        let expires = until.as_millis() / 1000;
        let tag = hmac::sign(&self.signing, &message(workflow_id, expires));
        let mut text = format!("expires={expires}&signature=");
        for byte in tag.as_ref() {
            // Writing to memory does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Returns whether these parameters open the stream of this workflow now.
    pub(super) fn is_signed(
        &self,
        workflow_id: &str,
        expires: Option<u64>,
        signature: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let (Some(expires), Some(signature)) = (expires, signature) else { return false };
        let Some(tag) = from_hex(signature) else { return false };
        hmac::verify(&self.signing, &message(workflow_id, expires), &tag).is_ok()
            && now.as_millis() / 1000 < expires
    }
}

fn hashed(token: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}

/// Returns the token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// Returns `true` if a request was made to this origin.
fn is_at(origin: &str, headers: &HeaderMap, uri: &Uri) -> bool {
    let place = origin.split_once("://").map(|(_, place)| place);
    place.is_some_and(|place| place.eq_ignore_ascii_case(host_of(headers, uri)))
}

/// Returns the host that a request names, with its port.
fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default()
}

fn name_of_host(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default()
}

fn message(workflow_id: &str, expires: u64) -> Vec<u8> {
    format!("sse\n{expires}\n{workflow_id}").into_bytes()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;
    use crate::config::server::Token;

    const TOKEN: &str = "a-token-of-some-length";

    fn access(tokens: &[(&str, TokenRole)], cors: &[&str]) -> Access {
        let tokens =
            tokens.iter().map(|(text, role)| Token { text: (*text).to_owned(), role: *role });
        let cors = cors.iter().map(|text| (*text).to_owned()).collect();
        let config = Config { tokens: tokens.collect(), cors, ..Config::default() };
        Access::new(&config, 8787).unwrap()
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let value = |text| HeaderValue::from_str(text).unwrap();
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn only_a_whole_token_is_one() {
        let access =
            access(&[("another-token-of-length", TokenRole::Act), (TOKEN, TokenRole::Read)], &[]);
        for (value, expected) in [
            (format!("Bearer {TOKEN}"), Some(TokenRole::Read)),
            (format!("bearer  {TOKEN} "), Some(TokenRole::Read)),
            ("Bearer another-token-of-length".to_owned(), Some(TokenRole::Act)),
            (format!("Bearer {TOKEN}x"), None),
            (format!("Bearer {}", &TOKEN[1..]), None),
            (format!("Basic {TOKEN}"), None),
            (TOKEN.to_owned(), None),
            ("Bearer".to_owned(), None),
        ] {
            let given = headers(&[(AUTHORIZATION, &value)]);
            let grant = access.grant(&Method::GET, &given, &Uri::from_static("/"));
            assert_eq!(grant.map(|grant| grant.role), expected, "{value}");
        }
        assert!(access.grant(&Method::GET, &HeaderMap::new(), &Uri::from_static("/")).is_none());
    }

    #[tokio::test]
    async fn a_cookie_counts_for_pages_of_this_server_alone() {
        let access = access(&[(TOKEN, TokenRole::Read)], &["https://app.example.com"]);
        let uri = Uri::from_static("/");
        let cookie = access.sign_in(TokenRole::Read, &HeaderMap::new(), &uri).unwrap();
        let pair = cookie.split(';').next().unwrap();
        let granted = |method, more: &[(HeaderName, &str)]| {
            let mut pairs = vec![(COOKIE, pair), (HOST, "send.example.com")];
            pairs.extend(more.iter().cloned());
            access.grant(&method, &headers(&pairs), &uri).is_some()
        };
        assert!(granted(Method::GET, &[]));
        assert!(!granted(Method::POST, &[]));
        assert!(granted(Method::POST, &[(SEC_FETCH_SITE, "same-origin")]));
        assert!(granted(Method::POST, &[(ORIGIN, "https://send.example.com")]));
        for origin in ["https://app.example.com", "https://send.example.com:444", "null"] {
            assert!(!granted(Method::GET, &[(ORIGIN, origin)]), "{origin}");
            assert!(!granted(Method::POST, &[(ORIGIN, origin)]), "{origin}");
        }
        for site in ["same-site", "cross-site", "Same-OriginTrust", ""] {
            assert!(!granted(Method::GET, &[(SEC_FETCH_SITE, site)]), "{site}");
        }
        access.sign_out(&headers(&[(COOKIE, pair)]), &uri);
        assert!(!granted(Method::GET, &[]));
    }

    #[tokio::test]
    async fn the_cookie_of_a_public_address_is_secure() {
        let config =
            Config { public_url: Some("https://send.example.com".into()), ..Config::default() };
        let access = Access::new(&config, 8787).unwrap();
        let set = |host| {
            access
                .sign_in(TokenRole::Act, &headers(&[(HOST, host)]), &Uri::from_static("/"))
                .unwrap()
        };
        let public = set("send.example.com");
        assert!(public.starts_with("__Host-dollar_send_session_8787="), "{public}");
        assert!(public.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"));
        let local = set("127.0.0.1:8787");
        assert!(local.starts_with("dollar_send_session_8787="), "{local}");
        assert!(local.ends_with("; HttpOnly; SameSite=Strict"), "{local}");
    }

    #[test]
    fn without_tokens_pages_of_others_are_refused() {
        let access = access(&[], &["https://app.example.com"]);
        let refuses = |method, pairs: &[_]| {
            access.refuses_origin(&method, &headers(pairs), &Uri::from_static("/")).is_some()
        };
        let local = (HOST, "127.0.0.1:8787");
        assert!(!refuses(Method::POST, std::slice::from_ref(&local)));
        assert!(!refuses(Method::GET, &[(HOST, "localhost")]));
        assert!(!refuses(Method::GET, &[(HOST, "[::1]:80")]));
        assert!(refuses(Method::GET, &[(HOST, "rebound.example.com")]));
        assert!(refuses(Method::POST, &[local.clone(), (ORIGIN, "https://evil.example")]));
        assert!(!refuses(Method::GET, &[local.clone(), (ORIGIN, "https://evil.example")]));
        let listed = (ORIGIN, "https://app.example.com");
        assert!(!refuses(Method::POST, &[local.clone(), listed]));
        assert!(!refuses(Method::POST, &[local.clone(), (ORIGIN, "http://127.0.0.1:8787")]));
        assert!(refuses(Method::POST, &[local.clone(), (ORIGIN, "http://127.0.0.1:3000")]));
        assert!(refuses(Method::POST, &[local.clone(), (SEC_FETCH_SITE, "same-site")]));
        assert!(!refuses(Method::POST, &[local, (SEC_FETCH_SITE, "same-origin")]));
    }

    #[test]
    fn a_signed_url_opens_one_stream_until_its_time() {
        let access = access(&[(TOKEN, TokenRole::Act)], &[]);
        let at = Timestamp::from_millis;
        let signed = access.signed("p_1", at(20_000));
        let signature = signed.strip_prefix("expires=20&signature=").unwrap();
        let opens = |id, expires, signature, now| {
            access.is_signed(id, Some(expires), Some(signature), at(now))
        };
        assert!(opens("p_1", 20, signature, 19_999));
        assert!(!opens("p_1", 20, signature, 20_000));
        assert!(!opens("p_1", 21, signature, 19_999));
        assert!(!opens("p_2", 20, signature, 19_999));
        assert!(!opens("p_1", 20, &signature[2..], 19_999));
        assert!(!opens("p_1", 20, &"é".repeat(32), 19_999));
        assert!(!access.is_signed("p_1", Some(20), None, at(0)));
    }
}
