//! The layout of the database, and the checks before anything is taken from it.
//!
//! An older layout gets what was added since, one step after the other.
//!
//! **Invariant:** a step leaves everything that the version before it uses. So nodes of two neighbouring
//! versions run together while a fleet is upgraded, also when an older one is started again. A layout that
//! is newer than the next one is refused.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::error::{failed, journal};
use super::{Params, columns};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::crypto::{Cipher, KEY_CHECK};

/// The version of the layout that this code sets up.
const VERSION: i32 = 4;
/// The newest layout that this code can use.
const NEWEST: i32 = VERSION + 1;
const LAYOUT: &str = include_str!("schema.sql");
/// The number of shards of a layout whose options name none.
const SHARDS: u16 = 64;
/// The steps from each version of the layout to the next.
const STEPS: [&str; 3] = [
    include_str!("moves.sql"),
    include_str!("streams.sql"),
    concat!(include_str!("numbers.sql"), include_str!("settled.sql")),
];
/// The longest lease that a session without a sign of life may block.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// The lock under which nodes set the layout up one after the other.
const LOCK: i64 = 0x6473_6e64;

/// Returns the name of a schema as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the beginning of every transaction. Nothing outlives the transaction, so that a pooler may
/// be in between.
pub(super) fn begin(schema: &str, lease: Duration) -> String {
    let local = settings(schema, lease).map(|setting| format!("; SET LOCAL {setting}"));
    format!("BEGIN{}", local.concat())
}

/// Returns the statements that begin a session in which every transaction has the same settings.
pub(super) fn session(schema: &str, lease: Duration) -> String {
    settings(schema, lease).map(|setting| format!("SET {setting};")).concat()
}

/// Returns the settings of every transaction. A session whose node fell silent holds its locks for half a
/// lease at most, so that others can take over when that is over.
fn settings(schema: &str, lease: Duration) -> [String; 6] {
    let idle = lease.min(MAX_IDLE).as_millis() / 2;
    [
        format!("search_path TO {}, pg_temp", quoted(schema)),
        "statement_timeout TO '60s'".to_owned(),
        "lock_timeout TO '10s'".to_owned(),
        "datestyle TO 'ISO'".to_owned(),
        format!("idle_in_transaction_session_timeout TO {idle}"),
        "synchronous_commit TO on".to_owned(),
    ]
}

/// A journal as the options name it.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub schema: &'a str,
    /// The number of shards; `None`: that of the journal.
    pub shards: Option<u16>,
}

/// A journal that was opened.
pub(super) struct Opened {
    /// The first of the numbers that the opener may give.
    pub block: i64,
    pub shards: u16,
}

/// Sets the layout up if it is not there, and checks that it is this journal's.
pub(super) async fn open(client: &Client, named: Named<'_>, cipher: &Cipher) -> Result<Opened> {
    let opened = async {
        let opened = prepare(client, named, cipher).await?;
        client.batch_execute("COMMIT").await.map_err(|error| failed(&error))?;
        Ok(opened)
    };
    let opened = opened.await;
    if opened.is_err() {
        let _ = client.batch_execute("ROLLBACK").await;
    }
    opened
}

/// Does what [`open`] does in a transaction that stays open.
pub(super) async fn prepare(
    client: &Client,
    options: Named<'_>,
    cipher: &Cipher,
) -> Result<Opened> {
    let run = async |sql: &str| client.batch_execute(sql).await.map_err(|error| failed(&error));
    let schema = quoted(options.schema);
    run("BEGIN").await?;
    let lock = Params::of(&[(&LOCK, Type::INT8)]);
    query(client, "SELECT pg_advisory_xact_lock($1)", &lock).await?;
    check_encoding(client).await?;
    let name = Params::of(&[(&options.schema, Type::TEXT)]);
    let found = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1),
        EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'meta'),
        EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1),
        coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace
            WHERE nspname = $1), true)";
    let rows = query(client, found, &name).await?;
    let has = |place: usize| rows[0].get::<_, bool>(place);
    if !has(0) {
        run(&format!("CREATE SCHEMA {schema}")).await?;
    }
    if !has(3) {
        return Err(super::error::without_rights("it may not use the schema"));
    }
    if has(2) && !has(1) {
        return Err(journal(format!(
            "journal.postgres.schema: {} has tables of something else: name another schema",
            options.schema
        )));
    }
    run(&format!("SET LOCAL search_path TO {schema}, pg_temp")).await?;
    if !has(1) {
        set_up(client, options, cipher).await?;
    }
    upgrade(client).await?;
    columns::check(client).await?;
    check(client, options, cipher).await
}

