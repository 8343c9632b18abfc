//! The one part of this warehouse that talks to the network. A batch has a connection of its own:
//! there is one a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use serde::de::DeserializeOwned;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Transaction};

use super::super::config;
use super::super::plan::Plan;
use super::super::types::Fields;
use super::super::warehouse::{Load, Loaded, Warehouse};
use super::classify::{line, verdict};
use super::copy::Lines;
use super::dialect::{
    FORGET_BATCHES, IS_PREPARED, LOCK, LOOK, MAX_COLUMNS, MAX_NAME, NAMING, RECORD_BATCH,
    RECORD_SHAPE, change, copy, prepare, session,
};
use super::tls::Encrypt;
use crate::destinations::{Failure, Verdict};
use crate::egress::Door;
use crate::error::ErrorKind;

/// Bytes of rows that are sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// PostgreSQL behind the door to the network.
#[derive(Debug)]
pub(in crate::destinations::sql) struct PostgreSql {
    config: config::PostgreSql,
    timeout: Duration,
    door: Door,
}

/// What is there before a batch is loaded.
struct Seen {
    /// What was refused of the batch, if it was loaded before.
    loaded: Option<Refused>,
    shape: Option<Fields>,
    has_table: bool,
}

/// Why rows were refused, by their places.
type Refused = BTreeMap<u32, String>;

impl PostgreSql {
    /// A warehouse that is reached through `door`.
    pub(in crate::destinations::sql) const fn new(
        config: config::PostgreSql,
        timeout: Duration,
        door: Door,
    ) -> Self {
        Self { config, timeout, door }
    }

    async fn load_with(&self, client: &mut Client, load: Load<'_>) -> Result<Loaded, Verdict> {
        let said = |error: Error| verdict(&error);
        let mut transaction = client.transaction().await.map_err(said)?;
        let session = session(self.timeout.as_millis());
        transaction.batch_execute(&session).await.map_err(said)?;
        let seen = self.look(&transaction, load).await.map_err(said)??;
        if let Some(refused) = seen.loaded {
            return Ok(Loaded { repeated: true, refused: failures(refused) });
        }
        if seen.has_table && seen.shape.is_none() {
            return Err(Verdict::Rejected(self.not_ours(load.table)));
        }
        let shape = seen.shape.filter(|_| seen.has_table);
        let mut plan = Plan::new(shape, load.rows, NAMING, MAX_COLUMNS);
        if let Some(statement) = change(&self.config.schema, load.table, &plan) {
            transaction.batch_execute(&statement).await.map_err(said)?;
        }
        self.add_rows(&mut transaction, load, &mut plan).await?;
        self.record(&transaction, load, &plan).await.map_err(said)?;
        transaction.commit().await.map_err(said)?;
        Ok(Loaded { repeated: false, refused: plan.refused })
    }

    /// Waits for its turn at the table, and says what is there.
    async fn look(
        &self,
        transaction: &Transaction<'_>,
        Load { table, batch, .. }: Load<'_>,
    ) -> Result<Result<Seen, Verdict>, Error> {
        let schema = self.config.schema.as_str();
        let is_prepared = transaction.query_typed_one(IS_PREPARED, &texts(&[&schema])).await?;
        // Before its turn at the table, so that nobody waits for both.
        if !is_prepared.try_get::<_, bool>(0)? {
            transaction.batch_execute(&prepare(schema)).await?;
        }
        transaction.query_typed(LOCK, &texts(&[&schema, &table])).await?;
        let row = transaction.query_typed_one(LOOK, &texts(&[&schema, &table, &batch])).await?;
        let (refused, shape): (Option<&str>, Option<&str>) =
            (row.try_get("refused")?, row.try_get("shape")?);
        let has_table = row.try_get("has_table")?;
        Ok(parsed(refused).and_then(|loaded| Ok(Seen { loaded, shape: parsed(shape)?, has_table })))
    }

    /// Copies the rows, all but those that the table does not take.
    async fn add_rows(
        &self,
        transaction: &mut Transaction<'_>,
        Load { table, rows, .. }: Load<'_>,
        plan: &mut Plan,
    ) -> Result<(), Verdict> {
        let lines = Lines::new(&plan.after, &rows.fields);
        let statement = copy(&self.config.schema, table, &lines.columns);
        let taken: Vec<_> = plan.taken(rows).collect();
        let mut refused = BTreeMap::new();
        let (mut rest, mut size) = (&taken[..], taken.len());
        while !rest.is_empty() {
            let part = &rest[..size.min(rest.len())];
            let Err(error) = copy_rows(transaction, &statement, &lines, part).await else {
                rest = &rest[part.len()..];
                size = size.saturating_mul(2);
                continue;
            };
            let (at, failure) = line(&error, table).ok_or_else(|| verdict(&error))?;
            let (place, _) = part.get(at).ok_or_else(|| verdict(&error))?;
            refused.insert(*place, failure);
            // Those before it are fine, and were taken back with it.
            let before = copy_rows(transaction, &statement, &lines, &part[..at]).await;
            before.map_err(|error| verdict(&error))?;
            rest = &rest[at + 1..];
            // What comes behind a refusal is sent in vain.
            size = (size / 2).max(1);
        }
        plan.refused.extend(refused);
        Ok(())
    }

