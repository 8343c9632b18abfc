//! The search index of the log: finds deliveries and runs by parts of their texts, newest first.
//!
//! The rows that came last are in the table `unindexed` and are looked at one by one. A thread beside
//! the writer gathers them into segments, each with the rows of every three successive bytes of their
//! texts. A look in a segment gives candidates, which are read and compared. The index costs the
//! writer a number for each delivery, and the texts are not in the file twice.
//!
//! [`token`] has the tokens, [`posting`] the sets of rows, [`segment`] the segments in the file,
//! [`lookup`] and [`find`] the queries, [`indexer`] the thread. `docs/design/journal-format.md`
//! describes the tables.

mod find;
mod indexer;
mod lookup;
mod posting;
mod segment;
mod token;

pub(super) use find::{count, deliveries, executions, is_complete, serves};
#[cfg(test)]
pub(super) use indexer::MIN_ROWS;
pub(super) use indexer::{Indexer, Kick};
pub(super) use segment::{NewSegment, forget, run_number, write};
