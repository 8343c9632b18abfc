//! The options of `Engine.open`: mirrors of what JavaScript passes, and their validation.
//!
//! They arrive as JSON text, so that an unknown key or a wrong type is refused with the path as
//! JavaScript spells it.

use std::time::Duration;

use base64::Engine as _;
use napi_derive::napi;
use serde::Deserialize;

use super::email_options::EmailOptions;
use super::retry_options::RetryOptions;
use super::s3_options::S3Options;
use super::server_options::ServerOptions;
use super::sql_options::SqlOptions;
use super::tls_options::{self, TlsOptions};
use crate::config::{Config, DEFAULT_MAX_PAYLOAD_BYTES, DEFAULT_MAX_PENDING_BYTES};
use crate::destinations::http;
use crate::egress;
use crate::engine::registry::Opening;
use crate::error::{Error, ErrorKind, Result};
use crate::journal;
use crate::observability::log::Retention;

/// What `Engine.open()` takes. Unknown keys are refused.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EngineOptions {
    /// The directory that keeps the journal, the log and the warehouse, so that every completed execution survives
    /// the process; it is made if it is not there. One process at a time may open it, and all its
    /// worker threads share one engine. Default: none, everything is in memory.
    pub data_dir: Option<String>,
    /// What a completed execution survives: with `'fsync'` a crash of the machine and a loss of
    /// power, with `'os'` a crash of the process. Default: `'fsync'`.
    #[napi(ts_type = "'fsync' | 'os'")]
    pub durability: Option<String>,
    /// The journal in the data directory.
    pub journal: Option<JournalOptions>,
    /// How the lock of the data directory is taken.
    pub lock: Option<LockOptions>,
    /// A name under which worker threads of this process open the same engine. Give the same options
    /// or the name alone to open it again. Default: none, an engine of its own.
    pub name: Option<String>,
    /// Warnings, such as ignored keys of a call or a URL that does not parse, throw at the call
    /// instead of being logged. Default: `false`.
    pub strict: Option<bool>,
    /// Bytes that one recorded call may have. Default: 10 MiB.
    pub max_payload_bytes: Option<f64>,
    /// Bytes that all undelivered calls may have together. Default: 256 MiB.
    pub max_pending_bytes: Option<f64>,
    /// What may be reached over the network. Default: public addresses only.
    pub egress: Option<EgressOptions>,
    /// The HTTP destination.
    pub http: Option<HttpOptions>,
    /// The email destination. Default: mails become `.eml` files.
    pub email: Option<EmailOptions>,
    /// The S3 destination. Default: objects become files.
    pub s3: Option<S3Options>,
    /// The SQL destination. Default: with `dataDir`, DuckDB in it; else there is none.
    pub sql: Option<SqlOptions>,
    /// The server. Default: none, no socket is opened.
    pub server: Option<ServerOptions>,
    /// What the log keeps.
    pub log: Option<LogOptions>,
}

/// The journal in the data directory.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JournalOptions {
    /// Bytes of the journal past which `complete()` and `flush()` reject with
    /// `ERR_SEND_JOURNAL_FULL` and keep nothing of what they were to hand over. Default: no limit
    /// but the disk's.
    pub max_bytes: Option<f64>,
    /// The key that seals calls which are not delivered: 32 bytes, or their base64 or hexadecimal
    /// text. Default: the file `journal.key` in the data directory, made with mode 0600.
    #[napi(ts_type = "string | Uint8Array")]
    pub key: Option<String>,
}

/// How the lock of the data directory is taken.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LockOptions {
    /// Milliseconds to wait for a data directory that another process has open, before
    /// `Engine.open()` rejects with `ERR_SEND_DATA_DIR_LOCKED`. Default: 0.
    pub wait_ms: Option<f64>,
}

