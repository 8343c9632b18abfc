//! Segments of the search index: up to [`MAX_ROWS`] rows of the log each, and the rows of each token.
//!
//! A segment is written once. Rows that the retention removes are marked as dead; a segment of which
//! most are dead is dissolved, and the others are indexed again.
//!
//! **Invariant:** each terminal delivery and each run that has ended is in `unindexed`, or in one
//! segment in which it is not dead.

use rusqlite::{Connection, Error, Result, params};
use uuid::Uuid;

use super::posting::{RowBits, differences, number, read_differences, read_number};
use super::token::SearchToken;
use crate::journal::sqlite::row::{SqliteRow, int};

/// Rows of a segment at most.
pub(super) const MAX_ROWS: usize = 16_384;
/// Bytes of a block of postings, so that most fit into a page of the file.
const BLOCK: usize = 3800;
/// Blocks that a segment can have.
const MAX_BLOCKS: i64 = 1 << 20;

/// One row of the index: a delivery, or a run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexedRow {
    /// Its number in `unindexed`: that of a delivery, or [`run_number`].
    pub number: i64,
    /// The number of its execution.
    pub serial: u64,
    /// The id of a delivery. That of a run only has the time.
    pub id: Uuid,
}

/// Returns the number of a run in `unindexed`: a negative one.
pub(in crate::journal::sqlite) const fn run_number(serial: u64) -> i64 {
    -1 - int(serial)
}

/// Collects the rows of a segment.
#[derive(Debug, Default)]
pub(super) struct SegmentBuilder {
    rows: Vec<IndexedRow>,
    /// Tokens, each with the place of its row in the last 16 bits.
    pairs: Vec<u64>,
}

/// A segment that is not written yet.
#[derive(Debug)]
pub(in crate::journal::sqlite) struct NewSegment {
    /// Ordered by their ids.
    rows: Vec<IndexedRow>,
    /// The first token of each block.
    directory: Vec<u8>,
    blocks: Vec<Vec<u8>>,
}

impl SegmentBuilder {
    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row; `tokens` adds its tokens.
    pub(super) fn add(
        &mut self,
        row: IndexedRow,
        tokens: impl FnOnce(&mut dyn FnMut(SearchToken)),
    ) {
        let place = self.rows.len() as u64;
        self.rows.push(row);
        tokens(&mut |token| self.pairs.push((token << 16) | place));
    }

