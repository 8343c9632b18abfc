//! The one part of this warehouse that talks to the network. A batch has a connection of its own:
//! there is one a minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Connection, Error, Transaction};

use super::super::config;
use super::super::escapes::ascii;
use super::super::pace::Pace;
use super::super::plan::Plan;
use super::super::types::Fields;
use super::super::warehouse::{BatchLoad, BatchLoader, Loaded};
use super::classify::{dependency, is_change, line, row_refusal, verdict};
use super::columns::{Table, TableColumn};
use super::copy::CopyLines;
use super::dialect::{
    FORGET_BATCHES, IS_PREPARED, LOCK, LOOK, MAX_COLUMNS, MAX_NAME, RECORD_BATCH, RECORD_SHAPE,
    change, copy, impatiently, naming, prepare, session,
};
use crate::delivery::{Failure, Phase, Verdict};
use crate::egress::Egress;
use crate::error::ErrorKind;
use crate::postgres::{Encrypt, Encrypted, Framed, trusting};

/// Bytes of rows that are sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// The time-out of a graceful close.
const GOODBYE: Duration = Duration::from_secs(1);
/// The number of immediate retries of a batch whose table changed meanwhile.
const ROUNDS: usize = 8;

/// A PostgreSQL server, reached through the egress gateway.
#[derive(Debug)]
pub(in crate::destinations::sql) struct PostgreSql {
    config: config::PostgreSqlConfig,
    timeout: Duration,
    egress: Egress,
    tls: Arc<ClientConfig>,
}

/// The reason for which a batch is not loaded.
enum LoadError {
    /// This host is not the one to load into; another may be.
    Host(Verdict),
    /// The table is not as it was seen.
    Changed(Verdict),
    /// The final verdict of the attempt.
    Ended(Verdict),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        let verdict = verdict(&error);
        if is_change(&error) { Self::Changed(verdict) } else { Self::Ended(verdict) }
    }
}

impl LoadError {
    fn verdict(self) -> Verdict {
        match self {
            Self::Host(verdict) | Self::Changed(verdict) | Self::Ended(verdict) => verdict,
        }
    }
}

/// The state of the warehouse before a batch is loaded.
struct TableSnapshot {
    /// The rows that were refused of the batch, if it was loaded before.
    loaded: Option<RefusedRows>,
    /// The table, if there is one.
    table: Option<Table>,
    encoding: String,
}

/// Reasons of refused rows, by their positions.
type RefusedRows = BTreeMap<u32, String>;

/// The result of one round.
enum Round {
    Loaded(Loaded),
    /// The table is changed, and can take the batch.
    Widened,
    /// The table keeps the types of its columns, for this reason.
    Kept(String),
}

impl PostgreSql {
    /// Returns a warehouse that is reached through `egress`.
    ///
    /// # Errors
    /// `InvalidOption`, `Internal`.
    pub(in crate::destinations::sql) fn new(
        config: config::PostgreSqlConfig,
        timeout: Duration,
        egress: Egress,
    ) -> crate::error::Result<Self> {
        let tls = match &config.ca {
            None => egress.tls()?,
            Some(pem) => trusting(pem, config.server.tls.check).map_err(|reason| {
                let message = format!("sql.postgres.ca: {reason}");
                crate::error::Error::new(ErrorKind::InvalidOption, message)
            })?,
        };
        let tls = Arc::new(config.server.tls.with_protocol(tls));
        Ok(Self { config, timeout, egress, tls })
    }

    async fn load_with(
        &self,
        client: &mut Client,
        load: BatchLoad<'_>,
    ) -> Result<Loaded, LoadError> {
        let mut kept = None;
        let mut last = None;
        for _ in 0..ROUNDS {
            match self.round(client, load, kept.as_deref()).await {
                Ok(Round::Loaded(loaded)) => return Ok(loaded),
                Ok(Round::Widened) => {}
                Ok(Round::Kept(reason)) => kept = Some(reason),
                Err(LoadError::Changed(verdict)) => last = Some(verdict),
                Err(trouble) => return Err(trouble),
            }
        }
        let message = "the table changes faster than rows can be loaded into it";
        let failure = Failure::new(ErrorKind::Unavailable, message);
        Err(LoadError::Ended(last.unwrap_or(Verdict::Retry { failure, after: None })))
    }

    /// Makes the table what it has to be, or adds the rows to one that is. With `kept`, no column
    /// changes its type, for that reason.
    async fn round(
        &self,
        client: &mut Client,
        load: BatchLoad<'_>,
        kept: Option<&str>,
    ) -> Result<Round, LoadError> {
        let mut transaction = client.transaction().await?;
        transaction.batch_execute(&session(self.timeout.as_millis())).await?;
        let TableSnapshot { loaded, table, encoding } = self.look(&transaction, load).await?;
        if let Some(refused) = loaded {
            return Ok(Round::Loaded(Loaded { repeated: true, refused: failures(refused) }));
        }
        let before = table.as_ref().map(|table| table.fields.clone());
        let mut plan = Plan::new(before, load.rows, naming(&encoding), MAX_COLUMNS);
        if kept.is_some() {
            plan.keep_types();
        }
        if let Some(statement) = change(&self.config.schema, load.table, &plan) {
            return self.widen(transaction, load, &plan, &statement).await;
        }
        self.add_rows(&mut transaction, load, &table.unwrap_or_default(), &mut plan, kept).await?;
        self.record(&transaction, load, &plan).await?;
        transaction.commit().await?;
        Ok(Round::Loaded(Loaded { repeated: false, refused: plan.refused }))
    }

