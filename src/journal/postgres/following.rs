//! Following the log of all nodes.
//!
//! Transactions are committed in another order than they begin in. So a page ends before the oldest
//! transaction that is still open: what becomes visible later has a later place.
//!
//! **Invariant:** a page has every delivery between its two places, each once.

use super::conditions::Conditions;
use super::log::{FOUND, TABLES, found};
use super::params::{Columns, int};
use super::row::RowReader;
use super::{PostgresJournal, Shared};
use crate::error::Result;
use crate::execution::{DeliveryQuery, Dropped, SettledPage, SettlementCursor};
use crate::journal::{Promise, Settlements};

impl Shared {
    /// Finds the deliveries after a place: a transaction, and the number of a call in it.
    pub(super) async fn find_settled(
        &self,
        after: Option<SettlementCursor>,
        query: &DeliveryQuery,
    ) -> Result<SettledPage> {
        self.written().await?;
        let oldest = self.oldest_open_transaction().await?;
        let end = SettlementCursor { epoch: oldest - 1, number: u64::MAX >> 1 };
        let Some(after) = after else { return Ok(SettledPage::at(end)) };
        if after.epoch > end.epoch + 1 {
            // The database is another one.
            return Ok(SettledPage { dropped: Dropped::Unknown, ..SettledPage::at(end) });
        }
        let mut conditions = Conditions::of_deliveries(query);
        let places = [after.epoch, after.number, oldest].map(|number| {
            conditions.columns.number(int(number));
            conditions.place()
        });
        let [epoch, number, oldest] = places;
        conditions.and(&format!(
            "(d.settled_in, d.seq) > (${epoch}::text::xid8, ${number})
                AND d.settled_in < ${oldest}::text::xid8 AND d.settled_in IS NOT NULL"
        ));
        let sql = format!(
            "SELECT {FOUND}, d.settled_in::text::bigint AS transaction FROM {TABLES} {}
             ORDER BY d.settled_in, d.seq LIMIT {}",
            conditions.text(),
            query.limit()
        );
        let rows = self.read(&sql, &conditions.columns).await?;
        let mut page = SettledPage::at(end);
        page.found = rows.iter().map(found).collect::<Result<_>>()?;
        if let Some(last) = rows.last().filter(|_| rows.len() == query.limit()) {
            let row = RowReader::new("deliveries", last);
            let (epoch, number) = (row.unsigned("transaction")?, row.unsigned("seq")?);
            page.cursor = SettlementCursor { epoch, number };
        }
        Ok(page)
    }

    async fn oldest_open_transaction(&self) -> Result<u64> {
        let ask = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest";
        let rows = self.read(ask, &Columns::default()).await?;
        RowReader::new("pg_current_snapshot", &rows[0]).unsigned("oldest")
    }
}

impl Settlements for PostgresJournal {
    fn settled<'a>(
        &'a self,
        after: Option<SettlementCursor>,
        query: &'a DeliveryQuery,
    ) -> Promise<'a, Result<SettledPage>> {
        Box::pin(self.shared.find_settled(after, query))
    }
}
