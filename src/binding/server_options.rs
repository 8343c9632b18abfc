//! The `server` options: mirrors of what JavaScript passes.

use std::time::Duration;

use napi_derive::napi;
use serde::Deserialize;

use super::options::{invalid, whole};
use crate::error::Result;
use crate::server::{self, DEFAULT_KEEP_ALIVE, DEFAULT_PORT};

/// The server: streams for browsers (`$send.sse`), and a REST API for emitted events, subscriptions,
/// webhooks and the log. It is open as long as the engine is, and keeps no process alive.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServerOptions {
    /// The IP address to listen on. Without `tokens`, only a loopback address. Default:
    /// `'127.0.0.1'`.
    pub host: Option<String>,
    /// The port; 0 for any that is free, see `engine.address()`. Default: 8787.
    pub port: Option<f64>,
    /// What requests authorize themselves with: `Authorization: Bearer TOKEN`. At least 16 characters
    /// each; several let you change them without a gap. Default: none, whoever reaches the loopback
    /// address may do everything.
    pub tokens: Option<Vec<String>>,
    /// The origins of pages that may read from the server in a browser
    /// (`'https://app.example.com'`), or, with `tokens`, `'*'` for all. Default: none.
    pub cors: Option<Vec<String>>,
    /// How the server is reached from outside, such as through a reverse proxy:
    /// `'https://send.example.com'`. Default: `http://` and the address.
    pub public_url: Option<String>,
    /// How long a connection may be silent before its next request, in milliseconds: longer than a
    /// load balancer in front keeps idle connections. From 1,000 to 3,600,000. Default: 75,000.
    pub keep_alive_ms: Option<f64>,
    /// Whether each request is written to standard error. Default: `false`.
    pub access_log: Option<bool>,
    /// Who may read streams.
    pub sse: Option<SseOptions>,
}

/// Who may read streams without a token.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SseOptions {
    /// Workflows whose streams everybody may read: ids, or patterns in which `*` stands for any
    /// characters. Default: none.
    pub public: Option<Vec<String>>,
    /// What `engine.streamUrl()` signs with: at least 16 bytes, the same in every process that
    /// serves one address. Default: drawn at each opening, so that signed URLs end with the engine.
    pub signing_key: Option<String>,
}

impl ServerOptions {
    /// # Errors
    /// `InvalidOption`.
    pub(super) fn read(self) -> Result<server::Config> {
        let default = server::Config::default();
        let host = match self.host.as_deref() {
            None | Some("localhost") => default.host,
            Some(text) => text.trim_matches(['[', ']']).parse().map_err(|_| {
                invalid(format!("server.host: {text:?} is not an IP address such as '127.0.0.1'"))
            })?,
        };
        let port = whole("server.port", self.port, 0..=u64::from(u16::MAX), DEFAULT_PORT.into())?;
        let keep_alive_ms = whole(
            "server.keepAliveMs",
            self.keep_alive_ms,
            1000..=3_600_000,
            u64::try_from(DEFAULT_KEEP_ALIVE.as_millis()).unwrap_or(u64::MAX),
        )?;
        let sse = self.sse.unwrap_or_default();
        let config = server::Config {
            host,
            port: u16::try_from(port).unwrap_or(DEFAULT_PORT),
            tokens: self.tokens.unwrap_or_default(),
            cors: self.cors.unwrap_or_default(),
            public_url: self.public_url,
            public_streams: sse.public.unwrap_or_default(),
            signing_key: sse.signing_key,
            access_log: self.access_log.unwrap_or_default(),
            keep_alive: Duration::from_millis(keep_alive_ms),
        };
        config.check().map_err(|error| error.within("Engine.open()"))
    }
}