    /// Changes the table, in a transaction of its own: readers wait for its end.
    async fn widen(
        &self,
        transaction: Transaction<'_>,
        load: BatchLoad<'_>,
        plan: &Plan,
        statement: &str,
    ) -> Result<Round, LoadError> {
        if let Err(error) = transaction.batch_execute(&impatiently(statement)).await {
            let kept = dependency(&error).filter(|_| plan.converts());
            transaction.rollback().await?;
            return kept.map(Round::Kept).ok_or_else(|| error.into());
        }
        self.record_shape(&transaction, load.table, plan).await?;
        transaction.commit().await?;
        Ok(Round::Widened)
    }

    /// Waits for its turn at the table, and returns what is there.
    async fn look(
        &self,
        transaction: &Transaction<'_>,
        BatchLoad { table, batch, .. }: BatchLoad<'_>,
    ) -> Result<TableSnapshot, LoadError> {
        let schema = self.config.schema.as_str();
        let is_prepared = transaction.query_typed_one(IS_PREPARED, &texts(&[&schema])).await?;
        // Before its turn at the table, so that nothing waits for both.
        if !is_prepared.try_get::<_, bool>(0)? {
            transaction.batch_execute(&prepare(schema)).await?;
        }
        transaction.query_typed(LOCK, &texts(&[&schema, &table])).await?;
        let row = transaction.query_typed_one(LOOK, &texts(&[&schema, &table, &batch])).await?;
        let (refused, shape): (Option<&str>, Option<&str>) =
            (row.try_get("refused")?, row.try_get("shape")?);
        let (columns, encoding): (Option<&str>, String) =
            (row.try_get("columns")?, row.try_get("encoding")?);
        let (loaded, shape) = (parsed(refused)?, parsed::<Fields>(shape)?);
        let columns: Vec<TableColumn> = parsed(columns)?.unwrap_or_default();
        let has_table: bool = row.try_get("has_table")?;
        if has_table && shape.is_none() && loaded.is_none() {
            return Err(LoadError::Ended(Verdict::Rejected(self.not_ours(table))));
        }
        let shape = shape.filter(|_| has_table);
        Ok(TableSnapshot {
            loaded,
            table: shape.map(|shape| Table::new(shape, &columns)),
            encoding,
        })
    }

    /// Copies the rows, all but those that the table does not take: a row is refused only if it is
    /// refused alone.
    async fn add_rows(
        &self,
        transaction: &mut Transaction<'_>,
        BatchLoad { table, rows, .. }: BatchLoad<'_>,
        seen: &Table,
        plan: &mut Plan,
        kept: Option<&str>,
    ) -> Result<(), LoadError> {
        let lines = CopyLines::new(&plan.after, &rows.fields, &seen.own);
        let statement = copy(&self.config.schema, table, &lines.columns);
        let taken: Vec<_> = plan.taken(rows).collect();
        let mut refused = BTreeMap::new();
        let (mut rest, mut pace) = (&taken[..], Pace::new(taken.len()));
        while let Some(&(place, _)) = rest.first() {
            let part = &rest[..pace.next(rest.len())];
            let Err(error) = copy_rows(transaction, &statement, &lines, part).await else {
                rest = &rest[part.len()..];
                pace.added(part.len());
                continue;
            };
            let Some(mut failure) = row_refusal(&error, table) else { return Err(error.into()) };
            pace.refused(part.len(), line(&error, table));
            if part.len() > 1 {
                continue;
            }
            if let Some(reason) = kept {
                failure.message.push_str("; the column keeps its type: ");
                failure.message.push_str(reason);
            }
            refused.insert(place, failure);
            rest = &rest[1..];
        }
        plan.refused.extend(refused);
        Ok(())
    }

    async fn record(
        &self,
        transaction: &Transaction<'_>,
        BatchLoad { table, batch, .. }: BatchLoad<'_>,
        plan: &Plan,
    ) -> Result<(), Error> {
        let schema = self.config.schema.as_str();
        let refused = plan.refused.iter().map(|(place, why)| (*place, why.message.clone()));
        let refused = recorded(&refused.collect::<RefusedRows>());
        let values = texts(&[&schema, &table, &batch, &refused]);
        transaction.query_typed(RECORD_BATCH, &values).await?;
        transaction.query_typed(FORGET_BATCHES, &texts(&[&schema, &table])).await?;
        if plan.changes().next().is_some() {
            self.record_shape(transaction, table, plan).await?;
        }
        Ok(())
    }

