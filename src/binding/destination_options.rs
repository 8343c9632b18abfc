//! The options of `engine.destination()`: the mirror of what JavaScript passes beside the function.

use std::time::Duration;

use serde::Deserialize;

use super::options::{MAX_TIMEOUT_MS, count, whole};
use super::retry_options::RetryOptions;
use super::s3_options::BatchOptions;
use crate::destinations::RetryPolicy;
use crate::destinations::custom::Options;
use crate::error::{Error, ErrorKind, Result};

/// The options, but the function.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DestinationOptions {
    timeout_ms: Option<f64>,
    concurrency: Option<f64>,
    retry: Option<Retry>,
    batch: Option<BatchOptions>,
}

/// `false`, or when there is another attempt.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Retry {
    Switch(bool),
    Members(Box<RetryOptions>),
}

/// Reads the options' JSON text.
pub(super) fn read(text: &str) -> Result<Options> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let given: DestinationOptions =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner().to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            if path == "." { invalid(&reason) } else { invalid(&format!("{path}: {reason}")) }
        })?;
    let default = Options::default();
    let timeout = whole("timeoutMs", given.timeout_ms, 1..=MAX_TIMEOUT_MS, 30_000);
    let concurrency = count("concurrency", given.concurrency, 1, default.concurrency);
    let retry = match given.retry {
        None | Some(Retry::Switch(true)) => default.retry,
        Some(Retry::Switch(false)) => None,
        Some(Retry::Members(members)) => Some(policy(*members, default.retry)?),
    };
    Ok(Options {
        timeout: Duration::from_millis(timeout.map_err(|error| spoken(&error))?),
        concurrency: concurrency.map_err(|error| spoken(&error))?,
        retry,
        batch: given.batch.map(|batch| batch.read("batch")).transpose().map_err(|e| spoken(&e))?,
    })
}

fn policy(members: RetryOptions, base: Option<RetryPolicy>) -> Result<RetryPolicy> {
    let none = members.hosts.is_none() && members.statuses.is_none() && members.errors.is_none();
    if !none {
        return Err(invalid("retry: hosts, statuses and errors have no meaning here"));
    }
    let base = base.unwrap_or_default();
    members.spelled().policy(&base).map_err(|reason| invalid(&format!("retry.{reason}")))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("engine.destination(): {message}"))
}

/// The same refusal, of this function.
fn spoken(error: &Error) -> Error {
    invalid(error.to_string().trim_start_matches("Engine.open(): "))
}
