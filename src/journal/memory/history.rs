//! The log and the records in memory.

use std::future::ready;
use std::sync::Arc;

use super::MemoryJournal;
use crate::error::Result;
use crate::execution::{
    Before, DeliveryQuery, ExecutionQuery, ExecutionView, Found, Log, OpenBuffer, Sample,
    Selection, SettledPage, SettlementCursor, array,
};
use crate::journal::{History, Promise, Records, Selected, Settlements};
use crate::streams::{Event, EventId};
use crate::time::Timestamp;

impl MemoryJournal {
    fn find_executions(&self, query: &ExecutionQuery, open: &[OpenBuffer]) -> String {
        let before = match &query.before {
            None => None,
            Some(Before::Cursor(cursor)) => Some(cursor.0),
            Some(Before::ExecutionId(id)) => {
                // Nothing comes after an execution that is forgotten.
                Some(self.log.newest_with_id(id, open).unwrap_or(0))
            }
        };
        let mut found = self.log.executions(query, open);
        found.retain(|(log, _)| before.is_none_or(|before| log.serial() < before));
        found.truncate(query.limit());
        let views: Vec<_> = found
            .iter()
            .map(|(log, recorded)| ExecutionView::new(log, &log.state(), *recorded))
            .collect();
        array(&views)
    }
}

impl History for MemoryJournal {
    fn log(&self) -> &Log {
        &self.log
    }

    fn deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<Vec<Found>>> {
        Box::pin(async { Ok(self.log.deliveries(query, open)) })
    }

    fn executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
    ) -> Promise<'a, Result<String>> {
        Box::pin(async { Ok(self.find_executions(query, open)) })
    }

    fn count_deliveries<'a>(
        &'a self,
        query: &'a DeliveryQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(async move { Ok(self.log.count_deliveries(query, open, |_| true).min(most)) })
    }

    fn count_executions<'a>(
        &'a self,
        query: &'a ExecutionQuery,
        open: &'a [OpenBuffer],
        most: usize,
    ) -> Promise<'a, Result<usize>> {
        Box::pin(async move { Ok(self.log.executions(query, open).len().min(most)) })
    }

    fn count_dead_letters(&self) -> Promise<'_, Result<usize>> {
        Box::pin(async { Ok(self.count_dead()) })
    }

    fn parts<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Vec<Selection>>> {
        // The payloads are in memory.
        Box::pin(ready(Ok(vec![selection.clone()])))
    }

    fn samples(&self, since: Timestamp) -> Promise<'_, Result<Vec<Sample>>> {
        Box::pin(ready(Ok(self.log.samples(since))))
    }

    fn replayable<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<Selected>> {
        Box::pin(async { Ok(self.select(selection)) })
    }

    fn dismiss<'a>(&'a self, selection: &'a Selection) -> Promise<'a, Result<usize>> {
        Box::pin(async { Ok(self.dismiss_selected(selection)) })
    }
}

impl Settlements for MemoryJournal {
    fn settled<'a>(
        &'a self,
        after: Option<SettlementCursor>,
        query: &'a DeliveryQuery,
    ) -> Promise<'a, Result<SettledPage>> {
        Box::pin(async move { Ok(self.log.settled(after, query)) })
    }
}

impl Records for MemoryJournal {
    fn keep_event(&self, _event: &Arc<Event>, _forgotten: Vec<EventId>) {}

    fn kept_events(&self) -> Result<Vec<Event>> {
        Ok(Vec::new())
    }

    fn register(&self, _changes: Vec<(String, Option<String>)>) -> Promise<'_, Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn registrations(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
