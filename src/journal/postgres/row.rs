//! Rows of PostgreSQL, and what they hold.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;
use uuid::Uuid;

use super::error::damaged;
use crate::delivery::{Failure, Kind, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{
    AttemptLog, CallState, DeliveryRequest, Entry, ExecutionEnd, ExecutionInfo, Logged, LoggedBody,
    Status, Tally, Trace,
};
use crate::journal::row::{ColumnReader, DatabaseRow, ReadColumn};
use crate::time::Timestamp;

/// A row of a table.
pub(super) type RowReader<'a> = ColumnReader<'a, Row>;

impl DatabaseRow for Row {
    type Error = Error;

    fn damaged(&self, table: &'static str, column: &str) -> Error {
        damaged(&format!("{table}.{column}"))
    }
}

impl<T: FromSqlOwned> ReadColumn<T> for Row {
    fn read(&self, table: &'static str, column: &str) -> Result<T> {
        self.try_get(column).map_err(|_| DatabaseRow::damaged(self, table, column))
    }
}

/// An execution as it is in the database.
#[derive(Debug)]
pub(super) struct StoredExecution {
    pub info: ExecutionInfo,
    pub completion: Option<ExecutionEnd>,
    pub tally: Tally,
    pub total: usize,
}

impl RowReader<'_> {
    /// Reads a number that is never negative.
    pub(super) fn unsigned(&self, column: &str) -> Result<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column))
    }

    /// Reads a small number that is never negative.
    pub(super) fn small(&self, column: &str) -> Result<u32> {
        u32::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column))
    }

    /// Reads a number of things.
    pub(super) fn count(&self, column: &str) -> Result<usize> {
        usize::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column))
    }

    /// Reads a time.
    pub(super) fn time(&self, column: &str) -> Result<Timestamp> {
        self.unsigned(column).map(Timestamp::from_millis)
    }

    /// Reads a time unless it is `NULL`.
    pub(super) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>> {
        self.parse_optional(column, |at: i64| u64::try_from(at).ok().map(Timestamp::from_millis))
    }

    /// Reads a delivery of the log.
    pub(super) fn entry(&self) -> Result<Entry> {
        let warnings = |text: String| serde_json::from_str::<Vec<String>>(&text).ok();
        let attempts = |text: String| AttemptLog::from_text(&text, None);
        Ok(Entry {
            id: self.get("id")?,
            index: self.small("call_index")?,
            call_state: self.call_state()?.map(Box::new),
            step: self.get::<String>("step")?.into(),
            kind: self.parse("destination", |name: String| Kind::from_name(&name))?,
            status: self.parse("status", |name: String| Status::from_name(&name))?,
            request: DeliveryRequest::Sent(
                self.logged("request")?.ok_or_else(|| self.damaged("request"))?,
            ),
            response: self.logged("response")?.map(Box::new),
            failure: self.failure()?.map(Box::new),
            replayable: None,
            waiting: None,
            batch: None,
            warnings: self.parse_optional("warnings", warnings)?.unwrap_or_default().into(),
            attempts: self.small("attempts")?,
            attempt_log: self.parse_optional("attempt_log", attempts)?.map(Box::new),
            recorded_at: self.time("recorded_at")?,
            settled_at: Some(self.time("settled_at")?),
        })
    }

    fn call_state(&self) -> Result<Option<CallState>> {
        let state = CallState {
            replay_of: self.get::<Option<Uuid>>("replay_of")?,
            call: self.get("call")?,
            base: None,
            replayed_by: self.get("replayed_by")?,
            resolved_by: self.get("resolved_by")?,
            dismissed_at: self.optional_time("dismissed_at")?,
        };
        Ok((state != CallState::default()).then_some(state))
    }

    fn logged(&self, side: &str) -> Result<Option<Logged>> {
        let column = |part: &str| format!("{side}_body{part}");
        let body = match self.get::<Option<i64>>(&column("_bytes"))? {
            Some(total) => {
                let bytes: Vec<u8> = self.get(&column(""))?;
                let complete = self.get(&column("_complete"))?;
                Some(LoggedBody::partial(bytes.into(), total.cast_unsigned(), complete))
            }
            None => None,
        };
        self.parse_optional(side, |head: String| Logged::restored(&head, body))
    }

    /// Reads the failure in the columns `error_code`, `error_message` and `error_phase`.
    pub(super) fn failure(&self) -> Result<Option<Failure>> {
        let code = |code: String| ErrorKind::from_code(&code);
        let Some(kind) = self.parse_optional("error_code", code)? else { return Ok(None) };
        let phase = self.parse_optional("error_phase", |name: String| Phase::from_name(&name))?;
        let message = self.get("error_message")?;
        Ok(Some(Failure { kind, message, phase, status: None, is_local: false }))
    }

    /// Reads an execution.
    pub(super) fn execution(&self) -> Result<StoredExecution> {
        Ok(StoredExecution {
            info: self.info()?,
            completion: self.completion()?,
            tally: Tally {
                delivered: self.count("delivered")?,
                failed: self.count("failed")?,
                discarded: self.count("discarded")?,
                dismissed: self.count("dismissed")?,
            },
            total: self.count("total")?,
        })
    }

    /// Reads the description of an execution.
    pub(super) fn info(&self) -> Result<ExecutionInfo> {
        let trace = self.get::<Option<String>>("trace")?;
        Ok(ExecutionInfo {
            execution_id: Arc::from(self.get::<String>("execution_id")?),
            workflow_id: Arc::from(self.get::<String>("workflow_id")?),
            attempt: self.small("attempt")?,
            started_at: self.time("started_at")?,
            emit_depth: self.small("emit_depth")?,
            trigger: self.get::<Option<String>>("trigger")?.map(Into::into),
            trace: trace.map(|text| Box::new(Trace::from_text(&text))),
        })
    }

    fn completion(&self) -> Result<Option<ExecutionEnd>> {
        let discarded = self.parse_optional("ended", |how: String| match how.as_str() {
            "completed" => Some(false),
            "discarded" => Some(true),
            _ => None,
        })?;
        let Some(discarded) = discarded else { return Ok(None) };
        Ok(Some(ExecutionEnd {
            at: self.time("completed_at")?,
            error: self.get("error")?,
            message: self.get("message")?,
            discarded,
        }))
    }
}
