//! JavaScript options of the data directory and of the shared journal: `journal`, `lock`, `durability`.

use std::time::Duration;

use base64::Engine as _;
use napi_derive::napi;
use serde::Deserialize;

use super::place::{Function, Place};
use crate::error::Result;
use crate::execution::Retention;
use crate::journal;
use crate::postgres::PostgreSqlServer;

/// The journal in the data directory, or the one that many machines share.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JournalOptions {
    /// The largest size of the journal, in bytes, from 1 MiB to 64 TiB. Past it `complete()` and
    /// `flush()` reject with `ERR_SEND_JOURNAL_FULL` and store none of their calls. Default: limited
    /// by the disk alone.
    pub max_bytes: Option<f64>,
    /// The key that encrypts undelivered calls: 32 bytes, or their base64 or hexadecimal text.
    /// Default: the file `journal.key` in the data directory, created with mode 0600. Needed with
    /// `journal.postgres`, where all nodes share one.
    #[napi(ts_type = "string | Uint8Array")]
    pub key: Option<String>,
    /// The journal in PostgreSQL, which many processes on many machines share. Instead of `dataDir`.
    pub postgres: Option<SharedJournalOptions>,
    /// Milliseconds that `complete()` and `flush()` wait for a database that is not reachable, from 100
    /// to 3,600,000. Then they reject and store nothing. Needs `journal.postgres`. Default: 10,000.
    pub patience_ms: Option<f64>,
    /// Milliseconds after which other nodes take over from a node that does not renew its lease, from
    /// 1,000 to 600,000. A node renews it four times as often. Needs `journal.postgres`. Default: 10,000.
    pub lease_ms: Option<f64>,
}

/// The database of the shared journal.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SharedJournalOptions {
    /// The connection URI, as libpq reads it. The egress policy does not apply to it.
    pub url: Option<String>,
    /// Certificate authorities to trust instead of the machine's, in PEM. Default: none.
    pub ca: Option<String>,
    /// The schema of the journal's tables. It is made if it is not there. Default: `dollar_send`.
    pub schema: Option<String>,
    /// The number of parts into which queues are divided among nodes, from 1 to 1024. It is fixed when
    /// the journal is set up. Default: 64.
    pub shards: Option<f64>,
}

/// The lock of the data directory.
#[napi(object)]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LockOptions {
    /// Milliseconds to wait for a data directory that another process has open, from 0 to 3,600,000
    /// (an hour). Then `Engine.open()` rejects with `ERR_SEND_DATA_DIR_LOCKED`. Default: 0.
    pub wait_ms: Option<f64>,
}

/// The longest wait for a lock: an hour.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(3600);

impl LockOptions {
    /// Reads the time to wait for the lock.
    pub(super) fn read(&self) -> Result<Duration> {
        let Some(millis) = self.wait_ms else { return Ok(Duration::ZERO) };
        let wait = Duration::try_from_secs_f64(millis / 1000.0).ok();
        wait.filter(|wait| *wait <= MAX_LOCK_WAIT).ok_or_else(|| {
            Place::open("lock").refuse("waitMs", "must be between 0 and 3,600,000 (an hour)")
        })
    }
}

/// The options of the durable journal.
pub(super) struct Durable {
    pub(super) directory: Option<String>,
    pub(super) durability: Option<String>,
    pub(super) journal: Option<JournalOptions>,
}

impl Durable {
    /// Reads the options of a shared journal; `None` without one.
    pub(super) fn shared(
        &self,
        on_interrupted: journal::OnInterrupted,
        retention: Retention,
        delivers: bool,
    ) -> Result<Option<journal::SharedOptions>> {
        let place = Place::open("journal");
        let Some(options) = &self.journal else { return Ok(None) };
        let Some(shared) = &options.postgres else {
            let given = [("patienceMs", options.patience_ms), ("leaseMs", options.lease_ms)];
            return match given.iter().find(|(_, given)| given.is_some()) {
                Some((name, _)) => {
                    Err(place.refuse(name, "has no meaning without journal.postgres"))
                }
                None => Ok(None),
            };
        };
        if self.directory.is_some() {
            let reason = "is for another journal than journal.postgres: choose one";
            return Err(Place::root(Function::Open).refuse("dataDir", reason));
        }
        if options.max_bytes.is_some() {
            return Err(place.refuse("maxBytes", "is for dataDir; the database has its own limits"));
        }
        let Some(text) = &options.key else {
            return Err(place.refuse("key", "is needed with journal.postgres: all nodes share one"));
        };
        let millis = |name, value, range, default| {
            place.integer(name, value, range, default).map(Duration::from_millis)
        };
        let patience = millis("patienceMs", options.patience_ms, 100..=3_600_000, 10_000)?;
        let lease = millis("leaseMs", options.lease_ms, 1000..=600_000, 10_000)?;
        let key = key(text)?;
        let database = shared.read(&Place::open("journal.postgres"))?;
        Ok(Some(journal::SharedOptions {
            server: database.0,
            ca: database.1,
            schema: database.2,
            shards: database.3,
            key,
            patience,
            lease,
            on_interrupted,
            retention,
            delivers,
        }))
    }

