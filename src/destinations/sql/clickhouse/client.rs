//! The one part of this warehouse that talks to the network.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

use super::super::config;
use super::super::pace::Pace;
use super::super::plan::{Change, Plan};
use super::super::rows::RowSet;
use super::super::types::{MAX_COLUMNS, Type};
use super::super::warehouse::{BatchLoad, BatchLoader, Loaded};
use super::classify::ErrorResponse;
use super::dialect::{NAMING, TableRef, change, find_large, insert, look, rewrite_large, shape};
use super::lines::{columns, keep_days, write};
use crate::delivery::{Failure, Phase, Verdict};
use crate::destinations::http::classify_transport_error;
use crate::destinations::response::read_response;
use crate::egress::{Client, Egress, HttpOptions, Names, NetworkPlace, Progress, RequestParts};
use crate::error::{ErrorKind, Result};

/// The maximum size of a response in bytes: all responses that are read here are short.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// The number of tries for a batch if the table may have changed meanwhile.
const TRIES: usize = 3;

static ACCEPTED: (HeaderName, HeaderValue) = (ACCEPT, HeaderValue::from_static("*/*"));

/// A ClickHouse server, reached through the egress gateway.
#[derive(Debug)]
pub(in crate::destinations::sql) struct ClickHouse {
    config: config::ClickHouseConfig,
    egress: Egress,
    client: Client,
}

/// The missing response, or the error response.
enum RequestError {
    Broken(Verdict),
    Refused(ErrorResponse),
}

impl RequestError {
    fn verdict(self) -> Verdict {
        match self {
            Self::Broken(verdict) => verdict,
            Self::Refused(refusal) => refusal.verdict(),
        }
    }
}

/// The next step after an error that may be about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finds {
    /// The end of the attempt.
    Nothing,
    /// The search for the rows that are refused alone.
    Rows,
}

impl ClickHouse {
    /// Returns a warehouse that is reached through `egress`.
    ///
    /// # Errors
    /// `InvalidOption`, `Internal`.
    ///
    /// # Errors
    /// `InvalidOption`, `Internal`.
    pub(in crate::destinations::sql) fn new(
        config: config::ClickHouseConfig,
        egress: Egress,
    ) -> Result<Self> {
        let client = egress.client(&HttpOptions::http2())?;
        Ok(Self { config, egress, client })
    }

    /// Makes the table what it has to be for a batch.
    async fn prepare(
        &self,
        table: TableRef<'_>,
        rows: &RowSet,
    ) -> std::result::Result<Plan, RequestError> {
        let seen = self.ask(look(table.database, table.name).into()).await?;
        let seen: std::result::Result<Vec<_>, _> =
            serde_json::Deserializer::from_slice(&seen).into_iter().collect();
        let before = shape(&seen.map_err(|error| unreadable(&error))?).map_err(|()| {
            RequestError::Broken(Verdict::Rejected(not_ours(table.database, table.name)))
        })?;
        let mut plan = Plan::new(before, rows, NAMING, MAX_COLUMNS);
        keep_days(&mut plan, rows);
        let Some(statement) = change(table, &plan) else { return Ok(plan) };
        let large = self.large_numbers(table, &plan).await?;
        self.ask(statement.into()).await?;
        if !large.is_empty() {
            self.ask(rewrite_large(table, &large).into()).await?;
        }
        Ok(plan)
    }

