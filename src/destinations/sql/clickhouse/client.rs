//! The one part of this warehouse that talks to the network.

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};

use super::super::config;
use super::super::plan::Plan;
use super::super::types::MAX_COLUMNS;
use super::super::warehouse::{Load, Loaded, Warehouse};
use super::classify::Refusal;
use super::dialect::{NAMING, change, insert, look, shape};
use super::lines::{columns, keep_days, write};
use crate::destinations::http::broken;
use crate::destinations::{Failure, Phase, Verdict};
use crate::egress::{Door, Place, Progress};
use crate::error::{ErrorKind, Result};

/// Bytes of an answer that are read: those to what is asked here are short.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How often a batch is brought on its way, if the table may have changed meanwhile.
const TRIES: usize = 3;

/// ClickHouse behind the door to the network.
#[derive(Debug)]
pub(in crate::destinations::sql) struct ClickHouse {
    config: config::ClickHouse,
    door: Door,
    client: reqwest::Client,
}

/// Why there was no answer, or which.
enum Trouble {
    Broken(Verdict),
    Refused(Refusal),
}

impl ClickHouse {
    /// A warehouse that is reached through `door`.
    ///
    /// # Errors
    /// `InvalidOption`, `Internal`.
    pub(in crate::destinations::sql) fn new(
        config: config::ClickHouse,
        door: Door,
    ) -> Result<Self> {
        let client = door.client_builder()?.build().map_err(|error| {
            let message = format!("sql.clickhouse: the client cannot be made: {error}");
            crate::error::Error::new(ErrorKind::InvalidOption, message)
        })?;
        Ok(Self { config, door, client })
    }

    async fn load_once(
        &self,
        Load { table, batch, rows }: Load<'_>,
    ) -> std::result::Result<Loaded, Trouble> {
        let database = self.config.server.database.as_str();
        let seen = self.ask(look(database, table).into()).await?;
        let seen: std::result::Result<Vec<_>, _> =
            serde_json::Deserializer::from_slice(&seen).into_iter().collect();
        let before = shape(&seen.map_err(|error| unreadable(&error))?)
            .map_err(|()| Trouble::Broken(Verdict::Rejected(not_ours(database, table))))?;
        let mut plan = Plan::new(before, rows, NAMING, MAX_COLUMNS);
        keep_days(&mut plan, rows);
        if let Some(statement) = change(database, table, &plan) {
            self.ask(statement.into()).await?;
        }
        if plan.taken(rows).next().is_some() {
            let columns = columns(&plan.after, &rows.fields);
            let mut text = insert(database, table, &columns, batch);
            text.reserve(rows.len());
            for (_, row) in plan.taken(rows) {
                write(row, &plan.after, &mut text);
            }
            self.ask(text.into()).await?;
        }
        // Whether it was there already is not said.
        Ok(Loaded { repeated: false, refused: plan.refused })
    }

    /// Has a statement done, and answers what it answers.
    async fn ask(&self, statement: Bytes) -> std::result::Result<Bytes, Trouble> {
        let server = &self.config.server;
        self.door.admit(&server.url).await.map_err(|failure| {
            Trouble::Broken(match failure.kind {
                ErrorKind::Dns => Verdict::Retry { failure, after: None },
                _ => Verdict::Rejected(failure),
            })
        })?;
        let mut request = reqwest::Request::new(Method::POST, server.url.clone());
        for (name, value) in
            [("x-clickhouse-user", &server.user), ("x-clickhouse-key", &server.password)]
        {
            if let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) {
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
        *request.body_mut() = Some(statement.into());
        let place = Place::of(&server.url, &self.door);
        let progress = Progress::new();
        let answer = progress.scope(self.client.execute(request)).await;
        let answer = answer.map_err(|error| {
            Trouble::Broken(broken(&error.without_url(), progress.phase(), &place))
        })?;
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body =
            body.map_err(|error| Trouble::Broken(broken(error.as_ref(), Phase::Body, &place)))?;
        let body = body.to_bytes();
        let code = parts.headers.get("x-clickhouse-exception-code");
        let code = code.and_then(|code| code.to_str().ok()?.parse().ok());
        if parts.status.is_success() && code.is_none() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        Err(Trouble::Refused(Refusal { status: parts.status.as_u16(), code, text }))
    }
}

fn unreadable(error: &serde_json::Error) -> Trouble {
    let message = format!("the answer is not ClickHouse's: {error}");
    Trouble::Broken(Verdict::Rejected(Failure::new(ErrorKind::InvalidResponse, message)))
}

fn not_ours(database: &str, table: &str) -> Failure {
    let message = format!(
        "there is a table `{database}`.`{table}` that was not made by $send.sql, and it stays as it \
         is: use another name, or another database in sql.clickhouse.url"
    );
    Failure::new(ErrorKind::Refused, message)
}

impl Warehouse for ClickHouse {
    const NAME: &'static str = "clickhouse";

    async fn load(&self, load: Load<'_>) -> std::result::Result<Loaded, Verdict> {
        let mut tries = 1;
        loop {
            match self.load_once(load).await {
                // Somebody else may have changed the table since it was looked at.
                Err(Trouble::Refused(refusal)) if refusal.is_about_values() && tries < TRIES => {
                    tries += 1;
                }
                Err(Trouble::Refused(refusal)) => return Err(refusal.verdict()),
                Err(Trouble::Broken(verdict)) => return Err(verdict),
                Ok(loaded) => return Ok(loaded),
            }
        }
    }
}