    /// Orders the rows by their ids, and groups them by their tokens.
    pub(super) fn finish(self) -> NewSegment {
        let Self { rows, mut pairs } = self;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_unstable_by_key(|place| (rows[*place].id, rows[*place].number));
        let mut ranks = vec![0_u64; rows.len()];
        for (rank, place) in (0..).zip(&order) {
            ranks[*place] = rank;
        }
        for pair in &mut pairs {
            let place = usize::from(u16::try_from(*pair & 0xffff).unwrap_or_default());
            *pair = (*pair & !0xffff) | ranks[place];
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut blocks = BlockWriter::default();
        for of_token in pairs.chunk_by(|a, b| a >> 16 == b >> 16) {
            let mut set = RowBits::none(rows.len());
            for pair in of_token {
                set.insert(usize::from(u16::try_from(pair & 0xffff).unwrap_or_default()));
            }
            blocks.push(of_token[0] >> 16, &set);
        }
        let rows = order.into_iter().map(|place| rows[place]).collect();
        NewSegment { rows, directory: blocks.directory, blocks: blocks.blocks }
    }
}

/// Writes tokens, which ascend, and their rows into blocks.
#[derive(Default)]
struct BlockWriter {
    directory: Vec<u8>,
    blocks: Vec<Vec<u8>>,
    last: SearchToken,
    scratch: Vec<u8>,
}

impl BlockWriter {
    fn push(&mut self, token: SearchToken, rows: &RowBits) {
        self.scratch.clear();
        rows.encode(&mut self.scratch);
        let is_full =
            self.blocks.last().is_none_or(|block| block.len() + self.scratch.len() + 8 > BLOCK);
        if is_full {
            self.directory.extend(token.to_le_bytes());
            self.blocks.push(Vec::with_capacity(BLOCK));
            self.last = token;
        }
        let Some(block) = self.blocks.last_mut() else { return };
        number(block, token - self.last);
        number(block, self.scratch.len() as u64);
        block.extend_from_slice(&self.scratch);
        self.last = token;
    }
}

/// Returns the rows of the tokens in a block that `wanted` accepts, united. `None`: the block is
/// damaged.
pub(super) fn rows_in_block(
    mut block: &[u8],
    first: SearchToken,
    last: SearchToken,
    wanted: impl Fn(SearchToken) -> bool,
    rows: usize,
) -> Option<RowBits> {
    let (mut token, mut found) = (first, RowBits::none(rows));
    while !block.is_empty() {
        token = token.checked_add(read_number(&mut block)?)?;
        let length = usize::try_from(read_number(&mut block)?).ok()?;
        let (posting, rest) = block.split_at_checked(length)?;
        block = rest;
        if token > last {
            break;
        }
        if wanted(token) {
            found.unite(&RowBits::decode(posting, rows)?);
        }
    }
    Some(found)
}

/// Writes a segment. Rows that are not in `unindexed` any more were removed meanwhile.
pub(in crate::journal::sqlite) fn write(
    connection: &Connection,
    segment: &NewSegment,
) -> Result<()> {
    let NewSegment { rows, directory, blocks } = segment;
    let mut dead = RowBits::none(rows.len());
    let mut delete = connection.prepare_cached("DELETE FROM unindexed WHERE number = ?1")?;
    for (place, row) in rows.iter().enumerate() {
        if delete.execute([row.number])? == 0 {
            dead.insert(place);
        }
    }
    let (Some(oldest), Some(newest)) = (rows.first(), rows.last()) else { return Ok(()) };
    if dead.len() == rows.len() {
        return Ok(());
    }
    let serials = rows.iter().map(|row| row.serial);
    connection
        .prepare_cached(
            "INSERT INTO segments (rows, dead_rows, oldest, newest, min_serial, max_serial, dead,
                                   directory)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            rows.len(),
            dead.len(),
            oldest.id.as_bytes().as_slice(),
            newest.id.as_bytes().as_slice(),
            serials.clone().min().map(int),
            serials.clone().max().map(int),
            encoded(&dead),
            directory,
        ])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "INSERT INTO segment_rows (segment, numbers, serials, times) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            id,
            differences(rows.iter().map(|row| row.number)),
            differences(serials.map(int)),
            differences(rows.iter().map(|row| int(millis_of(row.id)))),
        ])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO postings (block, data) VALUES (?1, ?2)")?;
    (id * MAX_BLOCKS..)
        .zip(blocks)
        .try_for_each(|(block, data)| insert.execute(params![block, data]).map(drop))
}

fn encoded(rows: &RowBits) -> Vec<u8> {
    let mut bytes = Vec::new();
    rows.encode(&mut bytes);
    bytes
}

/// Returns the time of an id, in milliseconds.
pub(super) fn millis_of(id: Uuid) -> u64 {
    id.as_u64_pair().0 >> 16
}

/// Returns the number of a block in the file.
pub(super) const fn block_number(segment: i64, place: i64) -> i64 {
    segment * MAX_BLOCKS + place
}

/// A segment of which rows are removed.
struct Shrinking {
    id: i64,
    rows: usize,
    dead: Vec<u8>,
}

/// Removes executions and their deliveries from the index, while they are in their tables. Returns
/// the number of other rows that have to be indexed again.
pub(in crate::journal::sqlite) fn forget(
    connection: &Connection,
    serials: &[i64],
) -> Result<usize> {
    let mut deliveries = connection.prepare_cached(
        "DELETE FROM unindexed WHERE number IN (SELECT seq FROM deliveries WHERE execution = ?1)",
    )?;
    let mut run = connection.prepare_cached("DELETE FROM unindexed WHERE number = ?1")?;
    for serial in serials {
        deliveries.execute([serial])?;
        run.execute([run_number(serial.cast_unsigned())])?;
    }
    let (first, last) = (serials.iter().min(), serials.iter().max());
    let mut select = connection.prepare_cached(
        "SELECT id, rows, dead FROM segments WHERE min_serial <= ?2 AND max_serial >= ?1",
    )?;
    let segments = select.query_map(params![first, last], |row| {
        let row = SqliteRow::new("segments", row);
        Ok(Shrinking { id: row.get("id")?, rows: row.get("rows")?, dead: row.get("dead")? })
    })?;
    let segments = segments.collect::<Result<Vec<_>>>()?;
    segments.iter().map(|segment| shrink(connection, segment, serials)).sum()
}

