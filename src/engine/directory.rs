//! The log of a data directory, read without opening it.

use std::path::Path;

use crate::destinations::describe;
use crate::error::Result;
use crate::execution::{
    DeliveryQuery, ExecutionQuery, SettlementCursor, deliveries_json, settled_json,
};
use crate::journal;

/// Reads executions of a data directory as a JSON array, newest first, without opening the directory.
///
/// # Errors
/// `Journal`.
pub fn read_executions(directory: &Path, query: &ExecutionQuery) -> Result<String> {
    journal::read_executions(directory, query)
}

/// Reads the log of a data directory as a JSON array of deliveries, newest first, without opening
/// the directory. Payloads that wait are shown as far as they can be shown without an engine.
///
/// # Errors
/// `Journal`.
pub fn read_log(directory: &Path, key: Option<&[u8]>, query: &DeliveryQuery) -> Result<String> {
    let found = journal::read_log(directory, key, query)?;
    Ok(deliveries_json(&found, &describe))
}

/// Reads the deliveries of a data directory that became terminal after a place as JSON, with the place
/// after them.
///
/// # Errors
/// `Journal`.
pub fn read_settled(
    directory: &Path,
    after: Option<SettlementCursor>,
    query: &DeliveryQuery,
) -> Result<String> {
    let page = journal::read_settled(directory, after, query)?;
    Ok(settled_json(&page, &describe))
}