    async fn record_shape(
        &self,
        transaction: &Transaction<'_>,
        table: &str,
        plan: &Plan,
    ) -> Result<(), Error> {
        let schema = self.config.schema.as_str();
        let shape = recorded(&plan.after);
        transaction.query_typed(RECORD_SHAPE, &texts(&[&schema, &table, &shape])).await?;
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

    /// Makes an attempt at one of the hosts.
    async fn load_at(
        &self,
        (host, port): &(String, u16),
        load: BatchLoad<'_>,
    ) -> Result<Loaded, LoadError> {
        let limit = self.config.server.connect_timeout;
        let connecting = tokio::time::timeout(limit, self.connect(host, *port)).await;
        let (mut client, connection) = connecting.unwrap_or_else(|_| {
            let message = format!(
                "no connection to {host}:{port} within {} s (connect_timeout)",
                limit.as_secs()
            );
            let failure = Failure::new(ErrorKind::Timeout, message).during(Phase::Connect);
            Err(LoadError::Host(Verdict::Retry { failure, after: None }))
        })?;
        let mut connection = std::pin::pin!(connection);
        let loading = async {
            if self.config.server.must_write {
                check_writing(&client, host).await?;
            }
            self.load_with(&mut client, load).await
        };
        // One task does both, so that neither outlives the attempt.
        let loaded = tokio::select! {
            biased;
            loaded = loading => loaded,
            ended = &mut connection => {
                let verdict = ended.map_or_else(|error| verdict(&error), |()| closed());
                return Err(LoadError::Ended(verdict));
            }
        };
        // Closes gracefully, so that the server logs no lost connection.
        drop(client);
        let _ = tokio::time::timeout(GOODBYE, connection).await;
        loaded
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<(Client, Connection<Framed<TcpStream>, Encrypted>), LoadError> {
        let stream = self.egress.connect(host, port).await.map_err(unreached)?;
        let stream = Framed::new(stream, self.config.server.asks_for_encryption());
        let tls = Encrypt { config: Arc::clone(&self.tls), host: host.to_owned() };
        let config = self.config.server.config(host);
        config.connect_raw(stream, tls).await.map_err(|error| match verdict(&error) {
            retry @ Verdict::Retry { .. } => LoadError::Host(retry),
            verdict => LoadError::Ended(verdict),
        })
    }
}

/// Checks that rows can be written in this session.
async fn check_writing(client: &Client, host: &str) -> Result<(), LoadError> {
    const ASK: &str =
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool";
    let row = client.query_typed_one(ASK, &[]).await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let failure = Failure::new(ErrorKind::Unavailable, format!("{host} is for reading alone"));
    Err(LoadError::Host(Verdict::Retry { failure, after: None }))
}

/// Copies rows, all of them or none.
async fn copy_rows(
    transaction: &mut Transaction<'_>,
    statement: &str,
    lines: &CopyLines<'_>,
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

/// Reads what an earlier load has recorded.
fn parsed<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, LoadError> {
    text.map(serde_json::from_str).transpose().map_err(|error| {
        let message = format!("what the schema dollar_send has cannot be read: {error}");
        LoadError::Ended(Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, message)))
    })
}

/// Returns the JSON to be recorded, in characters that every database has.
fn recorded(value: &impl Serialize) -> String {
    ascii(&serde_json::to_string(value).unwrap_or_default())
}

fn failures(refused: RefusedRows) -> BTreeMap<u32, Failure> {
    let failure = |message| Failure::new(ErrorKind::Refused, message);
    refused.into_iter().map(|(place, why)| (place, failure(why))).collect()
}

/// Returns the same values with their types: unlike a prepared statement, this needs no name at the
/// server, so that a pooler may be in between.
fn texts<'a>(values: &[&'a (dyn ToSql + Sync)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value, Type::TEXT)).collect()
}

fn unreached(failure: Failure) -> LoadError {
    match failure.kind {
        ErrorKind::Dns | ErrorKind::Connect => {
            LoadError::Host(Verdict::Retry { failure, after: None })
        }
        _ => LoadError::Ended(Verdict::Rejected(failure)),
    }
}

fn closed() -> Verdict {
    let failure = Failure::new(ErrorKind::Connection, "PostgreSQL closed the connection");
    Verdict::Retry { failure, after: None }
}

impl BatchLoader for PostgreSql {
    const NAME: &'static str = "postgresql";

    async fn load(&self, load: BatchLoad<'_>) -> Result<Loaded, Verdict> {
        if load.table.len() > MAX_NAME {
            let message = format!("table: PostgreSQL takes names of up to {MAX_NAME} bytes");
            return Err(Verdict::Rejected(Failure::new(ErrorKind::InvalidArgument, message)));
        }
        let mut last = None;
        for place in &self.config.server.hosts {
            match self.load_at(place, load).await {
                Ok(loaded) => return Ok(loaded),
                Err(LoadError::Host(verdict)) => last = Some(verdict),
                Err(trouble) => return Err(trouble.verdict()),
            }
        }
        Err(last.unwrap_or_else(closed))
    }
}
