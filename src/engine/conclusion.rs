//! What became of a batch, as every record of it is told, and as the journal keeps it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::destinations::{Failure, Phase};
use crate::error::ErrorKind;
use crate::journal::SealedBatch;
use crate::observability::log::{ResponseLog, Settlement};

/// The end of a batch.
#[derive(Debug)]
pub(super) struct Conclusion {
    failure: Option<Failure>,
    /// A JSON object, to which the line of each record is added.
    response: Arc<str>,
    warnings: Vec<String>,
    /// Attempts that it took.
    pub attempts: u32,
}

/// The form in the journal.
#[derive(Serialize, Deserialize)]
struct Text {
    response: String,
    warnings: Vec<String>,
    attempts: u32,
    failure: Option<FailureText>,
}

#[derive(Serialize, Deserialize)]
struct FailureText {
    code: String,
    message: String,
    phase: Option<String>,
    status: Option<u16>,
}

/// What the log shows of the batch that a record was in.
#[derive(Serialize)]
struct BatchLog<'a> {
    reason: &'a str,
    records: usize,
}

impl Conclusion {
    /// The end of a sealed batch, with what the destination says of it as a JSON object.
    pub(super) fn new(
        sealed: &SealedBatch,
        failure: Option<Failure>,
        response: Option<&RawValue>,
        warnings: Vec<String>,
        attempts: u32,
    ) -> Self {
        let batch = BatchLog { reason: &sealed.reason, records: sealed.records };
        let batch = serde_json::to_string(&batch).unwrap_or_default();
        let known = response.map_or("{}", RawValue::get);
        let open = known.strip_suffix('}').unwrap_or("{");
        let comma = if open == "{" { "" } else { "," };
        let response = format!("{open}{comma}\"batch\":{batch}}}").into();
        Self { failure, response, warnings, attempts }
    }

    /// The end of the record at this place, counted from 0.
    pub(super) fn settlement(&self, line: u32) -> Settlement {
        let response = ResponseLog::shared(Arc::clone(&self.response), line.saturating_add(1));
        Settlement {
            failure: self.failure.clone(),
            request: None,
            response: Some(Box::new(response)),
            warnings: self.warnings.clone(),
        }
    }

    /// The form in the journal.
    pub(super) fn to_text(&self) -> String {
        let failure = self.failure.as_ref().map(|failure| FailureText {
            code: failure.kind.code().to_owned(),
            message: failure.message.clone(),
            phase: failure.phase.map(|phase| phase.as_str().to_owned()),
            status: failure.status,
        });
        let text = Text {
            response: self.response.to_string(),
            warnings: self.warnings.clone(),
            attempts: self.attempts,
            failure,
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// Reads what [`Conclusion::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let Text { response, warnings, attempts, failure } = serde_json::from_str(text).ok()?;
        let failure = failure.map(|failure| Failure {
            kind: ErrorKind::from_code(&failure.code).unwrap_or(ErrorKind::Internal),
            message: failure.message,
            phase: failure.phase.as_deref().and_then(Phase::from_name),
            status: failure.status,
        });
        Some(Self { failure, response: response.into(), warnings, attempts })
    }
}
