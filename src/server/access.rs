//! Who may do what: bearer tokens, signed URLs, and where a request of a browser may come from.

use std::fmt::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};

use super::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::observability::time::Timestamp;
use crate::streams::glob;

/// What requests are held against.
#[derive(Debug)]
pub(super) struct Access {
    /// The digests of the tokens: of one length, whatever the tokens are.
    tokens: Vec<[u8; 32]>,
    public_streams: Vec<String>,
    signing: Key,
    origins: Vec<String>,
    /// The names that this server goes by, when it has no tokens to tell friends by.
    hosts: Vec<String>,
}

impl Access {
    /// # Errors
    /// `Internal` when the system has no random numbers.
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut drawn = [0; 32];
        aws_lc_rs::rand::fill(&mut drawn)
            .map_err(|_| Error::new(ErrorKind::Internal, "the system has no random numbers"))?;
        let key = config.signing_key.as_ref().map_or(&drawn[..], |key| key.as_bytes());
        let signing = Key::new(HMAC_SHA256, key);
        let public = config.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let public = public.and_then(|url| url.host_str().map(str::to_owned));
        let hosts = ["localhost".to_owned(), config.host.to_string()].into_iter().chain(public);
        Ok(Self {
            tokens: config.tokens.iter().map(|token| hashed(token.as_bytes())).collect(),
            public_streams: config.public_streams.clone(),
            signing,
            origins: config.cors.clone(),
            hosts: hosts.collect(),
        })
    }

    /// Whether a request brings one of the tokens, or none is needed. How long that takes says
    /// nothing of the tokens.
    pub(super) fn is_authorized(&self, headers: &HeaderMap) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let given = hashed(given.unwrap_or_default());
        let equal = |token: &&[u8; 32]| verify_slices_are_equal(*token, &given).is_ok();
        self.tokens.iter().filter(equal).count() > 0
    }

    /// Whether everybody may read this workflow's stream.
    pub(super) fn is_public(&self, workflow_id: &str) -> bool {
        self.public_streams.iter().any(|pattern| glob::matches(pattern, workflow_id))
    }

    /// Why a request of a page in a browser is not to be answered. Without tokens a page of anybody
    /// could otherwise use this server from the browser of somebody on this machine.
    pub(super) fn refuses_origin(
        &self,
        method: &Method,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Option<String> {
        if !self.tokens.is_empty() {
            return None;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
        let name = host.map(name_of_host).unwrap_or_default();
        let is_local = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !is_local && !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(format!(
                "the server does not go by the name of {name:?}: see server.publicUrl"
            ));
        }
        let origin = headers.get(ORIGIN)?;
        let allowed = self.origins.iter().any(|o| o == "*" || o.as_bytes() == origin.as_bytes());
        (!method.is_safe() && !allowed)
            .then(|| "pages of this origin are not in server.cors".to_owned())
    }

    /// The parameters that open the stream of a workflow until a time.
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

    /// Whether these parameters open the stream of this workflow now.
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

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
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
    use axum::http::HeaderValue;

    use super::*;

    const TOKEN: &str = "a-token-of-some-length";

    fn access(tokens: &[&str], cors: &[&str]) -> Access {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let config = Config { tokens: texts(tokens), cors: texts(cors), ..Config::default() };
        Access::new(&config).unwrap()
    }

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let value = |text| HeaderValue::from_str(text).unwrap();
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn only_a_whole_token_is_one() {
        let access = access(&["another-token-of-length", TOKEN], &[]);
        for (value, expected) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer  {TOKEN} "), true),
            (format!("Bearer {TOKEN}x"), false),
            (format!("Bearer {}", &TOKEN[1..]), false),
            (format!("Basic {TOKEN}"), false),
            (TOKEN.to_owned(), false),
            ("Bearer".to_owned(), false),
        ] {
            let given = headers(&[(AUTHORIZATION, &value)]);
            assert_eq!(access.is_authorized(&given), expected, "{value}");
        }
        assert!(!access.is_authorized(&HeaderMap::new()));
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
        assert!(!refuses(Method::POST, &[local, (ORIGIN, "https://app.example.com")]));
    }

    #[test]
    fn a_signed_url_opens_one_stream_until_its_time() {
        let access = access(&[TOKEN], &[]);
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
