//! The checked options of the server.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// The port when none is given.
pub const DEFAULT_PORT: u16 = 8787;
/// The default idle timeout of a connection: longer than the 60 s of common load balancers, which
/// must be the first to close.
pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The acts that a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenRole {
    /// Reading alone.
    Read,
    /// Everything.
    #[default]
    Act,
}

/// A token of requests, and its role.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret text.
    pub text: String,
    /// The acts that it allows.
    pub role: TokenRole,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("role", &self.role).finish_non_exhaustive()
    }
}

/// The checked `server` options.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The address that it listens on.
    pub host: IpAddr,
    /// The port; 0: any that is free.
    pub port: u16,
    /// The tokens. If empty, everyone on this machine has full access.
    pub tokens: Vec<Token>,
    /// The origins of pages that may read from it in a browser; `*`: all.
    pub cors: Vec<String>,
    /// The public URL, without a slash at the end.
    pub public_url: Option<String>,
    /// Patterns of workflow ids whose streams everybody may read.
    pub public_streams: Vec<String>,
    /// The key for signed URLs of streams; `None`: random, new each time the engine opens.
    pub signing_key: Option<String>,
    /// `true` if each request is written to standard error.
    pub access_log: bool,
    /// `true` if clients may send test calls.
    pub test_calls: bool,
    /// The longest time that a connection may be idle before a request.
    pub keep_alive: Duration,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        f.debug_struct("Config").field("host", host).field("port", port).finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: IpAddr::from([127, 0, 0, 1]),
            port: DEFAULT_PORT,
            tokens: Vec::new(),
            cors: Vec::new(),
            public_url: None,
            public_streams: Vec::new(),
            signing_key: None,
            access_log: false,
            test_calls: false,
            keep_alive: DEFAULT_KEEP_ALIVE,
        }
    }
}

/// Bytes that a token has at least: a shorter one can be guessed.
const MIN_TOKEN: usize = 16;

impl Config {
    /// Checks the options together.
    ///
    /// # Errors
    /// `InvalidOption`, with the path of what is wrong.
    pub fn check(self) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidOption, message));
        if self.tokens.is_empty() && !self.host.is_loopback() {
            return invalid(format!(
                "server.host: {} can be reached from other machines, and without tokens everybody \
                 may do everything. Give server.tokens, or listen on 127.0.0.1",
                self.host
            ));
        }
        for (index, token) in self.tokens.iter().enumerate() {
            let token = &token.text;
            let speakable = token.bytes().all(|byte| byte.is_ascii_graphic());
            if token.len() < MIN_TOKEN || !speakable {
                return invalid(format!(
                    "server.tokens[{index}]: must have {MIN_TOKEN} visible ASCII characters or more"
                ));
            }
        }
        let is_other = |token: &Token, other: &Token| token.text == other.text && token != other;
        let mut pairs = self.tokens.iter().enumerate();
        if let Some((index, _)) =
            pairs.find(|(index, token)| self.tokens[..*index].iter().any(|o| is_other(token, o)))
        {
            return invalid(format!("server.tokens[{index}]: is given before with another role"));
        }
        if self.signing_key.as_ref().is_some_and(|key| key.len() < MIN_TOKEN) {
            let message = format!("server.sse.signingKey: must have {MIN_TOKEN} bytes or more");
            return invalid(message);
        }
        for (index, origin) in self.cors.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                return invalid(format!(
                    "server.cors[{index}]: {origin:?} is neither \"*\" nor an origin such as \
                     \"https://app.example.com\""
                ));
            }
        }
        if self.tokens.is_empty() && self.cors.iter().any(|origin| origin == "*") {
            return invalid(
                "server.cors: \"*\" without server.tokens would let every page that a browser on \
                 this machine opens read everything. Give server.tokens, or list the origins of \
                 your own pages"
                    .to_owned(),
            );
        }
        if let Some(url) = &self.public_url
            && !url::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none())
        {
            return invalid(format!("server.publicUrl: {url:?} is not an http or https URL"));
        }
        Ok(self)
    }
}

/// An origin as browsers spell it: a scheme, a host and perhaps a port.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, role: TokenRole) -> Token {
        Token { text: text.to_owned(), role }
    }

    fn refusal(config: Config) -> String {
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn without_tokens_only_this_machine_is_listened_to() {
        let everywhere = IpAddr::from([0, 0, 0, 0]);
        let open = Config { host: everywhere, ..Config::default() };
        assert!(refusal(open.clone()).contains("without tokens"));
        let tokens = vec![token("a-token-of-some-length", TokenRole::Act)];
        assert!(Config { tokens, ..open }.check().is_ok());
        let loopback = "::1".parse().unwrap();
        assert!(Config { host: loopback, ..Config::default() }.check().is_ok());
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let default = Config::default;
        for (config, path) in [
            (
                Config { tokens: vec![token("short", TokenRole::Act)], ..default() },
                "server.tokens[0]",
            ),
            (
                Config {
                    tokens: vec![token("with a space in the middle", TokenRole::Read)],
                    ..default()
                },
                "server.tokens[0]",
            ),
            (
                Config {
                    tokens: vec![
                        token("a-token-of-some-length", TokenRole::Act),
                        token("a-token-of-some-length", TokenRole::Read),
                    ],
                    ..default()
                },
                "server.tokens[1]: is given before",
            ),
            (
                Config { cors: vec!["*".into(), "example.com".into()], ..default() },
                "server.cors[1]",
            ),
            (Config { cors: vec!["https://example.com/".into()], ..default() }, "server.cors[0]"),
            (Config { cors: vec!["*".into()], ..default() }, "server.cors: \"*\" without"),
            (Config { public_url: Some("ftp://x".into()), ..default() }, "server.publicUrl"),
            (Config { signing_key: Some("short".into()), ..default() }, "server.sse.signingKey"),
        ] {
            let message = refusal(config);
            assert!(message.starts_with(path), "{message}");
        }
    }
}