fn shrink(connection: &Connection, segment: &Shrinking, serials: &[i64]) -> Result<usize> {
    let Shrinking { id, rows, dead } = segment;
    let mut dead = RowBits::decode(dead, *rows).ok_or_else(|| damaged("segments.dead"))?;
    let before = dead.len();
    let of_rows = column(connection, "serials", *id)?;
    let removed = of_rows.iter().enumerate().filter(|(_, serial)| serials.contains(serial));
    removed.for_each(|(place, _)| dead.insert(place));
    let now = dead.len();
    if now == before {
        return Ok(0);
    }
    if now * 2 <= *rows {
        let mut update = connection
            .prepare_cached("UPDATE segments SET dead_rows = ?2, dead = ?3 WHERE id = ?1")?;
        update.execute(params![id, now, encoded(&dead)])?;
        return Ok(0);
    }
    let numbers = column(connection, "numbers", *id)?;
    let mut insert = connection.prepare_cached("INSERT INTO unindexed (number) VALUES (?1)")?;
    for (place, number) in numbers.into_iter().enumerate() {
        if !dead.contains(place) {
            insert.execute([number])?;
        }
    }
    connection.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM segment_rows WHERE segment = ?1")?.execute([id])?;
    connection
        .prepare_cached("DELETE FROM postings WHERE block >= ?1 AND block < ?2")?
        .execute([block_number(*id, 0), block_number(*id + 1, 0)])?;
    Ok(rows - now)
}

/// Reads a column of `segment_rows`.
pub(super) fn column(connection: &Connection, name: &'static str, id: i64) -> Result<Vec<i64>> {
    let statement = format!("SELECT {name} FROM segment_rows WHERE segment = ?1");
    let mut select = connection.prepare_cached(&statement)?;
    let bytes: Vec<u8> = select.query_row([id], |row| row.get(0))?;
    read_differences(&bytes).ok_or_else(|| damaged("segment_rows"))
}

/// Returns the error of a part of the index that cannot be read.
pub(super) fn damaged(place: &'static str) -> Error {
    Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, place.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_the_rows_of_each_token() {
        let mut builder = SegmentBuilder::default();
        for place in 0..3000_i64 {
            // The rows come in another order than that of their ids.
            let id = Uuid::from_u128(u128::from(3000 - place.unsigned_abs()) << 80);
            let row = IndexedRow { number: place, serial: 1, id };
            builder.add(row, |push| {
                push(7);
                push(1000 + place.unsigned_abs() % 100);
                push(1 << 47 | place.unsigned_abs());
            });
        }
        assert_eq!(builder.len(), 3000);
        let NewSegment { rows, directory, blocks } = builder.finish();
        assert!(rows.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(rows[0].number, 2999);
        assert_eq!(directory.len(), blocks.len() * 8);
        assert!(blocks.len() > 2 && blocks.iter().all(|block| block.len() <= BLOCK));
        let of = |token: SearchToken| {
            let mut found = RowBits::none(3000);
            for (first, block) in directory.as_chunks::<8>().0.iter().zip(&blocks) {
                let first = SearchToken::from_le_bytes(*first);
                let part = rows_in_block(block, first, token, |found| found == token, 3000);
                found.unite(&part.unwrap());
            }
            found.descending().map(|row| rows[row].number).collect::<Vec<_>>()
        };
        assert_eq!(of(7).len(), 3000);
        assert!(of(8).is_empty());
        assert_eq!(of((1 << 47) + 2998), [2998]);
        assert_eq!(of(1007), (0..30).map(|place| 7 + 100 * place).collect::<Vec<_>>());
    }
}