/// What may be reached over the network. Loopback, private, link-local, reserved and other special
/// addresses are denied unless they are allowed here.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EgressOptions {
    /// Host names (`hooks.internal`, `*.example.com`), addresses and CIDR ranges (`10.0.0.0/8`)
    /// that may be reached although they are not public. Default: none.
    pub allow: Option<Vec<String>>,
    /// The same spellings, never to be reached. Wins over `allow`. Default: none.
    pub deny: Option<Vec<String>>,
    /// The only ports that may be connected to. Default: all.
    pub ports: Option<Vec<u16>>,
    /// The only URL schemes that may be used, of `http` and `https`. Default: both.
    pub schemes: Option<Vec<String>>,
    /// A proxy for every request: `http://`, `https://`, `socks5://` or `socks5h://`, with
    /// credentials in the URL if it wants them. Default: none; the environment is not read.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, spelled as in `allow`. Default: none.
    pub no_proxy: Option<Vec<String>>,
    /// The source address of connections. Default: the system's choice.
    pub local_address: Option<String>,
    /// The addresses that receivers see, as you know them: what `engine.egressAddresses()`
    /// answers. Default: none.
    pub addresses: Option<Vec<String>>,
}

/// How the HTTP destination behaves.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpOptions {
    /// Milliseconds for a whole request: lookup, connection, TLS, writing, waiting, redirects and
    /// reading the response. Default: 5000.
    pub timeout_ms: Option<f64>,
    /// Redirects that are followed; 0 follows none. Default: 5.
    pub max_redirects: Option<f64>,
    /// Bytes of a response's body that are read, after decompression; past it the connection is
    /// dropped. Default: 1 MiB.
    pub max_response_bytes: Option<f64>,
    /// Bytes of each request's and response's body that the log keeps. Default: 64 KiB.
    pub log_body_bytes: Option<f64>,
    /// Requests under way at once, over all hosts. Default: 1024.
    pub concurrency: Option<f64>,
    /// Requests under way at once to one host (scheme, name and port). Default: 64.
    pub per_host_concurrency: Option<f64>,
    /// The `User-Agent` of requests that bring none. Default: `dollar-send/VERSION`.
    pub user_agent: Option<String>,
    /// Certificate authorities, client certificates and pins. Default: the machine's authorities.
    pub tls: Option<TlsOptions>,
    /// HTTP/2: `'auto'` where a server offers it over TLS, or `'never'`. Default: `'auto'`.
    #[napi(ts_type = "'auto' | 'never'")]
    pub http2: Option<String>,
    /// When a failed request is made again. Default: never; `{}` means five attempts.
    pub retry: Option<RetryOptions>,
    /// What becomes of a request that was under way when the process died. `'resend'`: it is sent
    /// again, with the same id in an `Idempotency-Key` header (at least once). `'fail'`: it fails
    /// with `ERR_SEND_INTERRUPTED` and can be replayed (at most once). Default: `'resend'`.
    #[napi(ts_type = "'resend' | 'fail'")]
    pub on_interrupted: Option<String>,
}

/// What the log keeps.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogOptions {
    /// Finished executions per workflow. Default: 100.
    pub max_executions_per_workflow: Option<f64>,
    /// Days after which a finished execution is forgotten. Default: 30.
    pub max_age_days: Option<f64>,
    /// Bytes of requests and responses in memory; past it the oldest finished executions are
    /// forgotten, and bodies of further deliveries are left out. Default: 128 MiB.
    pub max_bytes: Option<f64>,
    /// More names of headers whose values never reach the log. Default: none beyond the built-in
    /// ones (authorization, cookies, API keys, tokens, secrets).
    pub redact: Option<Vec<String>>,
}

/// The options that say which engine is meant, and nothing of what it does.
const IDENTITY: [&str; 3] = ["name", "dataDir", "lock"];