    async fn record(
        &self,
        transaction: &Transaction<'_>,
        Load { table, batch, .. }: Load<'_>,
        plan: &Plan,
    ) -> Result<(), Error> {
        let schema = self.config.schema.as_str();
        let refused = plan.refused.iter().map(|(place, why)| (*place, why.message.clone()));
        let refused = serde_json::to_string(&refused.collect::<Refused>()).unwrap_or_default();
        let values = texts(&[&schema, &table, &batch, &refused]);
        transaction.query_typed(RECORD_BATCH, &values).await?;
        transaction.query_typed(FORGET_BATCHES, &texts(&[&schema, &table])).await?;
        if plan.creates() || plan.changes().next().is_some() {
            let shape = serde_json::to_string(&plan.after).unwrap_or_default();
            transaction.query_typed(RECORD_SHAPE, &texts(&[&schema, &table, &shape])).await?;
        }
        Ok(())
    }

    fn not_ours(&self, table: &str) -> Failure {
        let schema = &self.config.schema;
        let message = format!(
            "there is a table \"{schema}\".\"{table}\" that was not made by $send.sql, and it stays \
             as it is: use another name, or another sql.postgres.schema"
        );
        Failure::new(ErrorKind::Refused, message)
    }
}

/// Copies rows, all of them or none.
async fn copy_rows(
    transaction: &mut Transaction<'_>,
    statement: &str,
    lines: &Lines<'_>,
    rows: &[(u32, &str)],
) -> Result<(), Error> {
    let point = transaction.transaction().await?;
    let sink = point.copy_in::<_, Bytes>(statement).await?;
    let mut sink = std::pin::pin!(sink);
    let mut piece = String::with_capacity(PIECE_BYTES);
    for (_, row) in rows {
        lines.write(row, &mut piece);
        if piece.len() >= PIECE_BYTES {
            sink.send(std::mem::take(&mut piece).into()).await?;
        }
    }
    sink.send(piece.into()).await?;
    sink.finish().await?;
    point.commit().await
}

/// Reads what an earlier load has written down.
fn parsed<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, Verdict> {
    text.map(serde_json::from_str).transpose().map_err(|error| {
        let message = format!("what the schema dollar_send has cannot be read: {error}");
        Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, message))
    })
}

fn failures(refused: Refused) -> BTreeMap<u32, Failure> {
    let failure = |message| Failure::new(ErrorKind::Refused, message);
    refused.into_iter().map(|(place, why)| (place, failure(why))).collect()
}

/// The same values with their types: unlike a prepared statement, this needs no name at the server,
/// so that a pooler may be in between.
fn texts<'a>(values: &[&'a (dyn ToSql + Sync)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value, Type::TEXT)).collect()
}

fn unreached(failure: Failure) -> Verdict {
    match failure.kind {
        ErrorKind::Dns | ErrorKind::Connect => Verdict::Retry { failure, after: None },
        _ => Verdict::Rejected(failure),
    }
}

fn closed() -> Verdict {
    let failure = Failure::new(ErrorKind::Connection, "PostgreSQL closed the connection");
    Verdict::Retry { failure, after: None }
}

impl Warehouse for PostgreSql {
    const NAME: &'static str = "postgresql";

    async fn load(&self, load: Load<'_>) -> Result<Loaded, Verdict> {
        if load.table.len() > MAX_NAME {
            let message = format!("table: PostgreSQL takes names of up to {MAX_NAME} bytes");
            return Err(Verdict::Rejected(Failure::new(ErrorKind::InvalidArgument, message)));
        }
        let server = &self.config.server;
        let stream = self.door.connect(&server.host, server.port).await.map_err(unreached)?;
        let config = self
            .door
            .tls()
            .map_err(|error| Verdict::Rejected(Failure::new(ErrorKind::Tls, error.to_string())))?;
        let tls = Encrypt { config, host: server.host.clone() };
        let (mut client, connection) =
            server.config().connect_raw(stream, tls).await.map_err(|error| verdict(&error))?;
        let mut connection = std::pin::pin!(connection);
        // One task does both, so that neither outlives the attempt.
        let loaded = tokio::select! {
            biased;
            loaded = self.load_with(&mut client, load) => loaded,
            ended = &mut connection => {
                return Err(ended.map_or_else(|error| verdict(&error), |()| closed()));
            }
        };
        // It says goodbye, and the server need not complain about us in its log.
        drop(client);
        let _ = tokio::time::timeout(GOODBYE, connection).await;
        loaded
    }
}