    /// Returns the columns of numbers that become texts, and have some that JavaScript writes
    /// otherwise than the server.
    async fn large_numbers<'a>(
        &self,
        table: TableRef<'_>,
        plan: &'a Plan,
    ) -> std::result::Result<Vec<&'a str>, RequestError> {
        let become_texts = plan.changes().filter_map(|change| match change {
            Change::Convert { name, from: Type::Double, to: _ } => Some(name),
            Change::Convert { .. } | Change::Add { .. } => None,
        });
        let names: Vec<_> = become_texts.collect();
        if names.is_empty() {
            return Ok(names);
        }
        let counts = self.ask(find_large(table, &names).into()).await?;
        // Numbers of 64 bits come as texts, or not.
        let counts: Vec<serde_json::Value> =
            serde_json::from_slice(&counts).map_err(|error| unreadable(&error))?;
        let is_none = |count: &serde_json::Value| count == 0 || count == "0";
        let found = names.into_iter().zip(&counts).filter(|(_, count)| !is_none(count));
        Ok(found.map(|(name, _)| name).collect())
    }

    /// Adds the rows, all but those that are refused alone. Each statement has a token of its own, so
    /// that the same batch, with the same refusals, is the same statements.
    async fn add_rows(
        &self,
        table: TableRef<'_>,
        BatchLoad { batch, rows, .. }: BatchLoad<'_>,
        plan: &mut Plan,
        finds: Finds,
    ) -> std::result::Result<(), RequestError> {
        let columns = columns(&plan.after, &rows.fields);
        let taken: Vec<_> = plan.taken(rows).collect();
        let all = taken.len();
        let mut refused = BTreeMap::new();
        let (mut rest, mut pace) = (&taken[..], Pace::new(all));
        while let Some(&(place, _)) = rest.first() {
            let part = &rest[..pace.next(rest.len())];
            let id = if part.len() == all {
                batch.to_owned()
            } else {
                format!("{batch}/{place}+{}", part.len())
            };
            let mut text = insert(table, &columns, &id);
            text.reserve(part.iter().map(|(_, row)| row.len() + 1).sum());
            for (_, row) in part {
                write(row, &plan.after, &mut text);
            }
            let refusal = match self.ask(text.into()).await {
                Ok(_) => {
                    rest = &rest[part.len()..];
                    pace.added(part.len());
                    continue;
                }
                Err(RequestError::Refused(refusal)) => refusal,
                Err(trouble) => return Err(trouble),
            };
            let failure = refusal.of_row().filter(|_| finds == Finds::Rows);
            let Some(failure) = failure else { return Err(RequestError::Refused(refusal)) };
            pace.refused(part.len(), refusal.place());
            if part.len() == 1 {
                refused.insert(place, failure);
                rest = &rest[1..];
            }
        }
        plan.refused.extend(refused);
        Ok(())
    }

    async fn load_once(
        &self,
        load: BatchLoad<'_>,
        finds: Finds,
    ) -> std::result::Result<Loaded, RequestError> {
        let table = TableRef {
            database: &self.config.server.database,
            name: load.table,
            cluster: self.config.cluster.as_deref(),
        };
        let mut plan = self.prepare(table, load.rows).await?;
        self.add_rows(table, load, &mut plan, finds).await?;
        // The server does not report whether the batch was there already.
        Ok(Loaded { repeated: false, refused: plan.refused })
    }

    /// Executes a statement, and returns its response.
    async fn ask(&self, statement: Bytes) -> std::result::Result<Bytes, RequestError> {
        let server = &self.config.server;
        self.egress.check_url(&server.url).await.map_err(|failure| {
            RequestError::Broken(match failure.kind {
                ErrorKind::Dns => Verdict::Retry { failure, after: None },
                _ => Verdict::Rejected(failure),
            })
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("x-clickhouse-user", &server.user), ("x-clickhouse-key", &server.password)]
        {
            if let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        let outgoing = RequestParts {
            method: &Method::POST,
            url: &server.url,
            headers: &headers,
            names: &Names::default(),
            default_header: &ACCEPTED,
            body: Some(&statement),
        };
        let place = NetworkPlace::of(&server.url, &self.egress);
        let progress = Progress::new();
        let answer = progress.scope(self.client.send(outgoing)).await;
        let answer = answer.map_err(|error| {
            RequestError::Broken(classify_transport_error(error.as_ref(), progress.phase(), &place))
        })?;
        let (parts, body) = answer.into_parts();
        let body = read_response(parts.status, body, MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| {
            RequestError::Broken(classify_transport_error(error.as_ref(), Phase::Body, &place))
        })?;
        let code = parts.headers.get("x-clickhouse-exception-code");
        let code = code.and_then(|code| code.to_str().ok()?.parse().ok());
        if parts.status.is_success() && code.is_none() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Err(RequestError::Refused(ErrorResponse { status: parts.status.as_u16(), code, text }))
    }
}

fn unreadable(error: &serde_json::Error) -> RequestError {
    let message = format!("the response is not ClickHouse's: {error}");
    RequestError::Broken(Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, message)))
}

fn not_ours(database: &str, table: &str) -> Failure {
    let message = format!(
        "there is a table `{database}`.`{table}` that was not made by $send.sql, and it stays as it \
         is: use another name, or another database in sql.clickhouse.url"
    );
    Failure::new(ErrorKind::Refused, message)
}

impl BatchLoader for ClickHouse {
    const NAME: &'static str = "clickhouse";

    async fn load(&self, load: BatchLoad<'_>) -> std::result::Result<Loaded, Verdict> {
        for _ in 1..TRIES {
            match self.load_once(load, Finds::Nothing).await {
                // Something else may have changed the table since it was looked at.
                Err(RequestError::Refused(refusal)) if refusal.of_row().is_some() => {
                    // A constraint is the same the next time.
                    if !refusal.is_about_values() {
                        break;
                    }
                }
                ended => return ended.map_err(RequestError::verdict),
            }
        }
        self.load_once(load, Finds::Rows).await.map_err(RequestError::verdict)
    }
}