    /// Reads the options; `None` without a data directory.
    pub(super) fn read(
        self,
        on_interrupted: journal::OnInterrupted,
        retention: Retention,
        search: journal::SearchIndex,
    ) -> Result<Option<journal::Options>> {
        let root = Place::root(Function::Open);
        let durability = match self.durability.as_deref() {
            None | Some("fsync") => journal::Durability::Fsync,
            Some("os") => journal::Durability::Os,
            Some(other) => {
                let reason = format!("{other:?} is neither 'fsync' nor 'os'");
                return Err(root.refuse("durability", reason));
            }
        };
        let Some(directory) = self.directory else {
            let is_shared = self.journal.as_ref().is_some_and(|journal| journal.postgres.is_some());
            let given = [
                ("durability", self.durability.is_some()),
                ("journal", self.journal.is_some() && !is_shared),
            ];
            return match given.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(root.refuse(name, "has no meaning without dataDir")),
                None => Ok(None),
            };
        };
        if directory.is_empty() {
            return Err(root.refuse("dataDir", "must not be empty"));
        }
        let journal = self.journal.unwrap_or_default();
        let max_bytes = journal.max_bytes.map(|bytes| {
            let range = MIN_JOURNAL_BYTES..=MAX_JOURNAL_BYTES;
            Place::open("journal").integer("maxBytes", Some(bytes), range, 0)
        });
        Ok(Some(journal::Options {
            directory: directory.into(),
            durability,
            max_bytes: max_bytes.transpose()?,
            key: journal.key.as_deref().map(key).transpose()?,
            on_interrupted,
            retention,
            search,
        }))
    }
}

/// Bytes of the name of a schema.
const MAX_SCHEMA: usize = 63;

impl SharedJournalOptions {
    pub(super) fn read(
        &self,
        place: &Place,
    ) -> Result<(PostgreSqlServer, Option<String>, String, u16)> {
        let url = self.url.as_deref().ok_or_else(|| place.refuse("url", "is needed"))?;
        let server = PostgreSqlServer::parse(url).map_err(|reason| place.refuse("url", reason))?;
        let schema = self.schema.clone().unwrap_or_else(|| "dollar_send".to_owned());
        if schema.is_empty() || schema.len() > MAX_SCHEMA || schema.contains('\0') {
            return Err(place.refuse("schema", format!("must have 1 to {MAX_SCHEMA} bytes")));
        }
        if schema.starts_with("pg_") || schema == "public" {
            return Err(place.refuse("schema", format!("{schema} has another use")));
        }
        let shards = place.integer("shards", self.shards, 1..=1024, 64)?;
        let ca = match (&self.ca, server.authorities()) {
            (Some(pem), _) => Some(pem.clone()),
            (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                place.refuse("url", format!("sslrootcert: {file} cannot be read: {error}"))
            })?),
            (None, None) => None,
        };
        Ok((server, ca, schema, u16::try_from(shards).unwrap_or(64)))
    }
}

/// A journal smaller than this holds little more than its own tables: 1 MiB.
const MIN_JOURNAL_BYTES: u64 = 1 << 20;
/// 64 TiB.
const MAX_JOURNAL_BYTES: u64 = 64 << 40;

/// Reads 32 bytes as base64 or hexadecimal text.
pub(in crate::binding) fn key(text: &str) -> Result<Vec<u8>> {
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
        let reason = "must be 32 bytes, or their base64 or hexadecimal text";
        Place::open("journal").refuse("key", reason)
    })
}
