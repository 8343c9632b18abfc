//! The options of `Engine.open()`: mirrors of what JavaScript passes, one file for each group.
//!
//! They arrive as JSON text, so that an unknown key or a wrong type is refused with its path as
//! JavaScript spells it. [`place::Place`] checks ranges and knows the path.

mod alerts;
mod destination;
mod egress;
mod email;
mod email_auth;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod http;
mod journal;
mod log;
mod migrate;
mod place;
mod rate;
mod retry;
mod s3;
mod s3_headers;
mod server;
mod sql;
mod tls;
mod words;

use napi_derive::napi;
use serde::Deserialize;

pub use alerts::{AlertOptions, DeadLetterRate};
pub use egress::EgressOptions;
use email::EmailOptions;
pub use http::HttpOptions;
pub use journal::{JournalOptions, LockOptions};
pub use log::LogOptions;
use place::{Function, Place};
pub use rate::{HttpRateOptions, RateOptions};
pub use retry::{BreakerOptions, RetryOptions};
use s3::S3Options;
use server::ServerOptions;
use sql::SqlOptions;
pub use tls::TlsOptions;

pub(super) use destination::read as read_destination;
pub(super) use journal::key;
pub(super) use migrate::read_move;
pub(super) use sql::query as read_query;

use crate::config::{
    Config, DEFAULT_CONCURRENCY, DEFAULT_MAX_PAYLOAD_BYTES, DEFAULT_MAX_PENDING_BYTES, LateCalls,
};
use crate::delivery::Kind;
use crate::destinations::{self, forward};
use crate::engine::registry::Opening;
use crate::error::Result;

/// Options of `Engine.open()`. Unknown keys are refused.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EngineOptions {
    /// The directory that keeps the journal, the log and the warehouse, so that every completed execution survives
    /// the process; a path or a `file:` URL. It is created if it does not exist. One process at a time may open it,
    /// and all its worker threads share one engine. Default: none, everything is in memory.
    #[napi(ts_type = "string | { readonly href: string }")]
    pub data_dir: Option<String>,
    /// The crash that a completed execution survives: with `'fsync'` a crash of the machine and a loss
    /// of power, with `'os'` a crash of the process. Needs `dataDir`. Default: `'fsync'`.
    #[napi(ts_type = "'fsync' | 'os'")]
    pub durability: Option<String>,
    /// The journal in the data directory, or in a PostgreSQL that many machines share.
    pub journal: Option<JournalOptions>,
    /// How the lock of the data directory is taken.
    pub lock: Option<LockOptions>,
    /// The name under which worker threads of this process share the engine. Pass the same options, or
    /// the name alone, to open it again. Default: none, the engine is not shared.
    pub name: Option<String>,
    /// Throws warnings, such as ignored keys of a call or a URL that does not parse, at the call instead of
    /// logging them. Default: `false`.
    pub strict: Option<bool>,
    /// Delivers calls. With `false` the engine only shows what the journal holds: calls are recorded and
    /// wait there for an engine that delivers; with `journal.postgres` other nodes deliver them. Needs
    /// `dataDir` or `journal.postgres`. Default: `true`.
    pub deliver: Option<bool>,
    /// The destination that takes dead letters: one of `engine.destination()`, `'email'`, `'sql'` or
    /// `'emit'`. Each delivery that fails is forwarded once, as the log shows it, also across a crash
    /// with `dataDir`; what that destination itself cannot deliver is not. Default: none.
    #[napi(ts_type = "'email' | 'sql' | 'emit' | (string & {})")]
    pub on_failed: Option<String>,
    /// Alerts: limits whose excess is reported.
    pub alerts: Option<AlertOptions>,
    /// The effect of a `$send` call after the end of its execution. With `'warn'` it is logged as
    /// discarded, and a process warning names the step; with `'throw'`, and with `strict`, it throws
    /// `ERR_SEND_EXECUTION_COMPLETED`. Default: `'warn'`.
    #[napi(ts_type = "'warn' | 'throw'")]
    pub late_calls: Option<String>,
    /// Concurrent attempts, over all destinations. Default: 1024, or `http.concurrency` if that is
    /// given: until version 0.2 it limits all destinations.
    pub concurrency: Option<f64>,
    /// The largest recorded call, in bytes. Default: 10 MiB.
    pub max_payload_bytes: Option<f64>,
    /// The memory that all undelivered calls may take together, in bytes: the payload of each, and 768
    /// bytes for what goes with it. Past it `$send` throws `ERR_SEND_JOURNAL_FULL`. Default: 256 MiB.
    pub max_pending_bytes: Option<f64>,
    /// Network policy. Default: public addresses only.
    pub egress: Option<EgressOptions>,
    /// The HTTP destination.
    pub http: Option<HttpOptions>,
    /// The email destination. Default: mails become `.eml` files.
    pub email: Option<EmailOptions>,
    /// The S3 destination. Default: objects become files.
    pub s3: Option<S3Options>,
    /// The SQL destination. Default: DuckDB in `dataDir`; without `dataDir`, none.
    pub sql: Option<SqlOptions>,
    /// The HTTP server. Default: none, no socket is opened.
    pub server: Option<ServerOptions>,
    /// Retention and redaction of the log.
    pub log: Option<LogOptions>,
}

