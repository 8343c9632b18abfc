//! Following the log in the file.

use std::collections::HashMap;

use rusqlite::{Connection, Result as Rows, params};

use super::query::{Conditions, entry, info_of};
use super::reader::JournalReader;
use crate::error::Result;
use crate::execution::{DeliveryQuery, Dropped, SettledPage, SettlementCursor};
use crate::journal::sqlite::row::{COLUMNS, SqliteRow, int};
use crate::journal::sqlite::{SqliteJournal, file};
use crate::journal::{Promise, Settlements};

/// The one numbering of a file.
const EPOCH: u64 = 0;

impl JournalReader {
    /// Checks that the file is not of a version before the order of settlements.
    pub(crate) fn check_numbered(&self) -> Result<()> {
        file::check_numbered(&self.connection(), self.path())
    }

    /// Returns the deliveries that became terminal after a place, in the order of their settlement.
    pub(crate) fn settled(
        &self,
        after: Option<SettlementCursor>,
        query: &DeliveryQuery,
    ) -> Result<SettledPage> {
        let connection = self.connection();
        let read = || -> Rows<SettledPage> {
            let snapshot = connection.unchecked_transaction()?;
            let end = SettlementCursor { epoch: EPOCH, number: newest(&snapshot)? };
            match after {
                None => Ok(SettledPage::at(end)),
                // The directory is another one, or was restored from a backup.
                Some(after) if after.epoch != EPOCH || after.number > end.number => {
                    Ok(SettledPage { dropped: Dropped::Unknown, ..SettledPage::at(end) })
                }
                Some(after) => page(&snapshot, after.number, end, query),
            }
        };
        read().map_err(|error| self.failed_to_read(error))
    }
}

/// Returns the number of the newest settlement.
fn newest(connection: &Connection) -> Rows<u64> {
    let ask = "SELECT max(last, (SELECT coalesce(max(settlement), 0) FROM deliveries
        WHERE settlement IS NOT NULL)) FROM numbering";
    connection.prepare_cached(ask)?.query_row([], |row| row.get(0))
}

fn page(
    connection: &Connection,
    after: u64,
    end: SettlementCursor,
    query: &DeliveryQuery,
) -> Rows<SettledPage> {
    let mut conditions = Conditions::of_deliveries(query);
    conditions.add("d.settlement > ?", int(after));
    let statement = format!(
        "SELECT {COLUMNS}, d.settlement FROM deliveries d INDEXED BY deliveries_by_settlement {} \
         ORDER BY d.settlement LIMIT {}",
        conditions.text(),
        query.limit()
    );
    let mut select = connection.prepare_cached(&statement)?;
    let mut rows = select.query(rusqlite::params_from_iter(&conditions.values))?;
    let (mut page, mut known) = (SettledPage::at(end), HashMap::new());
    let mut last = end.number;
    while let Some(row) = rows.next()? {
        let row = SqliteRow::new("deliveries", row);
        page.found.push((info_of(connection, row, &mut known)?, entry(row)?));
        last = row.unsigned("settlement")?;
    }
    if page.found.len() == query.limit() {
        page.cursor.number = last;
    }
    page.dropped = Dropped::Count(dropped(connection, after, page.cursor.number)?);
    Ok(page)
}

/// Counts the numbers between two places that the log has no more.
fn dropped(connection: &Connection, after: u64, until: u64) -> Rows<u64> {
    let ask = "SELECT count(*) FROM deliveries WHERE settlement > ?1 AND settlement <= ?2";
    let kept: u64 = connection
        .prepare_cached(ask)?
        .query_row(params![int(after), int(until)], |row| row.get(0))?;
    Ok((until - after).saturating_sub(kept))
}

impl Settlements for SqliteJournal {
    fn settled<'a>(
        &'a self,
        after: Option<SettlementCursor>,
        query: &'a DeliveryQuery,
    ) -> Promise<'a, Result<SettledPage>> {
        let query = query.clone();
        Box::pin(self.read(move |reader| reader.settled(after, &query)))
    }
}