/// Reads the options' JSON text.
pub(super) fn read(text: &str) -> Result<Opening> {
    let mut is_bare = true;
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) {
        is_bare = object.keys().all(|name| IDENTITY.contains(&name.as_str()));
        // A JSON array would be read as an object's members in their order.
        let list = ["egress", "http", "lock", "log", "journal", "email", "s3", "sql", "server"]
            .into_iter()
            .find(|name| object.get(*name).is_some_and(serde_json::Value::is_array));
        if let Some(name) = list {
            return Err(invalid(format!("{name}: must be an object, not a list")));
        }
        let retry = object.get("http").and_then(|http| http.get("retry"));
        if retry.is_some_and(serde_json::Value::is_array) {
            return Err(invalid("http.retry: must be an object, not a list"));
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let options: EngineOptions =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner().to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            if path == "." { invalid(reason) } else { invalid(format!("{path}: {reason}")) }
        })?;
    let lock_wait = lock_wait(options.lock.as_ref())?;
    Ok(Opening { config: options.try_into()?, is_bare, lock_wait })
}

/// The longest wait for a lock: an hour.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(3600);

fn lock_wait(options: Option<&LockOptions>) -> Result<Duration> {
    let Some(millis) = options.and_then(|lock| lock.wait_ms) else { return Ok(Duration::ZERO) };
    Duration::try_from_secs_f64(millis / 1000.0)
        .ok()
        .filter(|wait| *wait <= MAX_LOCK_WAIT)
        .ok_or_else(|| invalid("lock.waitMs: must be between 0 and 3,600,000 (an hour)"))
}

impl TryFrom<EngineOptions> for Config {
    type Error = Error;

    fn try_from(options: EngineOptions) -> Result<Self> {
        let log = options.log.unwrap_or_default();
        let redact = log.redact.clone().unwrap_or_default();
        let retention = retention(&log)?;
        let http = options.http.unwrap_or_default();
        let email = options.email.unwrap_or_default().read(options.data_dir.as_deref())?;
        let s3 = options.s3.unwrap_or_default().read(options.data_dir.as_deref())?;
        let sql = SqlOptions::read(options.sql, options.data_dir.as_deref())?;
        let server = options.server.map(ServerOptions::read).transpose()?;
        let on_interrupted = on_interrupted(http.on_interrupted.as_deref())?;
        let durable = Durable {
            directory: options.data_dir,
            durability: options.durability,
            journal: options.journal,
        };
        let proxied = options.egress.as_ref().is_some_and(|egress| egress.proxy.is_some());
        if proxied && http.tls.is_some() {
            return Err(invalid("http.tls: has no effect behind egress.proxy: give one of them"));
        }
        if options.name.as_deref() == Some("") {
            return Err(invalid("name: must not be empty"));
        }
        Ok(Self {
            name: options.name,
            strict: options.strict.unwrap_or_default(),
            max_payload_bytes: bytes(
                "maxPayloadBytes",
                options.max_payload_bytes,
                DEFAULT_MAX_PAYLOAD_BYTES,
            )?,
            max_pending_bytes: bytes(
                "maxPendingBytes",
                options.max_pending_bytes,
                DEFAULT_MAX_PENDING_BYTES,
            )?,
            egress: options.egress.unwrap_or_default().into(),
            http: http_config(http, redact)?,
            email,
            s3,
            sql,
            server,
            log: retention,
            journal: durable.options(on_interrupted, retention)?,
        })
    }
}

impl From<EgressOptions> for egress::Options {
    fn from(options: EgressOptions) -> Self {
        Self {
            allow: options.allow.unwrap_or_default(),
            deny: options.deny.unwrap_or_default(),
            ports: options.ports,
            schemes: options.schemes,
            proxy: options.proxy,
            no_proxy: options.no_proxy.unwrap_or_default(),
            local_address: options.local_address,
            addresses: options.addresses.unwrap_or_default(),
        }
    }
}