/// The options that identify an engine and configure nothing.
const IDENTITY: [&str; 3] = ["name", "dataDir", "lock"];

/// Reads the options' JSON text.
pub(super) fn read(text: &str) -> Result<Opening> {
    let root = Place::root(Function::Open);
    let mut is_bare = true;
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) {
        is_bare = object.keys().all(|name| IDENTITY.contains(&name.as_str()));
        // A JSON array would be read as an object's members in their order.
        let groups =
            ["alerts", "egress", "http", "lock", "log", "journal", "email", "s3", "sql", "server"];
        let list = groups
            .into_iter()
            .find(|name| object.get(*name).is_some_and(serde_json::Value::is_array));
        if let Some(name) = list {
            return Err(root.refuse(name, "must be an object, not a list"));
        }
        for name in ["retry", "rate"] {
            let given = object.get("http").and_then(|http| http.get(name));
            if given.is_some_and(serde_json::Value::is_array) {
                let member = format!("http.{name}");
                return Err(root.refuse(&member, "must be an object, not a list"));
            }
        }
    }
    let options: EngineOptions = place::parse(Function::Open, text)?;
    let lock_wait = options.lock.as_ref().map(LockOptions::read).transpose()?.unwrap_or_default();
    Ok(Opening { config: options.read()?, is_bare, lock_wait })
}

impl EngineOptions {
    fn read(self) -> Result<Config> {
        let root = Place::root(Function::Open);
        self.check_combination(&root)?;
        let data_dir = self.data_dir.as_deref();
        let http = self.http.unwrap_or_default();
        let log = self.log.unwrap_or_default();
        let email = self.email.unwrap_or_default().read(data_dir)?;
        let s3 = self.s3.unwrap_or_default().read(data_dir)?;
        let sql = SqlOptions::read(self.sql, data_dir)?;
        let server = self.server.map(ServerOptions::read).transpose()?;
        let durable = journal::Durable {
            directory: self.data_dir,
            durability: self.durability,
            journal: self.journal,
        };
        let retention = log.retention()?;
        let on_interrupted = http.on_interrupted()?;
        let deliver = self.deliver.unwrap_or(true);
        let fleet = durable.shared(on_interrupted, retention, deliver)?;
        let journal = durable.read(on_interrupted, retention, log.search())?;
        let resends = on_interrupted == crate::journal::OnInterrupted::Resend
            && (journal.is_some() || fleet.is_some());
        let most = journal.as_ref().and_then(|journal| journal.max_bytes);
        let alerts = self.alerts.unwrap_or_default().read(most)?;
        let idempotency_key = http.idempotency_key(resends)?;
        let bytes = |member, value, default| root.bytes(member, value, default);
        let of_all = root.count("concurrency", self.concurrency, 1, DEFAULT_CONCURRENCY)?;
        let http = http.read(log.redact.unwrap_or_default(), of_all)?;
        Ok(Config {
            concurrency: if self.concurrency.is_some() { of_all } else { http.concurrency },
            name: self.name,
            strict: self.strict.unwrap_or_default(),
            deliver,
            on_failed: self.on_failed.as_deref().map(|name| on_failed(&root, name)).transpose()?,
            alerts,
            late_calls: late_calls(&root, self.late_calls.as_deref())?,
            max_payload_bytes: bytes(
                "maxPayloadBytes",
                self.max_payload_bytes,
                DEFAULT_MAX_PAYLOAD_BYTES,
            )?,
            max_pending_bytes: bytes(
                "maxPendingBytes",
                self.max_pending_bytes,
                DEFAULT_MAX_PENDING_BYTES,
            )?,
            egress: self.egress.unwrap_or_default().into(),
            destinations: destinations::Config {
                http: destinations::http::Config { idempotency_key, ..http },
                email,
                s3,
                sql,
                ..destinations::Config::default()
            },
            server,
            log: retention,
            journal,
            fleet,
        })
    }

