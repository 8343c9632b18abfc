//! Moves a data directory that no engine has open into a shared journal.

use std::sync::Arc;

use crate::egress::{Egress, Options, Policy, SystemLookup};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{self, MoveOptions, MoveProgress, MoveReport};

/// Checks a move, and counts what it would do, as JSON. Blocks.
///
/// # Errors
/// `DataDirLocked`, `InvalidOption`, `Journal`, `NotSupported`.
pub fn plan_move(options: &MoveOptions) -> Result<String> {
    text(&journal::plan_move(options, egress()?)?)
}

/// Moves a data directory, or goes on with a move that was ended. Returns the report as JSON. Blocks.
///
/// # Errors
/// `DataDirLocked`, `InvalidOption`, `Journal`, `NotSupported`.
pub fn move_directory(options: &MoveOptions, progress: &MoveProgress) -> Result<String> {
    text(&journal::move_directory(options, egress()?, progress)?)
}

/// Returns the way to the database, to which no policy applies.
fn egress() -> Result<Egress> {
    let policy = Policy::new(&Options::default())?;
    Ok(Egress::new(policy, Arc::new(SystemLookup::new())))
}

fn text(report: &MoveReport) -> Result<String> {
    serde_json::to_string(report).map_err(|error| {
        Error::new(ErrorKind::Internal, "the report of a move cannot be written").with_source(error)
    })
}
