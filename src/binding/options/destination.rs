//! JavaScript options of `engine.destination()`, but the function.

use serde::Deserialize;

use super::place::{self, Function, Place};
use super::retry::RetryOptions;
use super::s3::BatchOptions;
use crate::delivery::RetryPolicy;
use crate::destinations::custom::Options;
use crate::error::Result;

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

/// The default of `timeoutMs`.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;

/// Reads the options' JSON text.
pub(in crate::binding) fn read(text: &str) -> Result<Options> {
    let given: DestinationOptions = place::parse(Function::Destination, text)?;
    let root = Place::root(Function::Destination);
    let default = Options::default();
    Ok(Options {
        timeout: root.timeout(given.timeout_ms, DEFAULT_TIMEOUT_MS)?,
        concurrency: root.count("concurrency", given.concurrency, 1, default.concurrency)?,
        retry: match given.retry {
            None | Some(Retry::Switch(true)) => default.retry,
            Some(Retry::Switch(false)) => None,
            Some(Retry::Members(members)) => Some(policy(*members, default.retry)?),
        },
        batch: given.batch.map(|batch| batch.read(&root.at("batch"))).transpose()?,
    })
}

fn policy(members: RetryOptions, base: Option<RetryPolicy>) -> Result<RetryPolicy> {
    let root = Place::root(Function::Destination);
    let none = members.hosts.is_none() && members.statuses.is_none() && members.errors.is_none();
    if !none {
        return Err(root.refuse("retry", "hosts, statuses and errors have no meaning here"));
    }
    let policy = members.into_raw().policy(&base.unwrap_or_default());
    policy.map_err(|reason| root.at("retry").refuse_within(reason))
}
