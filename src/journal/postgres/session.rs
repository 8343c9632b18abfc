//! Runs transactions on a connection.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::{BoxFuture, MaybeDone, maybe_done, poll_fn};
use tokio_postgres::{Client, Error, Row, Statement as Prepared};

use super::params::{Columns, Params};
use super::write::Statement;

/// A statement that is sent, with its rows.
type SentStatement<'a> = BoxFuture<'a, Result<Vec<Row>, Error>>;

/// Runs a transaction whose statements are sent at once. Returns the rows of each statement.
///
/// # Errors
/// The error of the first statement that failed, or of the commit.
pub(super) async fn run(
    client: &Client,
    begin: &str,
    statements: &[(&str, &Columns)],
) -> Result<Vec<Vec<Row>>, Error> {
    let params: Vec<_> = statements.iter().map(|(_, columns)| columns.params()).collect();
    let mut sent: Vec<SentStatement<'_>> = Vec::with_capacity(statements.len());
    for ((sql, _), params) in statements.iter().zip(&params) {
        sent.push(Box::pin(client.query_typed(sql, params.values())));
    }
    send_all(client, begin, sent).await
}

async fn send_all(
    client: &Client,
    begin: &str,
    statements: Vec<SentStatement<'_>>,
) -> Result<Vec<Vec<Row>>, Error> {
    let execute = |sql| -> SentStatement<'_> {
        Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) })
    };
    let all = [execute(begin)].into_iter().chain(statements).chain([execute("COMMIT")]);
    let mut sent: Vec<MaybeDone<SentStatement<'_>>> = all.map(maybe_done).collect();
    // Each is sent when it is polled first: in this order.
    poll_fn(|context| {
        let mut is_ready = true;
        for one in &mut sent {
            is_ready &= Pin::new(one).poll(context).is_ready();
        }
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let results = sent.iter_mut().filter_map(|one| Pin::new(one).take_output());
    let mut rows = results.collect::<Result<Vec<_>, Error>>()?;
    rows.pop();
    rows.remove(0);
    Ok(rows)
}

/// The connection of the writer. Where no pooler is in between, the server keeps its settings and its
/// statements: to read and plan them again was a fifth to a third of their cost.
pub(super) struct WriterSession {
    client: Client,
    kept: Option<KeptStatements>,
}

/// The statements that the server keeps, by their text.
type KeptStatements = Mutex<HashMap<&'static str, Prepared>>;

impl WriterSession {
    /// Returns the session of a connection. If the other side `is_server`, `settings` hold for all of it.
    ///
    /// # Errors
    /// The error of the settings.
    pub(super) async fn new(
        client: Client,
        is_server: bool,
        settings: &str,
    ) -> Result<Self, Error> {
        if is_server {
            client.batch_execute(settings).await?;
        }
        Ok(Self { client, kept: is_server.then(KeptStatements::default) })
    }

    /// Returns the connection.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a transaction as [`run`] does.
    ///
    /// # Errors
    /// The error of the first statement that failed, or of the commit.
    pub(super) async fn run(
        &self,
        begin: &str,
        statements: &[Statement],
    ) -> Result<Vec<Vec<Row>>, Error> {
        let params: Vec<_> = statements.iter().map(|(_, columns)| columns.params()).collect();
        let sent = statements.iter().zip(&params).map(|((sql, _), params)| self.send(sql, params));
        let begin = if self.kept.is_some() { "BEGIN" } else { begin };
        let result = send_all(&self.client, begin, sent.collect()).await;
        if let (Err(_), Some(kept)) = (&result, &self.kept) {
            // A statement may not fit its tables any more.
            locked(kept).clear();
        }
        result
    }

    fn send<'a>(&'a self, sql: &'a str, params: &'a Params<'_>) -> SentStatement<'a> {
        let Some(kept) = self.kept(sql, params) else {
            return Box::pin(self.client.query_typed(sql, params.values()));
        };
        let values: Vec<_> = params.values().iter().map(|(value, _)| *value).collect();
        Box::pin(async move { self.client.query(&kept, &values).await })
    }

    fn kept(&self, sql: &str, params: &Params<'_>) -> Option<Prepared> {
        let kept = locked(self.kept.as_ref()?).get(sql).cloned()?;
        let types = params.values().iter().map(|(_, kind)| kind);
        kept.params().iter().eq(types).then_some(kept)
    }

    /// Has the server keep statements that were sent. Not before they are: what waits for the transaction
    /// waits for one response of the server, not for two.
    ///
    /// # Errors
    /// The error of a statement.
    pub(super) async fn keep(&self, statements: &[Statement]) -> Result<(), Error> {
        let Some(kept) = &self.kept else { return Ok(()) };
        for (sql, columns) in statements {
            let params = columns.params();
            if self.kept(sql, &params).is_none() {
                let types: Vec<_> = params.values().iter().map(|(_, kind)| kind.clone()).collect();
                let prepared = self.client.prepare_typed(sql, &types).await?;
                locked(kept).insert(sql, prepared);
            }
        }
        Ok(())
    }
}

fn locked(kept: &KeptStatements) -> std::sync::MutexGuard<'_, HashMap<&'static str, Prepared>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
