//! The interface of a warehouse for the SQL destination: it loads batches, each of them once.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::rows::RowSet;
use crate::delivery::{Failure, Verdict};

/// A batch to be loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLoad<'a> {
    /// The table, in lower case.
    pub table: &'a str,
    /// The id of the batch: the same for each attempt, and in no other batch.
    pub batch: &'a str,
    /// Its rows.
    pub rows: &'a Arc<RowSet>,
}

/// A batch that is in the warehouse.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// True if an earlier attempt had loaded it.
    pub repeated: bool,
    /// The rows that the table could not take, by their places, and why.
    pub refused: BTreeMap<u32, Failure>,
}

/// Something that holds tables.
pub(super) trait BatchLoader {
    /// Its name in the log.
    const NAME: &'static str;

    /// Makes one attempt to load a batch: all of it or nothing, and nothing if it is there already.
    ///
    /// # Errors
    /// How it failed.
    fn load(&self, load: BatchLoad<'_>) -> impl Future<Output = Result<Loaded, Verdict>> + Send;
}
