//! Segments as a query reads them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result, Row};
use uuid::Uuid;

use super::posting::RowBits;
use super::segment::{block_number, column, damaged, rows_in_block};
use super::token::{Clause, LONG, RUN, SearchToken};
use crate::journal::sqlite::row::SqliteRow;

/// A segment in the file.
pub(super) struct Segment<'a> {
    connection: &'a Connection,
    id: i64,
    rows: usize,
    /// The largest id of its rows.
    pub(super) newest: Uuid,
    /// The largest number of an execution in it.
    pub(super) max_serial: u64,
    dead: RowBits,
    directory: Vec<SearchToken>,
    /// The blocks that were read, by their places.
    blocks: HashMap<usize, Vec<u8>>,
}

/// The kinds of rows that a query finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Deliveries,
    Runs,
    Both,
}

impl<'a> Segment<'a> {
    /// Reads a row of `segments`.
    pub(super) fn read(connection: &'a Connection, row: &Row<'_>) -> Result<Self> {
        let row = SqliteRow::new("segments", row);
        let uuid = |bytes: Vec<u8>| Uuid::from_slice(&bytes).ok();
        let rows = row.get("rows")?;
        let tokens = |bytes: Vec<u8>| {
            let (tokens, left) = bytes.as_chunks::<8>();
            let tokens = tokens.iter().map(|bytes| SearchToken::from_le_bytes(*bytes)).collect();
            left.is_empty().then_some(tokens)
        };
        Ok(Self {
            connection,
            id: row.get("id")?,
            rows,
            newest: row.parse("newest", uuid)?,
            max_serial: row.unsigned("max_serial")?,
            dead: row.parse("dead", |bytes: Vec<u8>| RowBits::decode(&bytes, rows))?,
            directory: row.parse("directory", tokens)?,
            blocks: HashMap::new(),
        })
    }

    /// Returns the rows that may meet all conditions, and are not dead.
    pub(super) fn candidates(&mut self, clauses: &[Clause], kinds: Kinds) -> Result<RowBits> {
        let mut found = RowBits::all(self.rows);
        for clause in clauses {
            self.restrict(&mut found, clause)?;
            if found.is_empty() {
                break;
            }
        }
        if !clauses.is_empty() {
            // What is too long for the index may have anything.
            found.unite(&self.of_token(LONG)?);
        }
        self.without_dead(found, kinds)
    }

    /// Counts the deliveries that meet all conditions. These are of whole values, which are exact.
    pub(super) fn count(&mut self, clauses: &[Clause]) -> Result<usize> {
        let mut found = RowBits::all(self.rows);
        for clause in clauses {
            self.restrict(&mut found, clause)?;
        }
        Ok(self.without_dead(found, Kinds::Deliveries)?.len())
    }

    fn without_dead(&mut self, mut found: RowBits, kinds: Kinds) -> Result<RowBits> {
        found.subtract(&self.dead);
        if !found.is_empty() {
            match kinds {
                Kinds::Deliveries => found.subtract(&self.of_token(RUN)?),
                Kinds::Runs => found.intersect(&self.of_token(RUN)?),
                Kinds::Both => {}
            }
        }
        Ok(found)
    }

    fn restrict(&mut self, found: &mut RowBits, clause: &Clause) -> Result<()> {
        match clause {
            Clause::All(tokens) => {
                for token in tokens {
                    found.intersect(&self.of_token(*token)?);
                    if found.is_empty() {
                        break;
                    }
                }
            }
            Clause::Between(range) => {
                let mut any = RowBits::none(self.rows);
                let last = self.block_of(*range.end());
                for block in self.block_of(*range.start()).unwrap_or(0)..last.map_or(0, |b| b + 1) {
                    any.unite(&self.in_block(block, *range.end(), |token| range.contains(&token))?);
                }
                found.intersect(&any);
            }
        }
        Ok(())
    }

    fn of_token(&mut self, token: SearchToken) -> Result<RowBits> {
        match self.block_of(token) {
            Some(block) => self.in_block(block, token, |found| found == token),
            None => Ok(RowBits::none(self.rows)),
        }
    }

    /// Returns the block in which a token is, if it is in one.
    fn block_of(&self, token: SearchToken) -> Option<usize> {
        self.directory.partition_point(|first| *first <= token).checked_sub(1)
    }

    fn in_block(
        &mut self,
        place: usize,
        last: SearchToken,
        wanted: impl Fn(SearchToken) -> bool,
    ) -> Result<RowBits> {
        let first = self.directory[place];
        let block = match self.blocks.entry(place) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let mut select =
                    self.connection.prepare_cached("SELECT data FROM postings WHERE block = ?1")?;
                let number = block_number(self.id, i64::try_from(place).unwrap_or_default());
                let data: Option<Vec<u8>> =
                    select.query_row([number], |row| row.get(0)).optional()?;
                new.insert(data.ok_or_else(|| damaged("postings"))?)
            }
        };
        rows_in_block(block, first, last, wanted, self.rows).ok_or_else(|| damaged("postings"))
    }

    /// Returns the numbers of the rows.
    pub(super) fn numbers(&self) -> Result<Vec<i64>> {
        self.whole(column(self.connection, "numbers", self.id)?)
    }

    /// Returns the numbers of their executions.
    pub(super) fn serials(&self) -> Result<Vec<i64>> {
        self.whole(column(self.connection, "serials", self.id)?)
    }

    /// Returns the times of their ids, in milliseconds.
    pub(super) fn times(&self) -> Result<Vec<i64>> {
        self.whole(column(self.connection, "times", self.id)?)
    }

    fn whole(&self, values: Vec<i64>) -> Result<Vec<i64>> {
        if values.len() == self.rows { Ok(values) } else { Err(damaged("segment_rows")) }
    }
}
