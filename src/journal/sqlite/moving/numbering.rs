//! The numbers of calls in the shared journal. They keep their order; within a commit those of each
//! shard follow each other, because a shared journal has a part for each.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Lane;
use crate::journal::sqlite::row::{SqliteRow, int};
use crate::recording::Item;

/// Numbers that one move can give.
const MAX_NUMBERS: u64 = 1 << 32;

/// The new numbers of calls.
#[derive(Debug)]
pub(in crate::journal) struct Numbering {
    first: u64,
    base: u64,
    /// Those of calls in commits with several shards.
    exceptions: HashMap<u64, u64>,
}

impl Numbering {
    /// Returns the new number of a call.
    pub(super) fn of(&self, seq: u64) -> u64 {
        self.exceptions.get(&seq).copied().unwrap_or_else(|| self.base + (seq - self.first))
    }

    /// Numbers the calls of a commit. Returns their places by shards.
    pub(super) fn number(
        &mut self,
        first_seq: u64,
        calls: &[(Lane, Item)],
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Vec<usize> {
        let mut places: Vec<usize> = (0..calls.len()).collect();
        places.sort_by_key(|place| shard_of(&calls[*place].0));
        let first = self.base + (first_seq - self.first);
        for (place, number) in places.iter().zip(first..) {
            let seq = first_seq + *place as u64;
            if self.of(seq) != number {
                self.exceptions.insert(seq, number);
            }
        }
        places
    }
}

impl Source {
    /// Returns the first and the last number of a call.
    ///
    /// # Errors
    /// `Journal`, if there are more than one move can number.
    pub(in crate::journal) fn numbers(&self) -> Result<(u64, u64)> {
        let first = "SELECT min(
            coalesce((SELECT min(seq) FROM deliveries), 0x7fffffffffffffff),
            coalesce((SELECT min(first_seq) FROM commits), 0x7fffffffffffffff))";
        let first: i64 = self
            .reader
            .connection()
            .query_row(first, [], |row| row.get(0))
            .map_err(|error| self.reader.failed_to_read(error))?;
        let (last, _) = self.reader.last_numbers()?;
        let first = first.cast_unsigned().min(last);
        if last - first < MAX_NUMBERS {
            return Ok((first, last));
        }
        let message = "the log spans more calls than one move can number: keep less of it \
                       (log.maxAgeDays), and open the directory once";
        Err(Error::new(ErrorKind::Journal, message))
    }

    /// Returns the numbering that begins with `base`.
    pub(in crate::journal) fn numbering(&self, base: u64) -> Result<Numbering> {
        let (first, _) = self.numbers()?;
        Ok(Numbering { first, base, exceptions: HashMap::new() })
    }

    /// Numbers the commit of a call, and returns the call's lane; `None`: its payload is gone.
    pub(super) fn number_commit_of(
        &self,
        seq: u64,
        numbering: &mut Numbering,
        known: &mut HashMap<u64, Vec<(Lane, Item)>>,
        shard_of: &dyn Fn(&Lane) -> u16,
    ) -> Result<Option<Lane>> {
        let found = {
            let connection = self.reader.connection();
            let select = "SELECT first_seq, sealed FROM commits
                 WHERE first_seq = (SELECT max(first_seq) FROM commits WHERE first_seq <= ?1)
                     AND first_seq + calls > ?1";
            let read = |row: &rusqlite::Row<'_>| {
                let row = SqliteRow::new("commits", row);
                Ok((row.unsigned("first_seq")?, row.get::<Vec<u8>>("sealed")?))
            };
            let found = connection.query_row(select, params![int(seq)], read).optional();
            found.map_err(|error| self.reader.failed_to_read(error))?
        };
        let Some((first_seq, ciphertext)) = found else { return Ok(None) };
        let lane_in = |calls: &[(Lane, Item)]| {
            let place = usize::try_from(seq - first_seq).unwrap_or(usize::MAX);
            calls.get(place).map(|(lane, _)| lane.clone())
        };
        if let Some(calls) = known.get(&first_seq) {
            return Ok(lane_in(calls));
        }
        let calls = self.reader.calls(first_seq, &ciphertext)?;
        numbering.number(first_seq, &calls, shard_of);
        let lane = lane_in(&calls);
        known.clear();
        known.insert(first_seq, calls);
        Ok(lane)
    }
}