fn http_config(options: HttpOptions, redact: Vec<String>) -> Result<http::Config> {
    let default = http::Config::default();
    let user_agent = options.user_agent.unwrap_or(default.user_agent);
    if ::http::HeaderValue::from_str(&user_agent).is_err() {
        return Err(invalid("http.userAgent: is not a header value"));
    }
    Ok(http::Config {
        timeout: Duration::from_millis(whole(
            "http.timeoutMs",
            options.timeout_ms,
            1..=MAX_TIMEOUT_MS,
            5000,
        )?),
        max_redirects: count("http.maxRedirects", options.max_redirects, 0, default.max_redirects)?,
        max_response_bytes: bytes(
            "http.maxResponseBytes",
            options.max_response_bytes,
            default.max_response_bytes,
        )?,
        log_body_bytes: bytes("http.logBodyBytes", options.log_body_bytes, default.log_body_bytes)?,
        concurrency: count("http.concurrency", options.concurrency, 1, default.concurrency)?,
        per_host_concurrency: count(
            "http.perHostConcurrency",
            options.per_host_concurrency,
            1,
            default.per_host_concurrency,
        )?,
        user_agent,
        connections: tls_options::read(options.tls, options.http2.as_deref())
            .map_err(|reason| invalid(format!("http.{reason}")))?,
        retries: options.retry.map_or_else(
            || Ok(http::Retries::default()),
            |retry| retry.read().map_err(|reason| invalid(format!("http.retry.{reason}"))),
        )?,
        redact,
    })
}

/// The options of the durable journal.
struct Durable {
    directory: Option<String>,
    durability: Option<String>,
    journal: Option<JournalOptions>,
}

impl Durable {
    fn options(
        self,
        on_interrupted: journal::OnInterrupted,
        retention: Retention,
    ) -> Result<Option<journal::Options>> {
        let durability = match self.durability.as_deref() {
            None | Some("fsync") => journal::Durability::Fsync,
            Some("os") => journal::Durability::Os,
            Some(other) => {
                return Err(invalid(format!("durability: {other:?} is neither 'fsync' nor 'os'")));
            }
        };
        let Some(directory) = self.directory else {
            let given =
                [("durability", self.durability.is_some()), ("journal", self.journal.is_some())];
            return match given.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(invalid(format!("{name}: has no meaning without dataDir"))),
                None => Ok(None),
            };
        };
        if directory.is_empty() {
            return Err(invalid("dataDir: must not be empty"));
        }
        let journal = self.journal.unwrap_or_default();
        let max_bytes = journal.max_bytes.map(|bytes| {
            whole("journal.maxBytes", Some(bytes), MIN_JOURNAL_BYTES..=MAX_JOURNAL_BYTES, 0)
        });
        Ok(Some(journal::Options {
            directory: directory.into(),
            durability,
            max_bytes: max_bytes.transpose()?,
            key: journal.key.as_deref().map(key).transpose()?,
            on_interrupted,
            retention,
        }))
    }
}

/// A journal smaller than this holds little more than its own tables: 1 MiB.
const MIN_JOURNAL_BYTES: u64 = 1 << 20;
/// 64 TiB.
const MAX_JOURNAL_BYTES: u64 = 64 << 40;