async fn check_encoding(client: &Client) -> Result<()> {
    let ask = "SELECT current_setting('server_encoding')";
    let encoding: String = query(client, ask, &Params::default()).await?[0].get(0);
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(journal(format!("journal.postgres.url: the database is in {encoding}: it must be in UTF8")))
}

/// Adds what the layout of an older version does not have.
async fn upgrade(client: &Client) -> Result<()> {
    let rows = query(client, "SELECT version FROM meta", &Params::default()).await?;
    let version: i32 = rows.first().map_or(Ok(VERSION), |row| get(row, 0))?;
    let done = usize::try_from(version - 1).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        client.batch_execute(step).await.map_err(|error| failed(&error))?;
    }
    if version < VERSION {
        let update = "UPDATE meta SET version = $1";
        query(client, update, &Params::of(&[(&VERSION, Type::INT4)])).await?;
    }
    Ok(())
}

async fn set_up(client: &Client, options: Named<'_>, cipher: &Cipher) -> Result<()> {
    client.batch_execute(LAYOUT).await.map_err(|error| failed(&error))?;
    let check = cipher.encrypt(KEY_CHECK, KEY_CHECK)?;
    let shards = i32::from(options.shards.unwrap_or(SHARDS));
    let values =
        [(&1_i32 as _, Type::INT4), (&shards as _, Type::INT4), (&check as _, Type::BYTEA)];
    let insert = "INSERT INTO meta (version, shards, key_check) VALUES ($1, $2, $3)";
    query(client, insert, &Params::of(&values)).await?;
    let insert = "INSERT INTO shards (shard) SELECT generate_series(0, $1 - 1)";
    query(client, insert, &Params::of(&[(&shards, Type::INT4)])).await?;
    Ok(())
}

async fn check(client: &Client, options: Named<'_>, cipher: &Cipher) -> Result<Opened> {
    let take = "UPDATE meta SET next_block = next_block + 1
        RETURNING version, shards, key_check, next_block - 1";
    let rows = query(client, take, &Params::default()).await?;
    let row = rows.first().ok_or_else(|| journal("the journal's table meta is empty"))?;
    let (version, shards): (i32, i32) = (get(row, 0)?, get(row, 1)?);
    if version > NEWEST {
        return Err(journal(format!(
            "the schema {} has layout {version}, and this version of dollar-send can use {NEWEST} at \
             most: use the newer version",
            options.schema
        )));
    }
    if let Some(wanted) = options.shards.filter(|wanted| i32::from(*wanted) != shards) {
        return Err(Error::new(
            ErrorKind::InvalidOption,
            format!(
                "journal.postgres.shards: the schema {} has {shards} shards, not {}: the number \
                 is fixed when the journal is set up",
                options.schema, wanted
            ),
        ));
    }
    cipher.decrypt(KEY_CHECK, &get::<Vec<u8>>(row, 2)?).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOption,
            format!(
                "journal.key: the journal in the schema {} has another key: all nodes share one",
                options.schema
            ),
        )
    })?;
    let shards = u16::try_from(shards).map_err(|_| super::error::damaged("meta.shards"))?;
    Ok(Opened { block: get(row, 3)?, shards })
}

/// Runs one statement in the transaction that is open.
pub(super) async fn query(client: &Client, sql: &str, params: &Params<'_>) -> Result<Vec<Row>> {
    client.query_typed(sql, params.values()).await.map_err(|error| failed(&error))
}

/// Reads a column by its place.
pub(super) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    place: usize,
) -> Result<T> {
    row.try_get(place).map_err(|_| super::error::damaged(row.columns()[place].name()))
}
