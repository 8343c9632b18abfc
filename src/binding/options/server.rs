//! JavaScript options of the server: `server`.

use std::time::Duration;

use napi_derive::napi;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::place::Place;
use crate::config::server::{self, DEFAULT_KEEP_ALIVE, DEFAULT_PORT, Token, TokenRole};
use crate::error::Result;

/// The HTTP server: streams for browsers (`$send.sse`), and a REST API for emitted events,
/// subscriptions, webhooks and the log. It is open as long as the engine is, and does not keep the
/// process alive.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServerOptions {
    /// The IP address to listen on. Without `tokens` it must be a loopback address. Default:
    /// `'127.0.0.1'`.
    pub host: Option<String>,
    /// The port; 0 chooses a free one, see `engine.address()`. Default: 8787.
    pub port: Option<f64>,
    /// Tokens of requests: `Authorization: Bearer TOKEN`. At least 16 characters each; give several to
    /// rotate them without a gap. `{ token, role: 'read' }` only reads. Default: none, every request to
    /// the loopback address is authorized.
    #[napi(ts_type = "Array<string | ServerToken>")]
    pub tokens: Option<Vec<ServerToken>>,
    /// Allowed origins of pages in a browser (`'https://app.example.com'`), or `'*'` for all, which needs
    /// `tokens`. Default: none.
    pub cors: Option<Vec<String>>,
    /// The public URL of the server, such as that of a reverse proxy: `'https://send.example.com'`.
    /// Default: `http://` and the address.
    pub public_url: Option<String>,
    /// Time that an idle connection stays open, in milliseconds, from 1,000 to 3,600,000. It should be
    /// longer than that of a load balancer in front. Default: 75,000.
    pub keep_alive_ms: Option<f64>,
    /// Writes each request to standard error. Default: `false`.
    pub access_log: Option<bool>,
    /// Allows test calls (`POST /v1/try`, and **Try** in the Inspector) with a token whose role is `'act'`:
    /// an HTTP request to any address that `egress` permits. Default: `false`.
    #[napi(js_name = "try")]
    #[serde(rename = "try")]
    pub try_calls: Option<bool>,
    /// Access to streams.
    pub sse: Option<SseOptions>,
}

/// A token of requests, with its role.
#[napi(object)]
#[derive(Debug, Default)]
pub struct ServerToken {
    /// The token: 16 visible ASCII characters or more.
    pub token: String,
    /// `'read'`: the log, queries and streams; requests that change something are refused. `'act'`:
    /// everything. Default: `'act'`.
    #[napi(ts_type = "'read' | 'act'")]
    pub role: Option<String>,
}

impl<'de> Deserialize<'de> for ServerToken {
    /// Reads a text, which is a token, or an object.
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            token: String,
            role: Option<String>,
        }
        match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(token) => Ok(Self { token, role: None }),
            members @ serde_json::Value::Object(_) => {
                let read = serde_json::from_value(members).map_err(D::Error::custom);
                read.map(|Members { token, role }| Self { token, role })
            }
            _ => Err(D::Error::custom("must be a text or an object { token, role }")),
        }
    }
}

impl ServerToken {
    fn read(self, place: &Place, index: usize) -> Result<Token> {
        let role = match self.role.as_deref() {
            None | Some("act") => TokenRole::Act,
            Some("read") => TokenRole::Read,
            Some(other) => {
                let reason = format!("{other:?} is neither 'read' nor 'act'");
                return Err(place.refuse(&format!("tokens[{index}].role"), reason));
            }
        };
        Ok(Token { text: self.token, role })
    }
}

/// Access to streams without a token.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SseOptions {
    /// Workflows with public streams: ids, or patterns in which `*` matches any characters. Default:
    /// none.
    pub public: Option<Vec<String>>,
    /// The signing key of `engine.streamUrl()`: at least 16 bytes, the same in every process that serves
    /// one address. Default: random, new each time the engine opens.
    pub signing_key: Option<String>,
}

impl ServerOptions {
    /// Reads the configuration.
    pub(super) fn read(self) -> Result<server::Config> {
        let place = Place::open("server");
        let default = server::Config::default();
        let host = match self.host.as_deref() {
            None | Some("localhost") => default.host,
            Some(text) => text.trim_matches(['[', ']']).parse().map_err(|_| {
                place.refuse("host", format!("{text:?} is not an IP address such as '127.0.0.1'"))
            })?,
        };
        let port =
            place.integer("port", self.port, 0..=u64::from(u16::MAX), DEFAULT_PORT.into())?;
        let keep_alive_ms = place.integer(
            "keepAliveMs",
            self.keep_alive_ms,
            1000..=3_600_000,
            u64::try_from(DEFAULT_KEEP_ALIVE.as_millis()).unwrap_or(u64::MAX),
        )?;
        let tokens = self.tokens.unwrap_or_default().into_iter().enumerate();
        let tokens = tokens.map(|(index, token)| token.read(&place, index));
        let sse = self.sse.unwrap_or_default();
        let config = server::Config {
            host,
            port: u16::try_from(port).unwrap_or(DEFAULT_PORT),
            tokens: tokens.collect::<Result<_>>()?,
            cors: self.cors.unwrap_or_default(),
            public_url: self.public_url,
            public_streams: sse.public.unwrap_or_default(),
            signing_key: sse.signing_key,
            access_log: self.access_log.unwrap_or_default(),
            test_calls: self.try_calls.unwrap_or_default(),
            keep_alive: Duration::from_millis(keep_alive_ms),
        };
        config.check().map_err(|error| error.within("Engine.open()"))
    }
}