/// 32 bytes as base64 or hexadecimal text.
pub(super) fn key(text: &str) -> Result<Vec<u8>> {
    let hexadecimal = || {
        let digits = text.as_bytes().chunks(2).map(|pair| {
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        digits.collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 32)
    };
    let base64 = || {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
        bytes.filter(|bytes| bytes.len() == 32)
    };
    hexadecimal().or_else(base64).ok_or_else(|| {
        invalid("journal.key: must be 32 bytes, or their base64 or hexadecimal text")
    })
}

fn on_interrupted(value: Option<&str>) -> Result<journal::OnInterrupted> {
    match value {
        None | Some("resend") => Ok(journal::OnInterrupted::Resend),
        Some("fail") => Ok(journal::OnInterrupted::Fail),
        Some(other) => {
            Err(invalid(format!("http.onInterrupted: {other:?} is neither 'resend' nor 'fail'")))
        }
    }
}

/// A request may take this long at most: an hour.
pub(super) const MAX_TIMEOUT_MS: u64 = 3_600_000;
/// No count in the options is larger.
const MAX_COUNT: u64 = 1_000_000;
const MAX_DAYS: u64 = 36_500;
/// No size in the options is larger: 64 GiB.
pub(super) const MAX_BYTES: u64 = 64 << 30;

fn retention(options: &LogOptions) -> Result<Retention> {
    let default = Retention::default();
    let days = whole("log.maxAgeDays", options.max_age_days, 0..=MAX_DAYS, 30)?;
    Ok(Retention {
        max_executions_per_workflow: count(
            "log.maxExecutionsPerWorkflow",
            options.max_executions_per_workflow,
            0,
            default.max_executions_per_workflow,
        )?,
        max_age: Duration::from_secs(days * 24 * 60 * 60),
        max_bytes: bytes("log.maxBytes", options.max_bytes, default.max_bytes)?,
    })
}

pub(super) fn bytes(path: &str, value: Option<f64>, default: usize) -> Result<usize> {
    let value = whole(path, value, 0..=MAX_BYTES, default as u64)?;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

pub(super) fn count(path: &str, value: Option<f64>, least: u64, default: usize) -> Result<usize> {
    let value = whole(path, value, least..=MAX_COUNT, default as u64)?;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range check comes first, and the limits are far below 2^53"
)]
pub(super) fn whole(
    path: &str,
    value: Option<f64>,
    range: std::ops::RangeInclusive<u64>,
    default: u64,
) -> Result<u64> {
    let Some(value) = value else { return Ok(default) };
    let (least, most) = (*range.start(), *range.end());
    if value.fract() != 0.0 || !(least as f64..=most as f64).contains(&value) {
        return Err(invalid(format!(
            "{path}: {value} is not a whole number from {least} to {most}"
        )));
    }
    Ok(value as u64)
}

pub(super) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::InvalidOption, format!("Engine.open(): {}", message.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_options_are_the_defaults() {
        assert_eq!(read("{}").unwrap().config, Config::default());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (text, expected) in [
            (r#"{"htpp":{}}"#, "unknown field `htpp`"),
            (r#"{"http":{"timeout":5}}"#, "http.timeout: unknown field `timeout`"),
            (r#"{"http":{"timeoutMs":"5"}}"#, "http.timeoutMs: invalid type: string \"5\""),
            (r#"{"http":{"timeoutMs":0}}"#, "http.timeoutMs: 0 is not a whole number from 1 to"),
            (r#"{"http":{"perHostConcurrency":1.5}}"#, "http.perHostConcurrency: 1.5 is not"),
            (r#"{"maxPayloadBytes":-1}"#, "maxPayloadBytes: -1 is not a whole number"),
            (r#"{"egress":{"allow":"10.0.0.0/8"}}"#, "egress.allow: invalid type: string"),
            (r#"{"egress":{"ports":[80,70000]}}"#, "egress.ports[1]: invalid value"),
            (r#"{"log":[]}"#, "log: must be an object"),
            (r#"{"dataDir":""}"#, "dataDir: must not be empty"),
            (r#"{"durability":"os"}"#, "durability: has no meaning without dataDir"),
            (r#"{"dataDir":"x","durability":"disk"}"#, "durability: \"disk\" is neither"),
            (r#"{"dataDir":"x","journal":{"key":"abc"}}"#, "journal.key: must be 32 bytes"),
            (r#"{"dataDir":"x","journal":{"maxBytes":5}}"#, "journal.maxBytes: 5 is not"),
            (r#"{"http":{"retry":{"factor":0}}}"#, "http.retry.factor: 0 is not from 1 to 100"),
            (
                r#"{"http":{"retry":{"hosts":{"a.b":{"jitter":9}}}}}"#,
                "http.retry.hosts.a.b.jitter: 9 is not",
            ),
            (r#"{"http":{"onInterrupted":"x"}}"#, "http.onInterrupted: \"x\" is neither"),
            (r#"{"sql":{}}"#, "sql.duckdb.file: is needed without dataDir"),
            (r#"{"name":""}"#, "name: must not be empty"),
            (
                r#"{"egress":{"proxy":"http://p:1"},"http":{"tls":{}}}"#,
                "http.tls: has no effect behind egress.proxy",
            ),
            (r#"{"http":{"userAgent":"a\nb"}}"#, "http.userAgent: is not a header value"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
