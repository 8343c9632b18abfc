//! What became of a batch, as every record of it is told, and as the journal keeps it.

use std::collections::BTreeMap;
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
    /// Records that ended otherwise, by their places from 0; `None` is delivered.
    exceptions: BTreeMap<u32, Option<Failure>>,
}

/// The form in the journal.
#[derive(Serialize, Deserialize)]
struct Text {
    response: String,
    warnings: Vec<String>,
    attempts: u32,
    failure: Option<FailureText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    exceptions: BTreeMap<u32, Option<FailureText>>,
}

#[derive(Serialize, Deserialize)]
struct FailureText {
    code: String,
    message: String,
    phase: Option<String>,
    status: Option<u16>,
}

impl FailureText {
    fn of(failure: &Failure) -> Self {
        Self {
            code: failure.kind.code().to_owned(),
            message: failure.message.clone(),
            phase: failure.phase.map(|phase| phase.as_str().to_owned()),
            status: failure.status,
        }
    }

    fn into_failure(self) -> Failure {
        Failure {
            kind: ErrorKind::from_code(&self.code).unwrap_or(ErrorKind::Internal),
            message: self.message,
            phase: self.phase.as_deref().and_then(Phase::from_name),
            status: self.status,
            is_local: false,
        }
    }
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
        Self { failure, response, warnings, attempts, exceptions: BTreeMap::new() }
    }

    /// The same, but for these records.
    pub(super) fn with_exceptions(self, exceptions: BTreeMap<u32, Option<Failure>>) -> Self {
        Self { exceptions, ..self }
    }

    /// The end of the record at this place, counted from 0.
    pub(super) fn settlement(&self, line: u32) -> Settlement {
        let response = ResponseLog::shared(Arc::clone(&self.response), line.saturating_add(1));
        Settlement {
            failure: self.exceptions.get(&line).unwrap_or(&self.failure).clone(),
            request: None,
            response: Some(Box::new(response)),
            warnings: self.warnings.clone(),
        }
    }

    /// The form in the journal.
    pub(super) fn to_text(&self) -> String {
        let exceptions = self.exceptions.iter();
        let exceptions = exceptions
            .map(|(line, failure)| (*line, failure.as_ref().map(FailureText::of)))
            .collect();
        let text = Text {
            response: self.response.to_string(),
            warnings: self.warnings.clone(),
            attempts: self.attempts,
            failure: self.failure.as_ref().map(FailureText::of),
            exceptions,
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// Reads what [`Conclusion::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let text: Text = serde_json::from_str(text).ok()?;
        let Text { response, warnings, attempts, failure, exceptions } = text;
        let exceptions = exceptions
            .into_iter()
            .map(|(line, failure)| (line, failure.map(FailureText::into_failure)));
        Some(Self {
            failure: failure.map(FailureText::into_failure),
            response: response.into(),
            warnings,
            attempts,
            exceptions: exceptions.collect(),
        })
    }
}