    /// Refuses options that do not go together.
    fn check_combination(&self, root: &Place) -> Result<()> {
        let is_shared = self.journal.as_ref().is_some_and(|journal| journal.postgres.is_some());
        if is_shared {
            self.check_shared(root)?;
        }
        if self.egress.as_ref().is_some_and(|egress| egress.proxy.is_some()) {
            self.http.as_ref().map_or(Ok(()), |http| check_behind_proxy(root, http))?;
        }
        if self.deliver == Some(false) && self.data_dir.is_none() && !is_shared {
            let reason = "false needs dataDir or journal.postgres, where calls wait";
            return Err(root.refuse("deliver", reason));
        }
        if self.name.as_deref() == Some("") {
            return Err(root.refuse("name", "must not be empty"));
        }
        Ok(())
    }

    /// Refuses options that do not go with a shared journal.
    fn check_shared(&self, root: &Place) -> Result<()> {
        let has_file = self.sql.as_ref().is_some_and(SqlOptions::is_duckdb);
        let keeps = self.log.as_ref().is_some_and(|log| log.max_executions_per_workflow.is_some());
        let given = [
            (
                "sql.duckdb",
                has_file,
                "is a file of one machine; journal.postgres needs sql.postgres or sql.clickhouse",
            ),
            (
                "log.maxExecutionsPerWorkflow",
                keeps,
                "has no effect with journal.postgres, whose log is kept by log.maxAgeDays",
            ),
        ];
        match given.iter().find(|(_, is_given, _)| *is_given) {
            Some((name, _, reason)) => Err(root.refuse(name, *reason)),
            None => Ok(()),
        }
    }
}

fn on_failed(root: &Place, name: &str) -> Result<Kind> {
    let Some(kind) = Kind::from_name(name) else {
        return Err(root.refuse("onFailed", format!("{name:?} is not the name of a destination")));
    };
    match forward::refusal(kind) {
        None => Ok(kind),
        Some(reason) => Err(root.refuse("onFailed", reason)),
    }
}

/// Refuses the options of connections that a proxy makes instead.
fn check_behind_proxy(root: &Place, http: &HttpOptions) -> Result<()> {
    if http.tls.is_some() {
        let reason = "has no effect behind egress.proxy: give one of them";
        return Err(root.refuse("http.tls", reason));
    }
    if http.header_case.as_deref() == Some("as-given") {
        return Err(root.refuse("http.headerCase", "must be 'lower' behind egress.proxy"));
    }
    Ok(())
}

fn late_calls(root: &Place, policy: Option<&str>) -> Result<LateCalls> {
    match policy {
        None | Some("warn") => Ok(LateCalls::Warn),
        Some("throw") => Ok(LateCalls::Throw),
        Some(other) => {
            Err(root.refuse("lateCalls", format!("{other:?} is neither 'warn' nor 'throw'")))
        }
    }
}

#[cfg(test)]
mod tests;
