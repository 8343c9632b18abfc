//! The result of a batch: the end of each of its records, and its form in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::delivery::{Failure, Phase};
use crate::error::ErrorKind;
use crate::execution::{ResponseLog, Settlement};
use crate::journal::SealedBatch;

/// The end of a batch.
#[derive(Debug)]
pub(super) struct BatchResult {
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
struct StoredResult {
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

    /// `None`: the code or the phase is unknown.
    fn into_failure(self) -> Option<Failure> {
        let phase = match self.phase.as_deref() {
            None => None,
            Some(name) => Some(Phase::from_name(name)?),
        };
        Some(Failure {
            kind: ErrorKind::from_code(&self.code)?,
            message: self.message,
            phase,
            status: self.status,
            is_local: false,
        })
    }
}

/// The part of the log entry about the batch of a record.
#[derive(Serialize)]
struct BatchLog<'a> {
    reason: &'a str,
    records: usize,
}

impl BatchResult {
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
    pub(super) fn settlement(&self, position: u32) -> Settlement {
        let response = ResponseLog::shared(Arc::clone(&self.response), position.saturating_add(1));
        Settlement {
            failure: self.exceptions.get(&position).unwrap_or(&self.failure).clone(),
            request: None,
            response: Some(Box::new(response)),
            warnings: self.warnings.clone(),
            is_forwarded: false,
        }
    }

    /// The form in the journal.
    pub(super) fn to_text(&self) -> String {
        let exceptions = self.exceptions.iter();
        let exceptions = exceptions
            .map(|(position, failure)| (*position, failure.as_ref().map(FailureText::of)))
            .collect();
        let text = StoredResult {
            response: self.response.to_string(),
            warnings: self.warnings.clone(),
            attempts: self.attempts,
            failure: self.failure.as_ref().map(FailureText::of),
            exceptions,
        };
        serde_json::to_string(&text).unwrap_or_default()
    }

    /// Reads what [`BatchResult::to_text`] wrote.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let text: StoredResult = serde_json::from_str(text).ok()?;
        let StoredResult { response, warnings, attempts, failure, exceptions } = text;
        let read = |failure: Option<FailureText>| match failure {
            None => Some(None),
            Some(failure) => failure.into_failure().map(Some),
        };
        let exceptions =
            exceptions.into_iter().map(|(position, failure)| Some((position, read(failure)?)));
        Some(Self {
            failure: read(failure)?,
            response: response.into(),
            warnings,
            attempts,
            exceptions: exceptions.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BatchResult;

    #[test]
    fn a_result_with_an_unknown_code_is_not_read() {
        let text = |code: &str| {
            let failure =
                format!(r#"{{"code":"{code}","message":"x","phase":null,"status":null}}"#);
            format!(
                r#"{{"response":"{{}}","warnings":[],"attempts":1,"failure":null,
                    "exceptions":{{"0":{failure}}}}}"#
            )
        };
        assert!(BatchResult::from_text(&text("ERR_SEND_REFUSED")).is_some());
        assert!(BatchResult::from_text(&text("E_OTHER")).is_none());
        assert!(BatchResult::from_text("").is_none());
    }
}
